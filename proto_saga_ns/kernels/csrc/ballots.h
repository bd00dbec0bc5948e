// The votes of the Gaussians of one tile: working memory of one thread, kept from tile to tile.
#pragma once

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

  explicit Ballots(int count) : labels(count) {}

  void fill(const Votes& votes, const int32_t* entries, const Tile& tile) {
    labels.clear();
    votes_.clear();
    ends_.assign(1, 0);
    for (int64_t k = 0; k < tile.count; ++k) {
      const int64_t first = int64_t(votes.slots) * entries[tile.begin + k];
      for (int slot = 0; slot < votes.slots; ++slot) {
        const int32_t row = votes.rows[first + slot];
        if (row >= 0) votes_.push_back({kLanes * labels.place(row), votes.shares[first + slot]});
      }
      ends_.push_back(votes_.size());
    }
  }

  // Adds what the Gaussian at this place of the tile's list says to the lanes of each label.
  void count(int32_t place, const Floats& weight, float* lanes) const {
    for (const Vote* vote = votes_.data() + ends_[place]; vote != votes_.data() + ends_[place + 1]; ++vote) {
      float* own = lanes + vote->offset;
      (Floats::load(own) + weight * Floats(vote->share)).store(own);
    }
  }

 private:
  struct Vote {
    int32_t offset;  // of the label's lanes
    float share;
  };
  std::vector<Vote> votes_;
  std::vector<size_t> ends_;  // of the Gaussian before each place
};

}  // namespace splat
