// Sixteen floats at a time, whatever the width of the machine's registers.
//
// GCC and Clang compile 64-byte vectors badly where the hardware has none, so a value is an array of registers of
// the native width.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

// Of what is called for every Gaussian in every block: a call costs more than many of the bodies.
#define SPLAT_INLINE __attribute__((always_inline)) inline

namespace splat {

#if defined(__AVX512F__)
constexpr int kNative = 16;
#elif defined(__AVX2__)
constexpr int kNative = 8;
#else
constexpr int kNative = 4;
#endif
constexpr int kLanes = 16;
constexpr int kParts = kLanes / kNative;

typedef float NativeFloat __attribute__((vector_size(4 * kNative)));
typedef int32_t NativeInt __attribute__((vector_size(4 * kNative)));
typedef float Quad __attribute__((vector_size(16)));

// The bits of a value as a value of another type. A reference of the other type to it would break the rules of aliasing;
// to types of the intrinsics, which may alias all others, it does not.
template <class To, class From>
SPLAT_INLINE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

struct Mask {  // all bits of a lane set, or none
  NativeInt part[kParts];
};

struct Ints {
  NativeInt part[kParts];
  explicit Ints(int32_t value = 0) {
    for (auto& p : part) p = NativeInt{} + value;
  }
  void store(int32_t* to) const { std::memcpy(to, part, sizeof(part)); }
};

struct Floats {
  NativeFloat part[kParts];
  Floats() = default;
  Floats(float value) {
    for (auto& p : part) p = value - NativeFloat{};  // not 0 + value, which is not -0 for -0: it would take an addition
  }
  static Floats load(const float* from) {
    Floats result;
    std::memcpy(result.part, from, sizeof(result.part));
    return result;
  }
  void store(float* to) const { std::memcpy(to, part, sizeof(part)); }
  Floats& operator+=(const Floats& other) {
    for (int i = 0; i < kParts; ++i) part[i] += other.part[i];
    return *this;
  }
};

#define SPLAT_ARITHMETIC(op)                                                  \
  SPLAT_INLINE Floats operator op(const Floats& a, const Floats& b) {         \
    Floats result;                                                            \
    for (int i = 0; i < kParts; ++i) result.part[i] = a.part[i] op b.part[i]; \
    return result;                                                            \
  }
SPLAT_ARITHMETIC(+)
SPLAT_ARITHMETIC(-)
SPLAT_ARITHMETIC(*)
SPLAT_ARITHMETIC(/)
#undef SPLAT_ARITHMETIC

#define SPLAT_COMPARISON(op)                                                  \
  SPLAT_INLINE Mask operator op(const Floats& a, const Floats& b) {           \
    Mask result;                                                              \
    for (int i = 0; i < kParts; ++i) result.part[i] = a.part[i] op b.part[i]; \
    return result;                                                            \
  }
SPLAT_COMPARISON(<)
SPLAT_COMPARISON(<=)
SPLAT_COMPARISON(>)
SPLAT_COMPARISON(>=)
#undef SPLAT_COMPARISON

SPLAT_INLINE Mask operator&(const Mask& a, const Mask& b) {
  Mask result;
  for (int i = 0; i < kParts; ++i) result.part[i] = a.part[i] & b.part[i];
  return result;
}

SPLAT_INLINE Mask operator|(const Mask& a, const Mask& b) {
  Mask result;
  for (int i = 0; i < kParts; ++i) result.part[i] = a.part[i] | b.part[i];
  return result;
}

SPLAT_INLINE Mask operator>=(const Ints& a, int32_t b) {
  Mask result;
  for (int i = 0; i < kParts; ++i) result.part[i] = a.part[i] >= b;
  return result;
}

SPLAT_INLINE Floats select(const Mask& mask, const Floats& yes, const Floats& no) {
  Floats result;
  for (int i = 0; i < kParts; ++i) result.part[i] = mask.part[i] ? yes.part[i] : no.part[i];
  return result;
}

SPLAT_INLINE Ints select(const Mask& mask, const Ints& yes, const Ints& no) {
  Ints result;
  for (int i = 0; i < kParts; ++i) result.part[i] = mask.part[i] ? yes.part[i] : no.part[i];
  return result;
}

SPLAT_INLINE Floats smaller(const Floats& a, const Floats& b) { return select(a < b, a, b); }
SPLAT_INLINE Floats larger(const Floats& a, const Floats& b) { return select(a > b, a, b); }
SPLAT_INLINE Floats absolute(const Floats& a) { return select(a < 0.f, 0.f - a, a); }

SPLAT_INLINE bool any(const Mask& mask) {
#if defined(__AVX512F__)
  const __m512i bits = reinterpret_cast<const __m512i&>(mask.part[0]);
  return _mm512_test_epi32_mask(bits, bits) != 0;
#else
  NativeInt merged = mask.part[0];
  for (int i = 1; i < kParts; ++i) merged |= mask.part[i];
#if defined(__AVX2__)
  return !_mm256_testz_si256(reinterpret_cast<__m256i&>(merged), reinterpret_cast<__m256i&>(merged));
#else
  return (merged[0] | merged[1] | merged[2] | merged[3]) != 0;
#endif
#endif
}

// The four sums of every fourth lane: the first half of a sum over all lanes.
SPLAT_INLINE Quad fold(const Floats& value) {
#if defined(__AVX512F__)
  const __m512 whole = reinterpret_cast<const __m512&>(value.part[0]);
  const __m128 sum = _mm_add_ps(_mm_add_ps(_mm512_castps512_ps128(whole), _mm512_extractf32x4_ps(whole, 1)),
                                _mm_add_ps(_mm512_extractf32x4_ps(whole, 2), _mm512_extractf32x4_ps(whole, 3)));
  return reinterpret_cast<const Quad&>(sum);
#elif defined(__AVX2__)
  const NativeFloat both = value.part[0] + value.part[1];
  const __m256 wide = reinterpret_cast<const __m256&>(both);
  const __m128 sum = _mm_add_ps(_mm256_castps256_ps128(wide), _mm256_extractf128_ps(wide, 1));
  return reinterpret_cast<const Quad&>(sum);
#else
  return (value.part[0] + value.part[1]) + (value.part[2] + value.part[3]);
#endif
}

// Four of the eight numbers in a and b, by their places.
template <int I, int J, int K, int L>
SPLAT_INLINE Quad pick(const Quad& a, const Quad& b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I, J, K, L);
#else
  typedef int32_t Index __attribute__((vector_size(16)));
  return __builtin_shuffle(a, b, Index{I, J, K, L});
#endif
}

