#include "binning.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "parallel.h"

namespace splat {
namespace {

constexpr size_t kAhead =
    16;  // Gaussians whose bounds are fetched before their turn: in order of depth they lie all over
constexpr float kUnbounded = std::numeric_limits<float>::infinity();

// First and last pixel (exclusive) whose centre lies within `extent` of `center`, cut to the tiles that gsplat's
// radius touches and to the image.
void axis_bounds(float center, float extent, float radius, int size, int32_t& first, int32_t& last) {
  const float tiles = std::ceil(size / float(kTile));
  const int low = kTile * int(std::min(std::max(std::floor((center - radius) / kTile), 0.f), tiles));
  const int high = kTile * int(std::min(std::max(std::ceil((center + radius) / kTile), 0.f), tiles));
  const float limit = float(size) + 1.f;
  first = std::max(low, int(std::ceil(std::min(std::max(center - extent - 0.5f, -1.f), limit))));
  last = std::min({high, size, int(std::floor(std::min(std::max(center + extent - 0.5f, -1.f), limit))) + 1});
}

Bounds bounds_of(const float* mean, const float* conic, float opacity, int32_t radius, const Grid& grid) {
  Bounds bounds{0, 0, 0, 0};
  const float level = 2.f * std::log(opacity / kMinAlpha) + 1e-4f;  // squared Mahalanobis distance of the border
  if (radius <= 0 || !(level > 0)) return bounds;
  // In double: for a long, thin Gaussian all digits of a float cancel. If even these do, the radius alone bounds it.
  const double determinant = double(conic[0]) * conic[2] - double(conic[1]) * conic[1];
  const float scale = determinant > 0 ? float(level / determinant) : kUnbounded;
  axis_bounds(mean[0], std::sqrt(scale * conic[2]), float(radius), grid.width, bounds.x0, bounds.x1);
  axis_bounds(mean[1], std::sqrt(scale * conic[0]), float(radius), grid.height, bounds.y0, bounds.y1);
  if (bounds.empty()) return Bounds{0, 0, 0, 0};
  return bounds;
}

template <class Body>
void for_tiles_in_rows(const Bounds& b, const Grid& grid, int first_row, int last_row, const Body& body) {
  if (b.empty()) return;
  const int last = std::min(last_row, (b.y1 - 1) / kTile + 1);
  for (int row = std::max(first_row, b.y0 / kTile); row < last; ++row)
    for (int column = b.x0 / kTile; column <= (b.x1 - 1) / kTile; ++column) body(int64_t(row) * grid.columns + column);
}

// Indices of the visible Gaussians by ascending depth: a stable radix sort on the bits of positive floats.
std::vector<int32_t> by_depth(int64_t n, const float* depths, const Bounds* bounds) {
  constexpr int kDigit = 11, kBuckets = 1 << kDigit;
  struct Item {
    uint32_t key;
    int32_t index;
  };
  std::vector<Item> items, other;
  items.reserve(n);
  for (int64_t i = 0; i < n; ++i) {
    if (bounds[i].empty()) continue;
    uint32_t key;
    std::memcpy(&key, depths + i, sizeof(key));
    items.push_back({key, int32_t(i)});
  }
  other.resize(items.size());
  for (int shift = 0; shift < 32; shift += kDigit) {
    int64_t start[kBuckets + 1] = {};
    for (const auto& item : items) ++start[((item.key >> shift) & (kBuckets - 1)) + 1];
    for (int b = 0; b < kBuckets; ++b) start[b + 1] += start[b];
    for (const auto& item : items) other[start[(item.key >> shift) & (kBuckets - 1)]++] = item;
    items.swap(other);
  }
  std::vector<int32_t> order(items.size());
  for (size_t i = 0; i < items.size(); ++i) order[i] = items[i].index;
  return order;
}

}  // namespace

int64_t count_entries(int64_t n, const float* means2d, const float* conics, const float* opacities,
                      const int32_t* radii, const Grid& grid, Bounds* bounds, int64_t* offsets, int threads) {
  parallel_for(n, threads, [&](int64_t i) {
    bounds[i] = bounds_of(means2d + 2 * i, conics + 3 * i, opacities[i], radii[i], grid);
  });
  std::fill(offsets, offsets + grid.tiles() + 1, 0);
  for (int64_t i = 0; i < n; ++i)
    for_tiles_in_rows(bounds[i], grid, 0, grid.rows, [&](int64_t tile) { ++offsets[tile + 1]; });
  for (int64_t tile = 0; tile < grid.tiles(); ++tile) offsets[tile + 1] += offsets[tile];
  return offsets[grid.tiles()];
}

void fill_entries(int64_t n, const float* depths, const Bounds* bounds, const Grid& grid, const int64_t* offsets,
                  int32_t* entries, int threads) {
  const std::vector<int32_t> order = by_depth(n, depths, bounds);
  std::vector<int64_t> next(offsets, offsets + grid.tiles());
  // Every thread walks all Gaussians and fills rows of tiles of its own: no two write to the same tile.
  parallel_ranges(grid.rows, threads, [&](int64_t first, int64_t last) {
    for (size_t k = 0; k < order.size(); ++k) {
      const int32_t i = order[k];
      __builtin_prefetch(bounds + order[std::min(k + kAhead, order.size() - 1)]);
      for_tiles_in_rows(bounds[i], grid, int(first), int(last), [&](int64_t tile) { entries[next[tile]++] = i; });
    }
  });
}

}  // namespace splat
