#include "blend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace splat {
namespace {

constexpr int kBlock = 4;                           // pixels along a side of a block: one block fills the lanes
constexpr int kBlocksAcross = kTile / kBlock;
constexpr int kBlocks = kBlocksAcross * kBlocksAcross;
constexpr int kChunk = 32;                          // Gaussians whose opacities are computed ahead of the blending

alignas(64) constexpr float kLaneX[kLanes] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
alignas(64) constexpr float kLaneY[kLanes] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};

struct Tile {
  int64_t index, begin, count;
  int left, top;

  Tile(int64_t index, const Grid& grid, const int64_t* offsets)
      : index(index),
        begin(offsets[index]),
        count(offsets[index + 1] - offsets[index]),
        left(int(index % grid.columns) * kTile),
        top(int(index / grid.columns) * kTile) {}
};

// Calls body(lane, pixel index) for the lanes of a block that lie inside the image.
template <class Body>
void for_pixels(const Tile& tile, int block, const Grid& grid, const Body& body) {
  const int x0 = tile.left + block % kBlocksAcross * kBlock, y0 = tile.top + block / kBlocksAcross * kBlock;
  const int columns = std::min(kBlock, grid.width - x0), rows = std::min(kBlock, grid.height - y0);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x) body(y * kBlock + x, int64_t(y0 + y) * grid.width + x0 + x);
}

// Blocks of the tile that a Gaussian's bounds touch.
template <class Body>
inline void for_blocks(const Bounds& bounds, const Tile& tile, const Body& body) {
  const int left = std::max(0, bounds.x0 - tile.left) / kBlock;
  const int right = std::min(kTile - 1, bounds.x1 - 1 - tile.left) / kBlock;
  const int top = std::max(0, bounds.y0 - tile.top) / kBlock;
  const int bottom = std::min(kTile - 1, bounds.y1 - 1 - tile.top) / kBlock;
  for (int y = top; y <= bottom; ++y)
    for (int x = left; x <= right; ++x) body(y * kBlocksAcross + x);
}

// A Gaussian as the lanes of a block see it.
struct Splat {
  float x, y, xx, xy, yy, opacity;  // mean relative to the centre of the tile's first pixel; conic

  Splat() = default;
  Splat(const Splats& in, int32_t i, const Tile& tile)
      : x(in.means2d[2 * i] - tile.left - 0.5f),
        y(in.means2d[2 * i + 1] - tile.top - 0.5f),
        xx(in.conics[3 * i]),
        xy(in.conics[3 * i + 1]),
        yy(in.conics[3 * i + 2]),
        opacity(in.opacities[i]) {}
};

struct Opacity {
  Floats dx, dy, raw;  // offset from the mean; opacity before it is capped
  Mask drawn;

  Opacity(const Splat& splat, const Floats& pixel_x, const Floats& pixel_y)
      : dx(Floats(splat.x) - pixel_x), dy(Floats(splat.y) - pixel_y) {
    const Floats half_distance =
        (Floats(0.5f * splat.xx) * dx + Floats(splat.xy) * dy) * dx + Floats(0.5f * splat.yy) * dy * dy;
    raw = Floats(splat.opacity) * exp_negative(half_distance);
    drawn = (raw >= kMinAlpha) & (half_distance >= 0.f);
  }

  Floats alpha() const { return select(drawn, smaller(raw, kMaxAlpha), 0.f); }
};

// Working memory of one thread, kept from tile to tile.
struct Stage {
  std::vector<Splat> splats;
  std::vector<float> features;
  std::vector<int32_t> lists;  // for every block, the places of its Gaussians in the tile's list
  int64_t counts[kBlocks];

  template <int C>
  void fill(const Splats& in, const Tile& tile) {
    if (int64_t(splats.size()) < tile.count) {
      splats.resize(tile.count);
      lists.resize(kBlocks * tile.count);
    }
    if (int64_t(features.size()) < C * tile.count) features.resize(C * tile.count);
    std::fill(counts, counts + kBlocks, 0);
    for (int64_t k = 0; k < tile.count; ++k) {
      const int32_t i = in.entries[tile.begin + k];
      splats[k] = Splat(in, i, tile);
      std::memcpy(&features[C * k], in.features + int64_t(C) * i, C * sizeof(float));
      for_blocks(in.bounds[i], tile, [&](int block) { lists[block * tile.count + counts[block]++] = int32_t(k); });
    }
  }
};