// Sums over the lanes of four values at once.
SPLAT_INLINE Quad sum_lanes(const Floats& a, const Floats& b, const Floats& c, const Floats& d) {
  const Quad fa = fold(a), fb = fold(b), fc = fold(c), fd = fold(d);
  const Quad ab = pick<0, 4, 1, 5>(fa, fb) + pick<2, 6, 3, 7>(fa, fb);
  const Quad cd = pick<0, 4, 1, 5>(fc, fd) + pick<2, 6, 3, 7>(fc, fd);
  return pick<0, 1, 4, 5>(ab, cd) + pick<2, 3, 6, 7>(ab, cd);
}

// exp(-t) for t in [0, 1]; relative error under 1e-7.
SPLAT_INLINE Floats exp_negative_unit(const Floats& t) {
  Floats p = 0.0008490078616887331f;
  p = p * t + -0.007654325105249882f;
  p = p * t + 0.04122331738471985f;
  p = p * t + -0.16651517152786255f;
  p = p * t + 0.4999750852584839f;
  p = p * t + -0.9999984502792358f;
  return p * t + 1.0f;
}

// exp(-x) for x >= 0, as (exp(-x / 8))^8 with a polynomial of degree 6; relative error under 1e-6. Beyond 8 it stays
// at exp(-8), far below the smallest opacity that is drawn.
SPLAT_INLINE Floats exp_negative(const Floats& x) {
  Floats p = exp_negative_unit(smaller(x, 8.f) * 0.125f);
  p = p * p;
  p = p * p;
  return p * p;
}

// exp(-x) for x >= 0 in the whole range of floats, as 2^n 2^r with |r| <= 1/2; relative error under 1e-6. Beyond 87,
// where the smallest normal float is near, it stays as it is there.
SPLAT_INLINE Floats exp_negative_wide(const Floats& x) {
  constexpr float kRound = 0x1.8p23f;  // the sum with it has no fraction, and its last bits are the integer
  Floats result;
  for (int i = 0; i < kParts; ++i) {
    const NativeFloat y = (x.part[i] < 87.f ? x.part[i] : NativeFloat{} + 87.f) * -1.44269504f;
    const NativeFloat shifted = y + kRound;
    const NativeFloat r = y - (shifted - kRound);
    NativeFloat p = r * 1.3333558146e-3f + 9.6181291076e-3f;  // powers of ln(2) over factorials
    p = p * r + 5.5504108665e-2f;
    p = p * r + 2.4022650696e-1f;
    p = p * r + 6.9314718056e-1f;
    p = p * r + 1.f;
    const NativeInt bits = bits_as<NativeInt>(p) + (bits_as<NativeInt>(shifted) << 23);
    result.part[i] = bits_as<NativeFloat>(bits);
  }
  return result;
}

}  // namespace splat
