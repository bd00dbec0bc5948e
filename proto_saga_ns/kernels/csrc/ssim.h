// Mean structural similarity of two pictures (Wang et al. 2004) and its gradient: a Gaussian window of eleven pixels with
// a standard deviation of 1.5, wherever it lies within the picture as a whole, and values from 0 to 1.
#pragma once

#include <cstdint>

namespace splat {

constexpr int kWindow = 11;

struct Picture {
  int height, width, channels;  // height and width of a window at least; values lie channel by channel, row by row

  int windows_down() const { return height - kWindow + 1; }
  int64_t row() const { return int64_t(width) * channels; }
  int64_t row_of_windows() const { return int64_t(width - kWindow + 1) * channels; }
};

// The mean over all windows and channels, the same for any number of threads. `slopes`, if it is not null, has room for
// three maps of the windows: the derivatives of a window's similarity by its mean of `image`, of its square, and of
// its product with `target`.
double ssim(const Picture& picture, const float* target, const float* image, float* slopes, int threads);

// `scale` times the gradient of the sum of all similarities with respect to `image`.
void ssim_backward(const Picture& picture, const float* target, const float* image, const float* slopes, float scale,
                   float* gradient, int threads);

}  // namespace splat
