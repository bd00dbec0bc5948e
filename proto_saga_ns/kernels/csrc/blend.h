// Alpha blending of 2D Gaussians into an image with any number of channels, and its gradient.
#pragma once

#include <cstdint>

#include "binning.h"
#include "sparse_channels.h"

namespace splat {

constexpr float kMaxAlpha = 0.999f;
constexpr float kMinTransmittance = 1e-4f;  // a pixel is full below this

struct Splats {
  const float* means2d;    // 2
  const float* conics;     // 3
  const float* opacities;  // 1
  const float* features;   // channels
  const Bounds* bounds;
  const int64_t* offsets;  // per tile, see binning.h
  const int32_t* entries;
};

struct Image {
  float* features;       // height x width x channels
  float* transmittance;  // height x width: what is left of the light
  int32_t* last;         // height x width: place in the tile's list of the last Gaussian drawn, -1 for none
};

struct ImageGradient {
  const float* features;  // height x width x channels
  const float* alpha;     // height x width
};

// Row of a Gaussian's gradient: mean x, y; conic xx, xy, yy; opacity; |mean x|, |mean y| summed over pixels; channels.
constexpr int kGeometry = 8;

// Channel counts with a kernel of their own; others are padded by the caller. 0 if there is none so large.
int padded_channels(int channels);

// Both return false if `channels` has no kernel. With sparse channels (or null) `tiled` is filled in the same pass.
bool blend(int channels, const Splats& in, const Grid& grid, const Image& out, const SparseChannels* sparse,
           const TiledChannels* tiled, int threads);

// `buffers` has threads x n x (kGeometry + channels) floats; the first n rows hold the sum at the end.
bool blend_backward(int channels, int64_t n, const Splats& in, const Grid& grid, const Image& forward,
                    const ImageGradient& upstream, float* buffers, int threads);

}  // namespace splat
