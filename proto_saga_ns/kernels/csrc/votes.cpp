#include "votes.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "ballots.h"
#include "parallel.h"
#include "softmax_group.h"
#include "tile.h"

namespace splat {
namespace {

constexpr float kShortest = 1e-12f;  // shorter features are not stretched to unit length

// What classifier and votes say together about sixteen pixels.
class Jury {
 public:
  Floats confidence;
  Ints winner;

  explicit Jury(const Classifier& classifier)
      : group_(classifier.dim, classifier.count), votes_(classifier.count), known_(classifier.count),
        classifier_(classifier) {
    for (int t = 0; t < classifier.count; ++t) {
      const float* row = classifier.weights + int64_t(t) * classifier.dim;
      known_[t] = std::any_of(row, row + classifier.dim, [](float weight) { return weight != 0.f; });
    }
  }

  // `votes` of the lanes for each of some labels.
  void decide(const float* const features[kLanes], int num_labels, const int32_t* labels, const float* votes) {
    group_.load(features);
    normalise();
    group_.score(classifier_.weights);
    std::fill(votes_.begin(), votes_.end(), Floats(classifier_.doubt));
    for (int k = 0; k < num_labels; ++k) votes_[labels[k]] += Floats::load(votes + kLanes * k);
    const Floats total = multiply();
    confidence = share_of_winner() / total;
  }

 private:
  // Unit lengths, zero for what has no direction.
  void normalise() {
    group_.measure();
    const Mask finite = group_.length < kHuge;
    const Floats inverse = Floats(1.f) / larger(select(finite, group_.length, 1.f), kShortest);
    for (Floats& feature : group_.features) feature = select(finite, feature * inverse, 0.f);
  }

  // Makes products of the scores, finds the largest of them, and returns their sum.
  Floats multiply() {
    std::vector<Floats>& products = group_.scores;
    Floats best = products[0], sum = 0.f, total = 0.f;
    for (const Floats& score : products) best = larger(best, score);
    for (Floats& score : products) {
      score = exp_negative_wide((best - score) * Floats(classifier_.tau));
      sum += score;
    }
    const Floats unknown = sum * Floats(1.f / classifier_.count);
    largest_ = -1.f;
    winner = Ints(0);
    for (int t = 0; t < classifier_.count; ++t) {
      const Floats product = (known_[t] ? products[t] : unknown) * votes_[t];
      const Mask higher = product > largest_;
      products[t] = product;
      total += product;
      largest_ = select(higher, product, largest_);
      winner = select(higher, Ints(t), winner);
    }
    return total;
  }

  Floats share_of_winner() const {
    if (classifier_.groups == nullptr) return largest_;
    alignas(64) int32_t winners[kLanes];
    alignas(64) float of_winner[kLanes];
    winner.store(winners);
    for (int lane = 0; lane < kLanes; ++lane) of_winner[lane] = float(classifier_.groups[winners[lane]]);
    const Floats winning = Floats::load(of_winner);
    Floats won = 0.f;
    for (int t = 0; t < classifier_.count; ++t) {
      const Floats own = float(classifier_.groups[t]);
      won += select((own >= winning) & (own <= winning), group_.scores[t], 0.f);
    }
    return won;
  }

  Group group_;
  std::vector<Floats> votes_;
  std::vector<char> known_;
  const Classifier& classifier_;
  Floats largest_;
};

// The entries of the tile are labels here.
void classify_block(const Tile& tile, int block, const VoteMap& votes, const View& view, const Grid& grid,
                    const Classifier& classifier, Jury& jury, int32_t* labels, float* confidences) {
  const float* features[kLanes];
  std::fill(features, features + kLanes, view.features);  // lanes outside the image see any pixel
  bool seen = false;
  for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
    features[lane] = view.features + view.stride * pixel;
    seen |= !(view.alpha[pixel] < classifier.min_alpha);
  });
  alignas(64) int32_t winners[kLanes] = {};
  alignas(64) float shares[kLanes] = {};
  if (seen) {
    const float* own = votes.values + kLanes * (kBlocks * tile.begin + block * tile.count);
    jury.decide(features, int(tile.count), votes.labels + tile.begin, own);
    jury.winner.store(winners);
    jury.confidence.store(shares);
  }
  for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
    const bool none = view.alpha[pixel] < classifier.min_alpha;
    labels[pixel] = none ? 0 : winners[lane] + 1;
    confidences[pixel] = none ? 0.f : shares[lane];
  });
}

}  // namespace

int64_t place_votes(const Votes& votes, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                    int64_t* starts, int threads) {
  std::vector<LabelPlaces> found(threads, LabelPlaces(votes.count));
  starts[0] = 0;
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    found[worker].clear();
    for (int64_t k = offsets[index]; k < offsets[index + 1]; ++k)
      for (int slot = 0; slot < votes.slots; ++slot) {
        const int32_t row = votes.rows[int64_t(votes.slots) * entries[k] + slot];
        if (row >= 0) found[worker].place(row);
      }
    starts[index + 1] = found[worker].rows.size();
  });
  std::partial_sum(starts, starts + grid.tiles() + 1, starts);
  return starts[grid.tiles()];
}

void classify_votes(const Classifier& classifier, const VoteMap& votes, const View& view, const Grid& grid,
                    int32_t* labels, float* confidences, int threads) {
  std::vector<Jury> juries(threads, Jury(classifier));
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    const Tile tile(index, grid, votes.starts);
    for (int block = 0; block < kBlocks; ++block)
      classify_block(tile, block, votes, view, grid, classifier, juries[worker], labels, confidences);
  });
}

}  // namespace splat
