// The gradient of blending. A block of pixels is walked from its last Gaussian to its first, a chunk at a time: what does
// not depend on the Gaussian behind (opacities, products of features with the gradient of the image) is computed for a
// whole chunk, then the light is followed through it, then the chunk's sums over pixels are taken together. Products and
// sums are those of small matrices, several Gaussians at a time in registers.

#include <algorithm>
#include <cstring>
#include <vector>

#include "blend.h"
#include "channel_counts.h"
#include "parallel.h"
#include "simd.h"
#include "tile.h"

namespace splat {
namespace {

typedef float Eight __attribute__((vector_size(32)));

constexpr float kMiddle = 0.5f * (kBlock - 1);     // of a block, from its first pixel
constexpr int kRegisters = kParts == 1 ? 24 : 12;  // that hold sums, of the 32 or 16 that there are

constexpr int power_of_two_up_to(int limit) { return limit < 2 ? 1 : 2 * power_of_two_up_to(limit / 2); }
constexpr int kTogether = power_of_two_up_to(std::min(kRegisters / kParts, 8));  // Gaussians whose lanes fit there

// 1, x, y, xx, xy, yy of each pixel of a block, from its middle.
struct Moments {
  alignas(32) float of_lane[kLanes][8] = {};

  constexpr Moments() {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float x = kLaneX[lane] - kMiddle, y = kLaneY[lane] - kMiddle;
      const float values[] = {1, x, y, x * x, x * y, y * y};
      for (int j = 0; j < 6; ++j) of_lane[lane][j] = values[j];
    }
  }
};
constexpr Moments kMoments;

template <class Vector>
inline Vector loaded(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <class Vector>
inline void add_to(float* to, const Vector& value) {
  const Vector sum = loaded<Vector>(to) + value;
  std::memcpy(to, &sum, sizeof(sum));
}

// C channels of a pixel or a Gaussian, in registers; zeros at the end.
template <int C>
constexpr int kWide = (C + kNative - 1) / kNative;

// A Gaussian's sums in one tile: kGeometry, then channels with zeros at the end.
template <int C>
constexpr int kRow = kGeometry + kWide<C> * kNative;

// What the backward pass knows of a block before it meets a Gaussian, and what it carries from one to the next.
template <int C>
struct BlockState {
  Floats upstream[C];                                    // gradient of the image
  alignas(64) float pixels[kLanes][kWide<C> * kNative];  // the same, a pixel at a time
  Floats transmittance;                                  // behind the Gaussian at hand, later before it
  Floats from_background;                                // gradient of alpha times final transmittance
  Floats from_behind;                                    // sum over what lies behind of weight x (features . upstream)
  Ints last;
  int32_t last_of_all;

  void load(const Tile& tile, int block, const Grid& grid, const Image& forward, const ImageGradient& given) {
    alignas(64) float lanes[C][kLanes] = {}, light[kLanes], background[kLanes] = {};
    alignas(64) int32_t last_lanes[kLanes];
    std::memset(pixels, 0, sizeof(pixels));
    std::fill(light, light + kLanes, 1.f);
    std::fill(last_lanes, last_lanes + kLanes, -1);
    for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
      const float* gradient = given.features + pixel * C;
      std::copy(gradient, gradient + C, pixels[lane]);
      for (int c = 0; c < C; ++c) lanes[c][lane] = gradient[c];
      light[lane] = forward.transmittance[pixel];
      background[lane] = forward.transmittance[pixel] * given.alpha[pixel];
      last_lanes[lane] = forward.last[pixel];
    });
    for (int c = 0; c < C; ++c) upstream[c] = Floats::load(lanes[c]);
    transmittance = Floats::load(light);
    from_background = Floats::load(background);
    from_behind = 0.f;
    std::memcpy(last.part, last_lanes, sizeof(last_lanes));
    last_of_all = *std::max_element(last_lanes, last_lanes + kLanes);
  }
};

// Gaussians that are drawn in a block, the last first, and what is known of each at its pixels.
struct Chunk {
  int count;
  int32_t places[kChunk];
  const float* features[kChunk];
  Floats raw[kChunk];     // opacity before it is capped; 0 where it is not drawn
  Floats along[kChunk];   // features . upstream
  Floats weight[kChunk];  // alpha times the transmittance before it
  Floats slope[kChunk];   // gradient of the exponent

  // Takes places from the end of the list, at most as many as fit; returns how many are left.
  template <int C>
  int64_t gather(const Stage& stage, const int32_t* list, int64_t left, const Floats& pixel_x, const Floats& pixel_y,
                 const Ints& last) {
    count = 0;
    while (left > 0 && count < kChunk) {
      const int32_t place = list[--left];
      const Opacity opacity(stage.splats[place], pixel_x, pixel_y);
      const Mask drawn = opacity.drawn & (last >= place);
      raw[count] = select(drawn, opacity.raw, 0.f);
      places[count] = place;
      features[count] = stage.features.data() + int64_t(C) * place;
      count += any(drawn);
    }
    return left;
  }

