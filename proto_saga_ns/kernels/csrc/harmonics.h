// Real spherical harmonics up to degree 4, and their gradient.
#pragma once

#include <cstdint>

namespace splat {

// Coefficients of degree 0 lie apart from those above, or before them: each has its stride in floats.
struct Harmonics {
  const float* directions;  // 3, of any length
  const float* constant;    // 3
  const float* rest;        // (rows - 1) x 3
  int64_t constant_stride;
  int64_t rest_stride;
  int rows;  // of coefficients, at least (degree + 1)^2; those beyond take no part
  int degree;
};

// Laid out as what they are the gradients of.
struct HarmonicsGradient {
  float* directions;
  float* constant;
  float* rest;
};

// out: 3, the sum over bases of value times coefficient.
void harmonics(int64_t n, const Harmonics& in, float* out, int threads);

// upstream: 3. Writes all gradients.
void harmonics_backward(int64_t n, const Harmonics& in, const float* upstream, const HarmonicsGradient& out,
                        int threads);

}  // namespace splat
