#include "blend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "channel_counts.h"
#include "parallel.h"
#include "simd.h"
#include "tile.h"
#include "tile_channels.h"

namespace splat {
namespace {

constexpr int kTogether = kParts == 1 ? 24 : 12 / kParts;  // channels whose sums stay in registers

// Adds weight x feature of a chunk of Gaussians to the sums of the channels from First on.
template <int C, int First = 0>
SPLAT_INLINE void add_channels(const Stage& stage, int count, const int32_t* places, const Floats* weights,
                               Floats* sum) {
  constexpr int kSize = C - First < kTogether ? C - First : kTogether;
  Floats sums[kSize];
#pragma GCC unroll 24
  for (int j = 0; j < kSize; ++j) sums[j] = sum[First + j];
  for (int k = 0; k < count; ++k) {
    const float* features = stage.features.data() + int64_t(C) * places[k] + First;
#pragma GCC unroll 24
    for (int j = 0; j < kSize; ++j) sums[j] += weights[k] * Floats(features[j]);
  }
#pragma GCC unroll 24
  for (int j = 0; j < kSize; ++j) sum[First + j] = sums[j];
  if constexpr (First + kSize < C) add_channels<C, First + kSize>(stage, count, places, weights, sum);
}

// also(how many, their places in the tile's list, weights) for every chunk of Gaussians that are drawn.
template <int C, class Also>
void blend_block(const Stage& stage, const Tile& tile, int block, const Grid& grid, const Image& out,
                 const Also& also) {
  Ints last(-1);
  Floats sum[C];
  for (auto& channel : sum) channel = 0.f;
  const Floats left = walk_block(stage, tile, block, [&](int count, const int32_t* places, const Floats* weights) {
    for (int k = 0; k < count; ++k) last = select(weights[k] > 0.f, Ints(places[k]), last);
    add_channels<C>(stage, count, places, weights, sum);
    also(count, places, weights);
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
    const auto nothing = [](int, const int32_t*, const Floats*) {};
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
                     [&](int count, const int32_t* places, const Floats* weights) {
                       for (int k = 0; k < count; ++k) own.add(places[k], weights[k]);
                     });
      std::memcpy(values, own.sums(), kLanes * size * sizeof(float));
    }
  });
}

}  // namespace

int padded_channels(int channels) { return AllCounts::padded(channels); }

bool blend(int channels, const Splats& in, const Grid& grid, const Image& out, const SparseChannels* sparse,
           const TiledChannels* tiled, int threads) {
  return AllCounts::call(channels, [&](auto count) {
    if (sparse == nullptr)
      blend_all<count>(in, grid, out, threads);
    else
      blend_all_with_sparse<count>(in, grid, out, *sparse, *tiled, threads);
  });
}

}  // namespace splat
