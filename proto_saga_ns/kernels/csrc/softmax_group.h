// Sixteen features at once before the rows of a classifier: what every softmax over them shares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "simd.h"

namespace splat {

constexpr float kHuge = 1e18f;  // its square is still finite

// Sixteen features, one a lane, and their scores: the products with the rows of the classifier.
struct Group {
  static constexpr int kRows = 8 / kParts < 4 ? 4 : 8 / kParts;  // whose sums stay in registers

  int dim, count;
  std::vector<Floats> features;  // dim
  std::vector<Floats> scores;    // count
  Floats length;                 // once it was measured

  Group(int dim, int count) : dim(dim), count(count), features(dim), scores(count) {}

  // One feature for each lane.
  void load(const float* const from[kLanes]) {
    int d = 0;
    for (; d + 4 <= dim; d += 4)
      for (int lane = 0; lane < kLanes; lane += 4) load_four(from + lane, d, lane);
    for (; d < dim; ++d)
      for (int lane = 0; lane < kLanes; ++lane) reinterpret_cast<float*>(&features[d])[lane] = from[lane][d];
  }

  void measure() {
    Floats squares = 0.f;
    for (const Floats& feature : features) squares += feature * feature;
    alignas(64) float lanes[kLanes];
    squares.store(lanes);
    for (float& lane : lanes) lane = std::sqrt(lane);
    length = Floats::load(lanes);
  }

  // Several rows at a time: their chains of additions overlap.
  void score(const float* weights) {
    for (int t = 0; t < count; t += kRows) {
      const float* row[kRows];
      for (int k = 0; k < kRows; ++k) row[k] = weights + int64_t(std::min(t + k, count - 1)) * dim;
      Floats sums[kRows];
      for (Floats& sum : sums) sum = 0.f;
      for (int d = 0; d < dim; ++d) {
#pragma GCC unroll 8
        for (int k = 0; k < kRows; ++k) sums[k] += features[d] * Floats(row[k][d]);
      }
      for (int k = 0; k < kRows && t + k < count; ++k) scores[t + k] = sums[k];
    }
  }

  float score_of(int row, int lane) const { return reinterpret_cast<const float*>(&scores[row])[lane]; }
  Mask has_direction() const { return (length > 0.f) & (length < kHuge); }

 private:
  // Four numbers of four features, turned from one feature after another to one lane after another.
  void load_four(const float* const from[4], int d, int lane) {
    Quad in[4];
    for (int k = 0; k < 4; ++k) std::memcpy(&in[k], from[k] + d, sizeof(Quad));
    const Quad low[2] = {pick<0, 4, 1, 5>(in[0], in[1]), pick<0, 4, 1, 5>(in[2], in[3])};
    const Quad high[2] = {pick<2, 6, 3, 7>(in[0], in[1]), pick<2, 6, 3, 7>(in[2], in[3])};
    const Quad out[4] = {pick<0, 1, 4, 5>(low[0], low[1]), pick<2, 3, 6, 7>(low[0], low[1]),
                         pick<0, 1, 4, 5>(high[0], high[1]), pick<2, 3, 6, 7>(high[0], high[1])};
    for (int k = 0; k < 4; ++k) std::memcpy(reinterpret_cast<float*>(&features[d + k]) + lane, &out[k], sizeof(Quad));
  }
};

}  // namespace splat
