// Real spherical harmonics up to degree 4, and their gradient.
#pragma once

#include <cstdint>

namespace splat {

struct Harmonics {
  const float* directions;    // 3, of any length
  const float* coefficients;  // rows x 3
  int rows;                   // of coefficients, at least (degree + 1)^2; the rest takes no part
  int degree;
};

// out: 3, the sum over bases of value times coefficient.
void harmonics(int64_t n, const Harmonics& in, float* out, int threads);

// upstream: 3. Writes gradients of the directions, 3, and of the coefficients, rows x 3.
void harmonics_backward(int64_t n, const Harmonics& in, const float* upstream, float* directions, float* coefficients,
                        int threads);

}  // namespace splat