template <int C>
void blend_block(const Stage& stage, const Tile& tile, int block, const Grid& grid, const Image& out) {
  const Floats pixel_x = Floats::load(kLaneX) + float(block % kBlocksAcross * kBlock);
  const Floats pixel_y = Floats::load(kLaneY) + float(block / kBlocksAcross * kBlock);
  const int32_t* list = stage.lists.data() + block * tile.count;
  Floats open = 1.f, left = 1.f;  // transmittance: zero once a pixel is full; and what it had then
  Ints last(-1);
  Floats sum[C];
  for (auto& channel : sum) channel = 0.f;
  Floats alphas[kChunk];
  int32_t places[kChunk];
  for (int64_t start = 0; start < stage.counts[block]; start += kChunk) {
    const int64_t size = std::min<int64_t>(kChunk, stage.counts[block] - start);
    int kept = 0;
    for (int64_t j = 0; j < size; ++j) {
      const int32_t place = list[start + j];
      const Opacity opacity(stage.splats[place], pixel_x, pixel_y);
      alphas[kept] = opacity.alpha();
      places[kept] = place;
      kept += any(opacity.drawn);
    }
    for (int j = 0; j < kept; ++j) {
      const Floats share = alphas[j] * open, rest = open - share;
      const Mask fits = rest > kMinTransmittance;
      const Floats weight = select(fits, share, 0.f);
      last = select(weight > 0.f, Ints(places[j]), last);
      open = select(fits, rest, 0.f);
      left = select(fits, rest, left);
      const float* features = stage.features.data() + int64_t(C) * places[j];
      for (int c = 0; c < C; ++c) sum[c] += weight * Floats(features[c]);
    }
    if (!any(open > 0.f)) break;
  }
  alignas(64) float lanes[C][kLanes], transmittance[kLanes];
  alignas(64) int32_t last_lanes[kLanes];
  for (int c = 0; c < C; ++c) sum[c].store(lanes[c]);
  left.store(transmittance);
  last.store(last_lanes);
  for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
    for (int c = 0; c < C; ++c) out.features[pixel * C + c] = lanes[c][lane];
    out.transmittance[pixel] = transmittance[lane];
    out.last[pixel] = last_lanes[lane];
  });
}

template <int C>
void blend_all(const Splats& in, const Grid& grid, const Image& out, int threads) {
  std::vector<Stage> stages(threads);
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    const Tile tile(index, grid, in.offsets);
    stages[worker].fill<C>(in, tile);
    for (int block = 0; block < kBlocks; ++block) blend_block<C>(stages[worker], tile, block, grid, out);
  });
}

// What the backward pass carries for a block while it walks from the last Gaussian to the first.
template <int C>
struct BlockState {
  Floats upstream[C];      // gradient of the image
  Floats transmittance;    // behind the Gaussian at hand, later before it
  Floats from_background;  // gradient of alpha times final transmittance
  Floats from_behind;      // sum over what lies behind of weight x (features . upstream)
  Ints last;
  int32_t last_of_all;
};

template <int C>
void load_state(const Tile& tile, int block, const Grid& grid, const Image& forward, const ImageGradient& upstream,
                BlockState<C>& state) {
  alignas(64) float lanes[C][kLanes] = {}, transmittance[kLanes], background[kLanes] = {};
  alignas(64) int32_t last[kLanes];
  std::fill(transmittance, transmittance + kLanes, 1.f);
  std::fill(last, last + kLanes, -1);
  for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
    for (int c = 0; c < C; ++c) lanes[c][lane] = upstream.features[pixel * C + c];
    transmittance[lane] = forward.transmittance[pixel];
    background[lane] = forward.transmittance[pixel] * upstream.alpha[pixel];
    last[lane] = forward.last[pixel];
  });
  for (int c = 0; c < C; ++c) state.upstream[c] = Floats::load(lanes[c]);
  state.transmittance = Floats::load(transmittance);
  state.from_background = Floats::load(background);
  state.from_behind = 0.f;
  std::memcpy(state.last.part, last, sizeof(last));
  state.last_of_all = *std::max_element(last, last + kLanes);
}

// Gradients of one Gaussian, summed over blocks, still one value a lane.
template <int C>
struct Sums {
  static constexpr int kSize = (kGeometry + C + 3) / 4 * 4;
  Floats value[kSize];

  void clear() {
    for (auto& v : value) v = 0.f;
  }

  void add_to(float* row, float opacity) const {
    alignas(16) float total[kSize];
    for (int j = 0; j < kSize; j += 4) {
      const Quad four = sum_lanes(value[j], value[j + 1], value[j + 2], value[j + 3]);
      std::memcpy(total + j, &four, sizeof(four));
    }
    total[2] *= 0.5f;
    total[4] *= 0.5f;
    total[5] /= -opacity;
    for (int j = 0; j < kGeometry + C; ++j) row[j] += total[j];
  }
};

