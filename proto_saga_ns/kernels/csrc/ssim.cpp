#include "ssim.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "parallel.h"

namespace splat {
namespace {

constexpr float kLuminance = 0.01f * 0.01f, kContrast = 0.03f * 0.03f;
constexpr double kDeviation = 1.5;

std::array<float, kWindow> window() {
  std::array<double, kWindow> weights;
  for (int k = 0; k < kWindow; ++k) {
    const double offset = k - kWindow / 2;
    weights[k] = std::exp(-offset * offset / (2 * kDeviation * kDeviation));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.);
  std::array<float, kWindow> result;
  for (int k = 0; k < kWindow; ++k) result[k] = float(weights[k] / sum);
  return result;
}

// Rows of numbers, one after another.
class Rows {
 public:
  Rows(int count, int64_t size) : size_(size), memory_(count * size) {}
  float* operator[](int index) { return memory_.data() + index * size_; }
  void clear() { std::fill(memory_.begin(), memory_.end(), 0.f); }

 private:
  int64_t size_;
  std::vector<float> memory_;
};

// Means along a row: of what lies 0, 1 ... 10 pixels to the right.
void blur_row(const float* from, const std::array<float, kWindow>& weights, int channels, int64_t size, float* to) {
  for (int64_t i = 0; i < size; ++i) {
    float sum = 0.f;
    for (int k = 0; k < kWindow; ++k) sum += weights[k] * from[i + k * channels];
    to[i] = sum;
  }
}

enum Moment { kTarget, kImage, kTargetSquare, kImageSquare, kProduct, kMoments };

// Means over the columns of the windows of one row of windows.
void blur_columns(const float* target, const float* image, const std::array<float, kWindow>& weights, int64_t row,
                  Rows& moments) {
  moments.clear();
  float *x = moments[kTarget], *y = moments[kImage], *xx = moments[kTargetSquare], *yy = moments[kImageSquare],
        *xy = moments[kProduct];
  for (int k = 0; k < kWindow; ++k) {
    const float *a = target + k * row, *b = image + k * row;
#pragma omp simd
    for (int64_t i = 0; i < row; ++i) {
      const float weighted_a = weights[k] * a[i], weighted_b = weights[k] * b[i];
      x[i] += weighted_a;
      y[i] += weighted_b;
      xx[i] += weighted_a * a[i];
      yy[i] += weighted_b * b[i];
      xy[i] += weighted_a * b[i];
    }
  }
}

// The similarities of a row of windows, and how they change with the three means that depend on `image`.
void similarities(Rows& moments, int64_t size, float* result, float* by_mean, float* by_square, float* by_product) {
  const float *x = moments[kTarget], *y = moments[kImage], *xx = moments[kTargetSquare], *yy = moments[kImageSquare],
              *xy = moments[kProduct];
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) {
    const float means = x[i] * y[i], squares = x[i] * x[i] + y[i] * y[i];
    const float luminance = 2 * means + kLuminance, contrast = 2 * (xy[i] - means) + kContrast;
    const float power = 1 / (squares + kLuminance), variance = 1 / (xx[i] + yy[i] - squares + kContrast);
    result[i] = luminance * contrast * power * variance;
    by_mean[i] = 2 * (x[i] * (contrast - luminance) * power * variance - y[i] * result[i] * (power - variance));
    by_square[i] = -result[i] * variance;
    by_product[i] = 2 * luminance * power * variance;
  }
}

}  // namespace

double ssim(const Picture& picture, const float* target, const float* image, float* slopes, int threads) {
  const auto weights = window();
  const int64_t row = picture.row(), size = picture.row_of_windows(), map = picture.windows_down() * size;
  std::vector<double> sums(picture.windows_down());
  parallel_ranges(picture.windows_down(), threads, [&](int64_t begin, int64_t end) {
    Rows columns(kMoments, row), moments(kMoments, size), results(4, size);
    for (int64_t r = begin; r < end; ++r) {
      blur_columns(target + r * row, image + r * row, weights, row, columns);
      for (int m = 0; m < kMoments; ++m) blur_row(columns[m], weights, picture.channels, size, moments[m]);
      similarities(moments, size, results[0], results[1], results[2], results[3]);
      sums[r] = std::accumulate(results[0], results[0] + size, 0.);
      if (slopes == nullptr) continue;
      for (int m = 0; m < 3; ++m) std::copy_n(results[m + 1], size, slopes + m * map + r * size);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.) / double(map);
}

void ssim_backward(const Picture& picture, const float* target, const float* image, const float* slopes, float scale,
                   float* gradient, int threads) {
  const auto weights = window();
  const int margin = (kWindow - 1) * picture.channels;
  const int64_t row = picture.row(), size = picture.row_of_windows(), map = picture.windows_down() * size;
  parallel_ranges(picture.height, threads, [&](int64_t begin, int64_t end) {
    Rows columns(3, size + 2 * margin), sums(3, row);
    for (int64_t r = begin; r < end; ++r) {
      columns.clear();
      // The windows that hold this row begin up to ten rows above.
      for (int k = 0; k < kWindow; ++k) {
        if (r - k < 0 || r - k >= picture.windows_down()) continue;
        for (int m = 0; m < 3; ++m) {
          const float* from = slopes + m * map + (r - k) * size;
          float* to = columns[m] + margin;
#pragma omp simd
          for (int64_t i = 0; i < size; ++i) to[i] += weights[k] * from[i];
        }
      }
      for (int m = 0; m < 3; ++m) blur_row(columns[m], weights, picture.channels, row, sums[m]);
      const float *by_mean = sums[0], *by_square = sums[1], *by_product = sums[2];
      const float *x = target + r * row, *y = image + r * row;
      for (int64_t i = 0; i < row; ++i)
        gradient[r * row + i] = scale * (by_mean[i] + 2 * y[i] * by_square[i] + x[i] * by_product[i]);
    }
  });
}

}  // namespace splat