  // Up to where sums are taken: the rest repeats the first one without a weight.
  int fill_up(int multiple) {
    const int end = (count + multiple - 1) / multiple * multiple;
    for (int j = count; j < end; ++j) {
      features[j] = features[0];
      places[j] = places[0];
      weight[j] = slope[j] = 0.f;
    }
    return end;
  }
};

template <int C>
void multiply(const BlockState<C>& state, Chunk& chunk) {
  for (int start = 0; start < chunk.fill_up(kTogether); start += kTogether) {
    Floats sums[kTogether];
#pragma GCC unroll 8
    for (int j = 0; j < kTogether; ++j) sums[j] = 0.f;
    for (int c = 0; c < C; ++c) {
      const Floats upstream = state.upstream[c];
#pragma GCC unroll 8
      for (int j = 0; j < kTogether; ++j) sums[j] += Floats(chunk.features[start + j][c]) * upstream;
    }
#pragma GCC unroll 8
    for (int j = 0; j < kTogether; ++j) chunk.along[start + j] = sums[j];
  }
}

template <int C>
void follow_light(BlockState<C>& state, Chunk& chunk) {
  Floats transmittance = state.transmittance, from_behind = state.from_behind;
  for (int j = 0; j < chunk.count; ++j) {
    const Floats alpha = smaller(chunk.raw[j], kMaxAlpha);
    const Floats inverse = Floats(1.f) / (Floats(1.f) - alpha);
    const Floats before = transmittance * inverse, weight = alpha * before, along = chunk.along[j];
    const Floats g_alpha = before * along + inverse * (state.from_background - from_behind);
    chunk.weight[j] = weight;
    chunk.slope[j] = select(chunk.raw[j] <= kMaxAlpha, Floats(0.f) - alpha * g_alpha, 0.f);
    from_behind += weight * along;
    transmittance = before;
  }
  state.transmittance = transmittance;
  state.from_behind = from_behind;
}

// Sums over the pixels of a block of weight x upstream.
template <int C>
void add_features(const BlockState<C>& state, Chunk& chunk, float* rows) {
  constexpr int kEach = kWide<C>, kGroup = power_of_two_up_to(std::min(kRegisters / kEach, 8));
  const int end = chunk.fill_up(kGroup);
  for (int start = 0; start < end; start += kGroup) {
    NativeFloat sums[kGroup][kEach] = {};
    const float* weights = reinterpret_cast<const float*>(chunk.weight + start);
    for (int lane = 0; lane < kLanes; ++lane) {
      NativeFloat row[kEach];
#pragma GCC unroll 8
      for (int r = 0; r < kEach; ++r) row[r] = loaded<NativeFloat>(state.pixels[lane] + r * kNative);
#pragma GCC unroll 8
      for (int j = 0; j < kGroup; ++j) {
        const NativeFloat weight = weights[j * kLanes + lane] - NativeFloat{};
#pragma GCC unroll 8
        for (int r = 0; r < kEach; ++r) sums[j][r] += weight * row[r];
      }
    }
    for (int j = 0; j < kGroup && start + j < chunk.count; ++j)
      for (int r = 0; r < kEach; ++r)
        add_to(rows + kRow<C> * chunk.places[start + j] + kGeometry + r * kNative, sums[j][r]);
  }
}

// Sums over the pixels of a block of the gradients of means, conics and opacities; conics' diagonal twice, and opacities
// times minus the opacity.
template <int C>
void add_geometry(const Stage& stage, float left, float top, Chunk& chunk, float* rows) {
  constexpr int kGroup = 4;
  const Floats lane_x = Floats::load(kLaneX) + left, lane_y = Floats::load(kLaneY) + top;
  const int end = chunk.fill_up(kGroup);
  for (int start = 0; start < end; start += kGroup) {
    Eight sums[kGroup] = {};
    Floats across[2 * kGroup];  // |gradient of the mean|, of x and of y
    const float* slopes = reinterpret_cast<const float*>(chunk.slope + start);
    for (int lane = 0; lane < kLanes; ++lane) {
      const Eight moments = loaded<Eight>(kMoments.of_lane[lane]);
#pragma GCC unroll 4
      for (int j = 0; j < kGroup; ++j) sums[j] += (slopes[j * kLanes + lane] - Eight{}) * moments;
    }
#pragma GCC unroll 4
    for (int j = 0; j < kGroup; ++j) {
      const Splat& splat = stage.splats[chunk.places[start + j]];
      const Floats dx = Floats(splat.x) - lane_x, dy = Floats(splat.y) - lane_y, slope = chunk.slope[start + j];
      across[j] = absolute(slope * (Floats(splat.xx) * dx + Floats(splat.xy) * dy));
      across[kGroup + j] = absolute(slope * (Floats(splat.xy) * dx + Floats(splat.yy) * dy));
    }
    const Quad across_x = sum_lanes(across[0], across[1], across[2], across[3]);
    const Quad across_y = sum_lanes(across[4], across[5], across[6], across[7]);
    for (int j = 0; j < kGroup && start + j < chunk.count; ++j) {
      const Splat& splat = stage.splats[chunk.places[start + j]];
      const float x = splat.x - left - kMiddle, y = splat.y - top - kMiddle;
      const Eight& s = sums[j];
      const float by_x = x * s[0] - s[1], by_y = y * s[0] - s[2];  // slope times offset from the mean
      const Eight row = {splat.xx * by_x + splat.xy * by_y,
                         splat.xy * by_x + splat.yy * by_y,
                         x * (by_x - s[1]) + s[3],
                         x * by_y - y * s[1] + s[4],
                         y * (by_y - s[2]) + s[5],
                         s[0],
                         across_x[j],
                         across_y[j]};
      add_to(rows + kRow<C> * chunk.places[start + j], row);
    }
  }
}

