// How the Gaussians of a tile lie over its pixels, nearest first: what blending and whatever follows its weights share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "binning.h"
#include "blend.h"
#include "simd.h"

namespace splat {

constexpr int kBlock = 4;  // pixels along a side of a block: one block fills the lanes
constexpr int kBlocksAcross = kTile / kBlock;
constexpr int kBlocks = kBlocksAcross * kBlocksAcross;
constexpr int kChunk = 32;  // Gaussians whose opacities are computed ahead of the blending
constexpr int kAhead = 8;   // Gaussians that are fetched from memory ahead of their use: they lie all over it

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

  SPLAT_INLINE Opacity(const Splat& splat, const Floats& pixel_x, const Floats& pixel_y)
      : dx(Floats(splat.x) - pixel_x), dy(Floats(splat.y) - pixel_y) {
    const Floats half_distance = (Floats(0.5f * splat.xx) * dx + Floats(splat.xy) * dy) * dx +
                                 Floats(0.5f * splat.yy) * dy * dy;
    raw = Floats(splat.opacity) * exp_negative(half_distance);
    drawn = (raw >= kMinAlpha) & (half_distance >= 0.f);
  }

  SPLAT_INLINE Floats alpha() const { return select(drawn, smaller(raw, kMaxAlpha), 0.f); }
};

template <int C>
SPLAT_INLINE void fetch(const Splats& in, int32_t i) {
  constexpr int kLine = 16;  // floats
  __builtin_prefetch(in.means2d + 2 * i);
  __builtin_prefetch(in.conics + 3 * i);
  __builtin_prefetch(in.opacities + i);
  __builtin_prefetch(in.bounds + i);
  for (int c = 0; c < C; c += kLine) __builtin_prefetch(in.features + int64_t(C) * i + c);
}

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
      if (k + kAhead < tile.count) fetch<C>(in, in.entries[tile.begin + k + kAhead]);
      splats[k] = Splat(in, i, tile);
      if constexpr (C > 0) std::memcpy(&features[C * k], in.features + int64_t(C) * i, C * sizeof(float));
      for_blocks(in.bounds[i], tile, [&](int block) { lists[block * tile.count + counts[block]++] = int32_t(k); });
    }
  }
};

// Calls draw(how many, their places in the tile's list, weights of the lanes of each) for the Gaussians of a block that
// are drawn anywhere in it, nearest first, kChunk of them at most, until all lanes are full. Returns what is left of the
// light. A weight is alpha times the transmittance before it; 0 where the Gaussian is not drawn. Lanes outside the image
// have weights too.
template <class Draw>
SPLAT_INLINE Floats walk_block(const Stage& stage, const Tile& tile, int block, const Draw& draw) {
  const Floats pixel_x = Floats::load(kLaneX) + float(block % kBlocksAcross * kBlock);
  const Floats pixel_y = Floats::load(kLaneY) + float(block / kBlocksAcross * kBlock);
  const int32_t* list = stage.lists.data() + block * tile.count;
  Floats open = 1.f, left = 1.f;  // transmittance: zero once a pixel is full; and what it had then
  Floats weights[kChunk];         // first opacities
  int32_t places[kChunk];
  for (int64_t start = 0; start < stage.counts[block]; start += kChunk) {
    const int64_t size = std::min<int64_t>(kChunk, stage.counts[block] - start);
    int kept = 0;
    for (int64_t j = 0; j < size; ++j) {
      const int32_t place = list[start + j];
      const Opacity opacity(stage.splats[place], pixel_x, pixel_y);
      weights[kept] = opacity.alpha();
      places[kept] = place;
      kept += any(opacity.drawn);
    }
    for (int j = 0; j < kept; ++j) {
      const Floats share = weights[j] * open, rest = open - share;
      const Mask fits = rest > kMinTransmittance;
      weights[j] = select(fits, share, 0.f);
      open = select(fits, rest, 0.f);
      left = select(fits, rest, left);
    }
    draw(kept, places, weights);
    if (!any(open > 0.f)) break;
  }
  return left;
}

}  // namespace splat
