// The prototype with the highest cosine for every pixel, and the softmax probability of that prototype.
#pragma once

#include <cstdint>

namespace splat {

// features: pixels x dim, any length; prototypes: count x dim, unit length, at least one. Writes the row of the nearest
// prototype and its probability among all, the softmax of tau times the cosines; -1 and 0 for a
// feature that is zero or not finite.
void nearest(int64_t pixels, int dim, int count, const float* features, const float* prototypes, float tau,
             int32_t* rows, float* confidences, int threads);

}  // namespace splat
