// Which Gaussians can be seen in which tile, in order of depth.
#pragma once

#include <cstdint>

namespace splat {

constexpr int kTile = 16;  // pixels along a side of a tile
constexpr float kMinAlpha = 1.f / 255.f;

// Pixels [x0, x1) x [y0, y1) outside of which a Gaussian's opacity is below kMinAlpha; empty if not visible.
struct Bounds {
  int32_t x0, x1, y0, y1;
  bool empty() const { return x1 <= x0 || y1 <= y0; }
};

struct Grid {
  int width, height, columns, rows;  // image in pixels, then in tiles
  Grid(int width, int height)
      : width(width), height(height), columns((width + kTile - 1) / kTile), rows((height + kTile - 1) / kTile) {}
  int64_t tiles() const { return int64_t(columns) * rows; }
};

// Bounds of all Gaussians, and offsets[t] = number of entries of the tiles before t. Returns the number of entries.
int64_t count_entries(int64_t n, const float* means2d, const float* conics, const float* opacities,
                      const int32_t* radii, const Grid& grid, Bounds* bounds, int64_t* offsets, int threads);

// entries[offsets[t] .. offsets[t + 1]) = Gaussians of tile t, nearest first; ties by index.
void fill_entries(int64_t n, const float* depths, const Bounds* bounds, const Grid& grid, const int64_t* offsets,
                  int32_t* entries, int threads);

}  // namespace splat
