#include "harmonics.h"

#include <algorithm>
#include <cmath>

#include "parallel.h"

namespace splat {
namespace {

constexpr int kMaxBases = 25;

// A number and its derivatives by x, y and z.
struct Dual {
  float value, by[3];
};

inline Dual operator+(const Dual& a, const Dual& b) {
  return {a.value + b.value, {a.by[0] + b.by[0], a.by[1] + b.by[1], a.by[2] + b.by[2]}};
}
inline Dual operator*(float a, const Dual& b) { return {a * b.value, {a * b.by[0], a * b.by[1], a * b.by[2]}}; }
inline Dual operator-(const Dual& a, const Dual& b) { return a + -1.f * b; }
inline Dual operator-(const Dual& a, float b) { return {a.value - b, {a.by[0], a.by[1], a.by[2]}}; }
inline Dual operator+(const Dual& a, float b) { return a - -b; }
inline Dual operator*(const Dual& a, const Dual& b) {
  return {a.value * b.value,
          {a.by[0] * b.value + a.value * b.by[0], a.by[1] * b.value + a.value * b.by[1],
           a.by[2] * b.value + a.value * b.by[2]}};
}

// The bases above degree 0, in the order and with the signs of 3D Gaussian Splatting. T is float or Dual.
template <class T>
inline void bases(int degree, const T& x, const T& y, const T& z, T* out) {
  if (degree < 1) return;
  out[1] = -0.48860251190291987f * y;
  out[2] = 0.48860251190291987f * z;
  out[3] = -0.48860251190291987f * x;
  if (degree < 2) return;
  const T xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
  out[4] = 1.0925484305920792f * xy;
  out[5] = -1.0925484305920792f * yz;
  out[6] = 0.31539156525252005f * (2.f * zz - xx - yy);
  out[7] = -1.0925484305920792f * xz;
  out[8] = 0.5462742152960396f * (xx - yy);
  if (degree < 3) return;
  out[9] = -0.5900435899266435f * (y * (3.f * xx - yy));
  out[10] = 2.890611442640554f * (xy * z);
  out[11] = -0.4570457994644658f * (y * (4.f * zz - xx - yy));
  out[12] = 0.3731763325901154f * (z * (2.f * zz - 3.f * xx - 3.f * yy));
  out[13] = -0.4570457994644658f * (x * (4.f * zz - xx - yy));
  out[14] = 1.445305721320277f * (z * (xx - yy));
  out[15] = -0.5900435899266435f * (x * (xx - 3.f * yy));
  if (degree < 4) return;
  out[16] = 2.5033429417967046f * (xy * (xx - yy));
  out[17] = -1.7701307697799304f * (yz * (3.f * xx - yy));
  out[18] = 0.9461746957575601f * (xy * (7.f * zz - 1.f));
  out[19] = -0.6690465435572892f * (yz * (7.f * zz - 3.f));
  out[20] = 0.10578554691520431f * (zz * (35.f * zz - 30.f) + 3.f);
  out[21] = -0.6690465435572892f * (xz * (7.f * zz - 3.f));
  out[22] = 0.47308734787878004f * ((xx - yy) * (7.f * zz - 1.f));
  out[23] = -1.7701307697799304f * (xz * (xx - 3.f * yy));
  out[24] = 0.6258357354491761f * (xx * (xx - 3.f * yy) - yy * (3.f * xx - yy));
}

constexpr float kConstant = 0.28209479177387814f;

float inverse_length(const float* v) {
  return 1.f / std::max(std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]), 1e-12f);
}

template <int Degree>
void evaluate(int64_t n, const Harmonics& in, float* out, int threads) {
  parallel_for(n, threads, [&](int64_t i) {
    const float* direction = in.directions + 3 * i;
    const float *constant = in.constant + in.constant_stride * i, *rest = in.rest + in.rest_stride * i;
    const float scale = inverse_length(direction);
    float values[kMaxBases];
    bases(Degree, direction[0] * scale, direction[1] * scale, direction[2] * scale, values);
    float sum[3];
    for (int c = 0; c < 3; ++c) sum[c] = kConstant * constant[c];
    for (int k = 1; k < (Degree + 1) * (Degree + 1); ++k)
      for (int c = 0; c < 3; ++c) sum[c] += values[k] * rest[3 * (k - 1) + c];
    std::copy(sum, sum + 3, out + 3 * i);
  });
}

template <int Degree>
void evaluate_backward(int64_t n, const Harmonics& in, const float* upstream, const HarmonicsGradient& out,
                       int threads) {
  constexpr int kBases = (Degree + 1) * (Degree + 1);
  parallel_for(n, threads, [&](int64_t i) {
    const float* direction = in.directions + 3 * i;
    const float *own = in.rest + in.rest_stride * i, *g = upstream + 3 * i;
    float *to = out.rest + in.rest_stride * i, *along_direction = out.directions + 3 * i;
    for (int c = 0; c < 3; ++c) out.constant[in.constant_stride * i + c] = kConstant * g[c];
    if (g[0] == 0 && g[1] == 0 && g[2] == 0) {  // not seen
      std::fill(to, to + 3 * (in.rows - 1), 0.f);
      std::fill(along_direction, along_direction + 3, 0.f);
      return;
    }
    const float scale = inverse_length(direction);
    const Dual x = {direction[0] * scale, {1, 0, 0}}, y = {direction[1] * scale, {0, 1, 0}};
    const Dual z = {direction[2] * scale, {0, 0, 1}};
    Dual values[kMaxBases];
    bases(Degree, x, y, z, values);
    float unit[3] = {0, 0, 0};  // gradient of the direction of unit length
    for (int k = 1; k < kBases; ++k, to += 3, own += 3) {
      for (int c = 0; c < 3; ++c) to[c] = values[k].value * g[c];
      const float weight = own[0] * g[0] + own[1] * g[1] + own[2] * g[2];
      for (int d = 0; d < 3; ++d) unit[d] += weight * values[k].by[d];
    }
    std::fill(to, to + 3 * (in.rows - kBases), 0.f);
    const float along = unit[0] * x.value + unit[1] * y.value + unit[2] * z.value;
    along_direction[0] = (unit[0] - along * x.value) * scale;
    along_direction[1] = (unit[1] - along * y.value) * scale;
    along_direction[2] = (unit[2] - along * z.value) * scale;
  });
}

}  // namespace

void harmonics(int64_t n, const Harmonics& in, float* out, int threads) {
  constexpr decltype(&evaluate<0>) kOf[] = {evaluate<0>, evaluate<1>, evaluate<2>, evaluate<3>, evaluate<4>};
  kOf[in.degree](n, in, out, threads);
}

void harmonics_backward(int64_t n, const Harmonics& in, const float* upstream, const HarmonicsGradient& out,
                        int threads) {
  constexpr decltype(&evaluate_backward<0>) kOf[] = {evaluate_backward<0>, evaluate_backward<1>, evaluate_backward<2>,
                                                     evaluate_backward<3>, evaluate_backward<4>};
  kOf[in.degree](n, in, upstream, out, threads);
}

}  // namespace splat
