#include "image_loss.h"

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

int windows_down(const Picture& picture) { return picture.height - kWindow + 1; }
int64_t row_size(const Picture& picture) { return int64_t(picture.width) * picture.channels; }
int64_t row_of_windows(const Picture& picture) { return int64_t(picture.width - kWindow + 1) * picture.channels; }
int64_t numbers(const Picture& picture) { return picture.height * row_size(picture); }
int64_t windows(const Picture& picture) { return windows_down(picture) * row_of_windows(picture); }

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

// Means under a window; similarity needs the sum of the variances only.
enum Moment { kPhoto, kRendered, kSquares, kProduct, kMoments };

// Means over the columns of the windows of one row of windows.
void blur_columns(const float* rendered, const float* photo, const std::array<float, kWindow>& weights, int64_t row,
                  Rows& moments) {
  moments.clear();
  float *x = moments[kPhoto], *y = moments[kRendered], *squares = moments[kSquares], *product = moments[kProduct];
  for (int k = 0; k < kWindow; ++k) {
    const float *a = photo + k * row, *b = rendered + k * row;
#pragma omp simd
    for (int64_t i = 0; i < row; ++i) {
      const float weighted_a = weights[k] * a[i], weighted_b = weights[k] * b[i];
      x[i] += weighted_a;
      y[i] += weighted_b;
      squares[i] += weighted_a * a[i] + weighted_b * b[i];
      product[i] += weighted_a * b[i];
    }
  }
}

// The similarities of a row of windows, and how they change with the three means that depend on the rendered picture.
void compare_windows(Rows& moments, int64_t size, Rows& results) {
  const float *x = moments[kPhoto], *y = moments[kRendered], *squares = moments[kSquares], *product = moments[kProduct];
  float *similarity = results[0], *by_mean = results[1], *by_square = results[2], *by_product = results[3];
#pragma omp simd
  for (int64_t i = 0; i < size; ++i) {
    const float means = x[i] * y[i], power = x[i] * x[i] + y[i] * y[i];
    const float luminance = 2 * means + kLuminance, contrast = 2 * (product[i] - means) + kContrast;
    const float by_power = 1 / (power + kLuminance), by_variance = 1 / (squares[i] - power + kContrast);
    const float found = luminance * contrast * by_power * by_variance;
    similarity[i] = found;
    by_mean[i] = 2 * (x[i] * (contrast - luminance) * by_power * by_variance - y[i] * found * (by_power - by_variance));
    by_square[i] = -found * by_variance;
    by_product[i] = 2 * luminance * by_power * by_variance;
  }
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.); }

}  // namespace

Resemblance compare(const Picture& picture, const float* rendered, const float* photo, float* slopes, int threads) {
  const auto weights = window();
  const int64_t row = row_size(picture), size = row_of_windows(picture);
  std::vector<double> similarities(windows_down(picture)), differences(picture.height);
  parallel_ranges(windows_down(picture), threads, [&](int64_t begin, int64_t end) {
    Rows columns(kMoments, row), moments(kMoments, size), results(4, size);
    for (int64_t r = begin; r < end; ++r) {
      blur_columns(rendered + r * row, photo + r * row, weights, row, columns);
      for (int m = 0; m < kMoments; ++m) blur_row(columns[m], weights, picture.channels, size, moments[m]);
      compare_windows(moments, size, results);
      similarities[r] = std::accumulate(results[0], results[0] + size, 0.);
      if (slopes == nullptr) continue;
      for (int m = 0; m < 3; ++m) std::copy_n(results[m + 1], size, slopes + m * windows(picture) + r * size);
    }
  });
  parallel_for(picture.height, threads, [&](int64_t r) {
    for (int64_t i = r * row; i < (r + 1) * row; ++i) differences[r] += std::fabs(rendered[i] - photo[i]);
  });
  return {sum(differences) / double(numbers(picture)), sum(similarities) / double(windows(picture))};
}

void compare_backward(const Picture& picture, const float* rendered, const float* photo, const float* slopes,
                      const Resemblance& upstream, float* gradient, int threads) {
  const auto weights = window();
  const int margin = (kWindow - 1) * picture.channels;
  const int64_t row = row_size(picture), size = row_of_windows(picture);
  const float of_window = float(upstream.similarity / double(windows(picture)));
  const float of_number = float(upstream.difference / double(numbers(picture)));
  parallel_ranges(picture.height, threads, [&](int64_t begin, int64_t end) {
    Rows columns(3, size + 2 * margin), sums(3, row);
    for (int64_t r = begin; r < end; ++r) {
      columns.clear();
      // The windows that hold this row begin up to ten rows above.
      for (int64_t above = std::max<int64_t>(r - windows_down(picture) + 1, 0); above < kWindow && above <= r; ++above)
        for (int m = 0; m < 3; ++m) {
          const float* from = slopes + m * windows(picture) + (r - above) * size;
          float* to = columns[m] + margin;
#pragma omp simd
          for (int64_t i = 0; i < size; ++i) to[i] += weights[above] * from[i];
        }
      for (int m = 0; m < 3; ++m) blur_row(columns[m], weights, picture.channels, row, sums[m]);
      const float *by_mean = sums[0], *by_square = sums[1], *by_product = sums[2];
      const float *x = photo + r * row, *y = rendered + r * row;
#pragma omp simd
      for (int64_t i = 0; i < row; ++i) {
        const float sign = float(y[i] > x[i]) - float(y[i] < x[i]);
        const float by_similarity = by_mean[i] + 2 * y[i] * by_square[i] + x[i] * by_product[i];
        gradient[r * row + i] = of_number * sign + of_window * by_similarity;
      }
    }
  });
}

}  // namespace splat
