// The votes of the Gaussians of one tile: working memory of one thread, kept from tile to tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simd.h"
#include "tile.h"
#include "votes.h"

namespace splat {

// The labels of a tile, in the order in which they come up.
class LabelPlaces {
 public:
  std::vector<int32_t> rows;  // by place

  explicit LabelPlaces(int count) : places_(count, -1) {}

  void clear() {
    for (const int32_t row : rows) places_[row] = -1;
    rows.clear();
  }

  int32_t place(int32_t row) {
    if (places_[row] < 0) {
      places_[row] = int32_t(rows.size());
      rows.push_back(row);
    }
    return places_[row];
  }

 private:
  std::vector<int32_t> places_;  // by row; -1 where it did not come up
};

class Ballots {
 public:
  LabelPlaces labels;

  explicit Ballots(const Votes& given) : labels(given.count), given_(given) {}

  void fill(const int32_t* entries, const Tile& tile) {
    labels.clear();
    votes_.resize(given_.slots * tile.count);
    Vote* vote = votes_.data();
    for (int64_t k = 0; k < tile.count; ++k) {
      const int64_t first = int64_t(given_.slots) * entries[tile.begin + k];
      for (int slot = 0; slot < given_.slots; ++slot, ++vote) {
        const int32_t row = given_.rows[first + slot];
        *vote = {row < 0 ? -1 - slot : labels.place(row), row < 0 ? 0.f : given_.shares[first + slot]};
      }
    }
    sums_.resize(given_.slots + labels.rows.size());
  }

  void clear() { std::fill(sums_.begin(), sums_.end(), Floats(0.f)); }

  // Counts the votes of the Gaussian at this place of the tile's list. Those for no label are counted as well, apart:
  // nobody could foretell where to leave the loop.
  void count(int32_t place, const Floats& weight) {
    const Vote* vote = votes_.data() + int64_t(given_.slots) * place;
    Floats* sums = sums_.data() + given_.slots;
    for (int slot = 0; slot < given_.slots; ++slot) sums[vote[slot].label] += weight * Floats(vote[slot].share);
  }

  // What was counted for each label of the tile.
  const Floats* sums() const { return sums_.data() + given_.slots; }

 private:
  struct Vote {
    int32_t label;  // its place; below zero for none
    float share;
  };
  Votes given_;
  std::vector<Vote> votes_;  // of the Gaussian at each place, as many as there are slots
  std::vector<Floats> sums_;  // of each slot without a label, then of each label
};

}  // namespace splat