// Adds what one block contributes to the gradients of one Gaussian; false if it was not drawn there.
template <int C>
inline bool add_block(const Splat& splat, const float* features, int32_t place, int block, BlockState<C>& state,
                      Sums<C>& sums) {
  const Floats pixel_x = Floats::load(kLaneX) + float(block % kBlocksAcross * kBlock);
  const Floats pixel_y = Floats::load(kLaneY) + float(block / kBlocksAcross * kBlock);
  const Opacity opacity(splat, pixel_x, pixel_y);
  const Mask drawn = opacity.drawn & (state.last >= place);
  if (!any(drawn)) return false;
  const Floats alpha = select(drawn, smaller(opacity.raw, kMaxAlpha), 0.f);
  const Floats inverse = Floats(1.f) / (Floats(1.f) - alpha);
  const Floats before = state.transmittance * inverse;
  state.transmittance = before;
  const Floats weight = alpha * before;
  Floats even = 0.f, odd = 0.f;  // two chains, so that additions overlap
#pragma GCC unroll 32
  for (int c = 0; c + 1 < C; c += 2) {
    even += Floats(features[c]) * state.upstream[c];
    odd += Floats(features[c + 1]) * state.upstream[c + 1];
  }
  if (C % 2) even += Floats(features[C - 1]) * state.upstream[C - 1];
  const Floats along = even + odd;
#pragma GCC unroll 32
  for (int c = 0; c < C; ++c) sums.value[kGeometry + c] += weight * state.upstream[c];
  const Floats g_alpha = before * along + inverse * (state.from_background - state.from_behind);
  state.from_behind += weight * along;
  const Floats g_exponent = select(opacity.raw <= kMaxAlpha, Floats(0.f) - alpha * g_alpha, 0.f);
  const Floats gx = g_exponent * opacity.dx, gy = g_exponent * opacity.dy;
  const Floats mean_x = Floats(splat.xx) * gx + Floats(splat.xy) * gy;
  const Floats mean_y = Floats(splat.xy) * gx + Floats(splat.yy) * gy;
  sums.value[0] += mean_x;
  sums.value[1] += mean_y;
  sums.value[2] += gx * opacity.dx;
  sums.value[3] += gx * opacity.dy;
  sums.value[4] += gy * opacity.dy;
  sums.value[5] += g_exponent;
  sums.value[6] += absolute(mean_x);
  sums.value[7] += absolute(mean_y);
  return true;
}

template <int C>
void tile_backward(const Tile& tile, const Splats& in, const Grid& grid, const Image& forward,
                   const ImageGradient& upstream, float* rows) {
  constexpr int64_t kRow = kGeometry + C;
  constexpr int64_t kAhead = 6;
  BlockState<C> states[kBlocks];
  int64_t last = -1;
  for (int block = 0; block < kBlocks; ++block) {
    load_state<C>(tile, block, grid, forward, upstream, states[block]);
    last = std::max<int64_t>(last, states[block].last_of_all);
  }
  Sums<C> sums;
  for (int64_t k = last; k >= 0; --k) {
    const int32_t i = in.entries[tile.begin + k];
    if (k >= kAhead) {
      const float* soon = rows + kRow * in.entries[tile.begin + k - kAhead];
      __builtin_prefetch(soon, 1);
      __builtin_prefetch(soon + kRow / 2, 1);
    }
    const Splat splat(in, i, tile);
    const float* features = in.features + int64_t(C) * i;
    sums.clear();
    bool drawn = false;
    for_blocks(in.bounds[i], tile, [&](int block) {
      if (k <= states[block].last_of_all)
        drawn |= add_block<C>(splat, features, int32_t(k), block, states[block], sums);
    });
    if (drawn) sums.add_to(rows + kRow * i, splat.opacity);
  }
}

template <int C>
void blend_all_backward(int64_t n, const Splats& in, const Grid& grid, const Image& forward,
                        const ImageGradient& upstream, float* buffers, int threads) {
  const int64_t size = n * (kGeometry + C);
  parallel_ranges(size * threads, threads, [&](int64_t begin, int64_t end) {
    std::fill(buffers + begin, buffers + end, 0.f);
  });
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    tile_backward<C>(Tile(index, grid, in.offsets), in, grid, forward, upstream, buffers + size * worker);
  });
  parallel_ranges(size, threads, [&](int64_t begin, int64_t end) {
    for (int worker = 1; worker < threads; ++worker)
      for (int64_t j = begin; j < end; ++j) buffers[j] += buffers[size * worker + j];
  });
}

template <int... Counts>
struct Kernels {
  static int padded(int channels) {
    int best = 0;
    ((best = (Counts >= channels && (best == 0 || Counts < best)) ? Counts : best), ...);
    return best;
  }
  static bool forward(int channels, const Splats& in, const Grid& grid, const Image& out, int threads) {
    return ((channels == Counts && (blend_all<Counts>(in, grid, out, threads), true)) || ...);
  }
  static bool backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& image,
                       const ImageGradient& upstream, float* buffers, int threads) {
    return ((channels == Counts &&
             (blend_all_backward<Counts>(n, in, grid, image, upstream, buffers, threads), true)) ||
            ...);
  }
};

using AllKernels = Kernels<1, 2, 3, 4, 8, 12, 16, 19, 20, 24, 32>;

}  // namespace

int padded_channels(int channels) { return AllKernels::padded(channels); }

bool blend(int channels, const Splats& in, const Grid& grid, const Image& out, int threads) {
  return AllKernels::forward(channels, in, grid, out, threads);
}

bool blend_backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& forward,
                    const ImageGradient& upstream, float* buffers, int threads) {
  return AllKernels::backward(channels, n, in, grid, forward, upstream, buffers, threads);
}

}  // namespace splat