// Working memory of one thread, kept from tile to tile.
struct Sums {
  Stage stage;
  std::vector<float> rows;  // kRow floats for each place of the tile's list

  template <int C>
  void clear(int64_t places) {
    if (int64_t(rows.size()) < kRow<C> * places) rows.resize(kRow<C> * places);
    std::fill(rows.begin(), rows.begin() + kRow<C> * places, 0.f);
  }
};

template <int C>
void add_block(const Tile& tile, int block, const Grid& grid, const Image& forward, const ImageGradient& upstream,
               Sums& sums) {
  BlockState<C> state;
  state.load(tile, block, grid, forward, upstream);
  const float left = float(block % kBlocksAcross * kBlock), top = float(block / kBlocksAcross * kBlock);
  const Floats pixel_x = Floats::load(kLaneX) + left, pixel_y = Floats::load(kLaneY) + top;
  const int32_t* list = sums.stage.lists.data() + block * tile.count;
  int64_t remaining = std::upper_bound(list, list + sums.stage.counts[block], state.last_of_all) - list;
  Chunk chunk;
  while (remaining > 0) {
    remaining = chunk.gather<C>(sums.stage, list, remaining, pixel_x, pixel_y, state.last);
    if (chunk.count == 0) break;
    multiply<C>(state, chunk);
    follow_light<C>(state, chunk);
    add_features<C>(state, chunk, sums.rows.data());
    add_geometry<C>(sums.stage, left, top, chunk, sums.rows.data());
  }
}

// Without the Gaussians behind the last one that is drawn.
Tile up_to_last(Tile tile, const Grid& grid, const Image& forward) {
  int32_t last = -1;
  for (int block = 0; block < kBlocks; ++block)
    for_pixels(tile, block, grid, [&](int, int64_t pixel) { last = std::max(last, forward.last[pixel]); });
  tile.count = last + 1;
  return tile;
}

template <int C>
void add_tile(const Tile& tile, const Splats& in, const Grid& grid, const Image& forward, const ImageGradient& upstream,
              Sums& sums, float* out) {
  constexpr int64_t kOut = kGeometry + C;
  sums.stage.fill<C>(in, tile);
  sums.clear<C>(tile.count);
  for (int block = 0; block < kBlocks; ++block) add_block<C>(tile, block, grid, forward, upstream, sums);
  const int32_t* entries = in.entries + tile.begin;
  for (int64_t k = 0; k < tile.count; ++k) {
    if (k + kAhead < tile.count) {
      __builtin_prefetch(out + kOut * entries[k + kAhead], 1);
      __builtin_prefetch(out + kOut * entries[k + kAhead] + kOut / 2, 1);
    }
    float *row = sums.rows.data() + kRow<C> * k, *to = out + kOut * entries[k];
    row[2] *= 0.5f;
    row[4] *= 0.5f;
    row[5] /= -in.opacities[entries[k]];
    for (int64_t j = 0; j < kOut; ++j) to[j] += row[j];
  }
}

template <int C>
void add_all(int64_t n, const Splats& in, const Grid& grid, const Image& forward, const ImageGradient& upstream,
             float* buffers, int threads) {
  const int64_t size = n * (kGeometry + C);
  parallel_ranges(size * threads, threads,
                  [&](int64_t begin, int64_t end) { std::fill(buffers + begin, buffers + end, 0.f); });
  // Sums come out the same each time: a worker always has the same tiles, neighbours four by four, in diagonal stripes.
  parallel_for(threads, threads, [&](int64_t worker) {
    Sums sums;
    for (int64_t index = 0; index < grid.tiles(); ++index) {
      if ((index / 4 + index / grid.columns) % threads != worker) continue;
      const Tile tile = up_to_last(Tile(index, grid, in.offsets), grid, forward);
      add_tile<C>(tile, in, grid, forward, upstream, sums, buffers + size * worker);
    }
  });
  parallel_ranges(size, threads, [&](int64_t begin, int64_t end) {
    for (int worker = 1; worker < threads; ++worker)
      for (int64_t j = begin; j < end; ++j) buffers[j] += buffers[size * worker + j];
  });
}

}  // namespace

bool blend_backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& forward,
                    const ImageGradient& upstream, float* buffers, int threads) {
  return AllCounts::call(channels,
                         [&](auto count) { add_all<count>(n, in, grid, forward, upstream, buffers, threads); });
}

}  // namespace splat
