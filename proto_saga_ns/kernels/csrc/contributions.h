// How much each Gaussian contributes to the pixels of each label of one view.
//
// A tile has a table of its Gaussians (in the order of its entries) by its labels (ascending); the tables of all tiles
// stand one after another. Who fills a table, and in which order its numbers are added later, does not depend on the
// threads.
#pragma once

#include <cstdint>

#include "binning.h"
#include "blend.h"

namespace splat {

struct Contribution {
  int32_t gaussian, label;
  float weight;
};

// starts[t] = number of cells of the tables of the tiles before t. Returns the number of cells.
int64_t place_tables(const int32_t* labels, const int64_t* offsets, const Grid& grid, int64_t* starts, int threads);

// Fills the tables with the weights (alpha times transmittance) summed over the pixels of each label; features are not
// read. Returns the number of cells that are not zero.
int64_t fill_tables(const Splats& in, const int32_t* labels, const Grid& grid, const int64_t* starts, float* tables,
                    int threads);

// Adds up what the tiles say about the same Gaussian and label. `out` has room for all cells that are not zero; it is
// sorted by Gaussian, then by label, each pair once. Returns the number of pairs.
int64_t sum_tables(int64_t n, const int32_t* labels, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                   const int64_t* starts, const float* tables, Contribution* out, int threads);

}  // namespace splat
