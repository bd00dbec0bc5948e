#include "votes.h"

#include <algorithm>
#include <vector>

#include "parallel.h"
#include "softmax_group.h"
#include "tile.h"

namespace splat {
namespace {

constexpr float kShortest = 1e-12f;  // shorter features are not stretched to unit length

// What is said of a tile's block: for each of some labels the votes of the lanes.
struct BlockVotes {
  const int32_t* labels;
  const float* lanes;
  int count;

  Floats of(int k) const { return Floats::load(lanes + kLanes * k); }
};

// What classifier and votes say together about sixteen pixels. Most labels have no votes in a block: theirs is the
// weight that the classifier gives them, times the doubt.
class Jury {
 public:
  Floats confidence;
  Ints winner;

  explicit Jury(const Classifier& classifier) : group_(classifier.dim, classifier.count), classifier_(classifier) {
    for (int t = 0; t < classifier.count; ++t) {
      const float* row = classifier.weights + int64_t(t) * classifier.dim;
      const bool known = std::any_of(row, row + classifier.dim, [](float weight) { return weight != 0.f; });
      (known ? known_ : unknown_).push_back(t);
    }
  }

  void decide(const float* const features[kLanes], const BlockVotes& votes) {
    known_.empty() ? decide_by_votes(votes) : decide_by_both(features, votes);
  }

 private:
  void decide_by_both(const float* const features[kLanes], const BlockVotes& votes) {
    group_.load(features);
    normalise();
    group_.score(classifier_.weights);
    const Floats doubt(classifier_.doubt);
    Floats total = weigh() * doubt;
    largest_ = largest_ * doubt;
    for (int k = 0; k < votes.count; ++k) {
      const Floats& weight = group_.scores[votes.labels[k]];
      const Floats more = weight * votes.of(k);
      total += more;
      consider(votes.labels[k], more + weight * doubt);
    }
    confidence = (classifier_.groups == nullptr ? largest_ : of_winner(votes)) / total;
  }

  // The doubt stands against all votes: no fewer elect anybody.
  void decide_by_votes(const BlockVotes& votes) {
    Floats total = 0.f;
    largest_ = Floats(0.f);
    winner = Ints(-1);
    for (int k = 0; k < votes.count; ++k) {
      total += votes.of(k);
      consider(votes.labels[k], votes.of(k));
    }
    Floats own = largest_;
    if (classifier_.groups != nullptr) {
      const Floats winning = winning_groups();
      own = 0.f;
      for (int k = 0; k < votes.count; ++k) own += if_won(votes.labels[k], winning, votes.of(k));
    }
    const Floats doubt(classifier_.doubt);
    confidence = select(total > doubt, own / (total + doubt), 0.f);
    winner = select(total > doubt, winner, Ints(-1));
  }

  // Unit lengths, zero for what has no direction.
  void normalise() {
    group_.measure();
    const Mask finite = group_.length < kHuge;
    const Floats inverse = Floats(1.f) / larger(select(finite, group_.length, 1.f), kShortest);
    for (Floats& feature : group_.features) feature = select(finite, feature * inverse, 0.f);
  }

  // Makes weights of the scores, finds the largest, and returns their sum.
  Floats weigh() {
    std::vector<Floats>& weights = group_.scores;
    const Floats tau(classifier_.tau);
    Floats best(-2.f), sum = 0.f;  // below any cosine
    winner = Ints(-1);
    for (const int t : known_) {
      const Mask higher = weights[t] > best;
      best = select(higher, weights[t], best);
      winner = select(higher, Ints(t), winner);
    }
    const Floats top = unknown_.empty() ? best : larger(best, 0.f);
    for (const int t : known_) sum += weights[t] = exp_negative_wide((top - weights[t]) * tau);
    largest_ = known_.empty() ? Floats(-1.f) : exp_negative_wide((top - best) * tau);
    if (unknown_.empty()) return sum;
    const float number = float(unknown_.size());
    const Floats mean = (sum + Floats(number) * exp_negative_wide(top * tau)) * Floats(1.f / classifier_.count);
    for (const int t : unknown_) weights[t] = mean;
    consider(unknown_[0], mean);
    return sum + Floats(number) * mean;
  }

  // The first of equals wins.
  void consider(int row, const Floats& product) {
    const Mask higher = (product > largest_) | ((product >= largest_) & (winner >= row + 1));
    largest_ = select(higher, product, largest_);
    winner = select(higher, Ints(row), winner);
  }

  // The sum of the products of the winner's group.
  Floats of_winner(const BlockVotes& votes) const {
    const Floats winning = winning_groups();
    Floats without_votes = 0.f, with_votes = 0.f;
    for (int t = 0; t < classifier_.count; ++t) without_votes += if_won(t, winning, group_.scores[t]);
    for (int k = 0; k < votes.count; ++k)
      with_votes += if_won(votes.labels[k], winning, group_.scores[votes.labels[k]] * votes.of(k));
    return without_votes * Floats(classifier_.doubt) + with_votes;
  }

  // -1 where nobody won.
  Floats winning_groups() const {
    alignas(64) int32_t winners[kLanes];
    alignas(64) float groups[kLanes];
    winner.store(winners);
    for (int lane = 0; lane < kLanes; ++lane)
      groups[lane] = winners[lane] < 0 ? -1.f : float(classifier_.groups[winners[lane]]);
    return Floats::load(groups);
  }

  Floats if_won(int row, const Floats& winning, const Floats& product) const {
    const Floats own = float(classifier_.groups[row]);
    return select((own >= winning) & (own <= winning), product, 0.f);
  }

  Group group_;
  std::vector<int> known_, unknown_;  // rows with weights, and without
  const Classifier& classifier_;
  Floats largest_;
};

// The entries of the tile are labels here.
void classify_block(const Tile& tile, int block, const TiledChannels& votes, const View& view, const Grid& grid,
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
    jury.decide(features, {votes.labels + tile.begin, own, int(tile.count)});
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

void classify_votes(const Classifier& classifier, const TiledChannels& votes, const View& view, const Grid& grid,
                    int32_t* labels, float* confidences, int threads) {
  std::vector<Jury> juries(threads, Jury(classifier));
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    const Tile tile(index, grid, votes.starts);
    for (int block = 0; block < kBlocks; ++block)
      classify_block(tile, block, votes, view, grid, classifier, juries[worker], labels, confidences);
  });
}

}  // namespace splat
