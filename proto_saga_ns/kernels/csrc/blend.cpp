#include "blend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "parallel.h"
#include "simd.h"
#include "tile.h"
#include "tile_channels.h"

namespace splat {
namespace {

// also(place in the tile's list, weights) for every Gaussian that is drawn.
template <int C, class Also>
void blend_block(const Stage& stage, const Tile& tile, int block, const Grid& grid, const Image& out,
                 const Also& also) {
  Ints last(-1);
  Floats sum[C];
  for (auto& channel : sum) channel = 0.f;
  const Floats left = walk_block(stage, tile, block, [&](int32_t place, const Floats& weight) {
    last = select(weight > 0.f, Ints(place), last);
    const float* features = stage.features.data() + int64_t(C) * place;
    for (int c = 0; c < C; ++c) sum[c] += weight * Floats(features[c]);
    also(place, weight);
  });
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
    const auto nothing = [](int32_t, const Floats&) {};
    for (int block = 0; block < kBlocks; ++block) blend_block<C>(stages[worker], tile, block, grid, out, nothing);
  });
}

template <int C>
void blend_all_with_sparse(const Splats& in, const Grid& grid, const Image& out, const SparseChannels& sparse,
                           const TiledChannels& tiled, int threads) {
  std::vector<Stage> stages(threads);
  std::vector<TileChannels> working(threads, TileChannels(sparse));
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    const Tile tile(index, grid, in.offsets);
    TileChannels& own = working[worker];
    stages[worker].fill<C>(in, tile);
    own.fill(in.entries, tile);
    const int64_t start = tiled.starts[index], size = own.labels().size();
    std::copy(own.labels().begin(), own.labels().end(), tiled.labels + start);
    float* values = tiled.values + kTile * kTile * start;
    for (int block = 0; block < kBlocks; ++block, values += kLanes * size) {
      own.clear();
      blend_block<C>(stages[worker], tile, block, grid, out,
                     [&](int32_t place, const Floats& weight) { own.add(place, weight); });
      std::memcpy(values, own.sums(), kLanes * size * sizeof(float));
    }
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
  parallel_ranges(size * threads, threads,
                  [&](int64_t begin, int64_t end) { std::fill(buffers + begin, buffers + end, 0.f); });
  // Sums come out the same each time: a worker always has the same tiles, neighbours four by four, in diagonal stripes.
  parallel_for(threads, threads, [&](int64_t worker) {
    for (int64_t index = 0; index < grid.tiles(); ++index)
      if ((index / 4 + index / grid.columns) % threads == worker)
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
  static bool forward_with_sparse(int channels, const Splats& in, const Grid& grid, const Image& out,
                                  const SparseChannels& sparse, const TiledChannels& tiled, int threads) {
    return ((channels == Counts && (blend_all_with_sparse<Counts>(in, grid, out, sparse, tiled, threads), true)) ||
            ...);
  }
  static bool backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& image,
                       const ImageGradient& upstream, float* buffers, int threads) {
    return (
        (channels == Counts && (blend_all_backward<Counts>(n, in, grid, image, upstream, buffers, threads), true)) ||
        ...);
  }
};

using AllKernels = Kernels<1, 2, 3, 4, 8, 12, 16, 19, 20, 24, 32>;

}  // namespace

int padded_channels(int channels) { return AllKernels::padded(channels); }

bool blend(int channels, const Splats& in, const Grid& grid, const Image& out, const SparseChannels* sparse,
           const TiledChannels* tiled, int threads) {
  if (sparse == nullptr) return AllKernels::forward(channels, in, grid, out, threads);
  return AllKernels::forward_with_sparse(channels, in, grid, out, *sparse, *tiled, threads);
}

bool blend_backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& forward,
                    const ImageGradient& upstream, float* buffers, int threads) {
  return AllKernels::backward(channels, n, in, grid, forward, upstream, buffers, threads);
}

}  // namespace splat
