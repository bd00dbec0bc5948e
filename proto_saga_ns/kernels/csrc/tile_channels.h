// The sparse channels of the Gaussians of one tile: working memory of one thread, kept from tile to tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "simd.h"
#include "sparse_channels.h"
#include "tile.h"

namespace splat {

// The labels of a tile, in the order in which they come up.
class TileLabels {
 public:
  std::vector<int32_t> labels;  // by place

  explicit TileLabels(int count) : places_(count, -1) {}

  void clear() {
    for (const int32_t label : labels) places_[label] = -1;
    labels.clear();
  }

  int32_t place(int32_t label) {
    if (places_[label] < 0) {
      places_[label] = int32_t(labels.size());
      labels.push_back(label);
    }
    return places_[label];
  }

 private:
  std::vector<int32_t> places_;  // by label; -1 where it did not come up
};

class TileChannels {
 public:
  explicit TileChannels(const SparseChannels& given) : found_(given.count), given_(given) {}

  const std::vector<int32_t>& labels() const { return found_.labels; }

  void fill(const int32_t* entries, const Tile& tile) {
    found_.clear();
    channels_.resize(given_.slots * tile.count);
    Channel* channel = channels_.data();
    for (int64_t k = 0; k < tile.count; ++k) {
      const int64_t first = int64_t(given_.slots) * entries[tile.begin + k];
      for (int slot = 0; slot < given_.slots; ++slot, ++channel) {
        const int32_t label = given_.labels[first + slot];
        *channel = {label < 0 ? -1 - slot : found_.place(label), label < 0 ? 0.f : given_.values[first + slot]};
      }
    }
    sums_.resize(given_.slots + labels().size());
  }

  void clear() { std::fill(sums_.begin(), sums_.end(), Floats(0.f)); }

  // Adds the channels of the Gaussian at this place of the tile's list. Those of no label are added as well, apart:
  // nobody could foretell where to leave the loop.
  void add(int32_t place, const Floats& weight) {
    const Channel* channel = channels_.data() + int64_t(given_.slots) * place;
    Floats* sums = sums_.data() + given_.slots;
    for (int slot = 0; slot < given_.slots; ++slot) sums[channel[slot].place] += weight * Floats(channel[slot].value);
  }

  // What was added up for each label of the tile.
  const Floats* sums() const { return sums_.data() + given_.slots; }

 private:
  struct Channel {
    int32_t place;  // of its label; below zero for none
    float value;
  };
  TileLabels found_;
  SparseChannels given_;
  std::vector<Channel> channels_;  // of the Gaussian at each place, as many as there are slots
  std::vector<Floats> sums_;       // of each slot without a label, then of each label
};

}  // namespace splat
