// Labels that the Gaussians vote for, blended into a view as its channels are, and what they and a classifier say
// together. Few labels occur in a tile, so that is all that is kept of a view.
#pragma once

#include <cstdint>

#include "binning.h"

namespace splat {

struct Votes {
  const int32_t* rows;   // n x slots: labels, in [0, count); -1 for no vote
  const float* shares;   // n x slots
  int slots, count;
};

// Of a view. Tile t has the labels starts[t] .. starts[t + 1]; its values begin at kTile^2 starts[t], block by block
// (see tile.h), for each label of the tile the lanes of the block.
struct VoteMap {
  const int64_t* starts;
  int32_t* labels;
  float* values;
};

// starts[t] = number of labels in the tiles before t. Returns their number in all tiles.
int64_t place_votes(const Votes& votes, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                    int64_t* starts, int threads);

struct Classifier {
  const float* weights;   // count x dim: unit length, or zero: then a label counts by its votes alone
  const int32_t* groups;  // count: labels with the same number are one thing; null if each is a thing of its own
  int dim, count;
  float tau, doubt, min_alpha;
};

struct View {
  const float* features;  // height x width, `stride` from one pixel to the next
  const float* alpha;     // height x width
  int64_t stride;
};

// For each pixel the label (from 1) with the largest product of probability and votes + doubt, and the part that its
// group has in the sum of all products; both 0 where alpha is below min_alpha. The probability is the softmax of tau
// times the cosine, the same for all labels where a feature has no direction, 1 / count for a label without weights.
// If no label has weights, votes decide alone: the largest sum that is above doubt, and its group's part in all votes +
// doubt; both 0 where all votes together are no more than doubt.
void classify_votes(const Classifier& classifier, const VoteMap& votes, const View& view, const Grid& grid,
                    int32_t* labels, float* confidences, int threads);

}  // namespace splat
