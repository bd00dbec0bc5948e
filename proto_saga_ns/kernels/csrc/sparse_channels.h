// A few labelled channels of each Gaussian, blended into a view as its other channels are. Few labels occur in a tile, so
// that is all that is kept of a view.
#pragma once

#include <cstdint>

#include "binning.h"

namespace splat {

struct SparseChannels {
  const int32_t* labels;  // n x slots, in [0, count); -1 for none
  const float* values;    // n x slots
  int slots, count;
};

// Of a view. Tile t has the labels starts[t] .. starts[t + 1]; its values begin at kTile^2 starts[t], block by block
// (see tile.h), for each label of the tile the lanes of the block.
struct TiledChannels {
  const int64_t* starts;
  int32_t* labels;
  float* values;
};

// starts[t] = number of labels in the tiles before t. Returns their number in all tiles.
int64_t place_channels(const SparseChannels& channels, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                       int64_t* starts, int threads);

}  // namespace splat
