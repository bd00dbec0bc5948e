// What votes that were blended into a view and a classifier say together about its pixels.
#pragma once

#include <cstdint>

#include "binning.h"
#include "sparse_channels.h"

namespace splat {

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
void classify_votes(const Classifier& classifier, const TiledChannels& votes, const View& view, const Grid& grid,
                    int32_t* labels, float* confidences, int threads);

}  // namespace splat
