// How far a picture is from a photo: the mean absolute difference, and the mean structural similarity (Wang et al. 2004)
// for values from 0 to 1 under a Gaussian window of eleven pixels with a standard deviation of 1.5, wherever the window
// lies within the picture as a whole.
#pragma once

#include <cstdint>

namespace splat {

constexpr int kWindow = 11;

struct Picture {
  int height, width, channels;  // height and width of a window at least; numbers lie channel by channel, row by row
};

struct Resemblance {
  double difference, similarity;  // means over numbers and over windows, the same for any number of threads
};

// `slopes`, if it is not null, has room for three maps of the windows: the derivatives of a window's similarity by its
// mean of `rendered`, of its square, and of its product with `photo`.
Resemblance compare(const Picture& picture, const float* rendered, const float* photo, float* slopes, int threads);

// The gradient, with respect to `rendered`, of weights.difference times the difference and weights.similarity times the
// similarity.
void compare_backward(const Picture& picture, const float* rendered, const float* photo, const float* slopes,
                      const Resemblance& weights, float* gradient, int threads);

}  // namespace splat
