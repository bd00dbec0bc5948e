#include "softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "softmax_group.h"

namespace splat {
namespace {

// Features with the row that has the highest score.
struct Ranked : Group {
  Floats best;  // the highest score
  Ints winner;  // and its row

  using Group::Group;

  // `inside` features, `stride` from one to the next; lanes from there on have the last one.
  void load(const float* from, int64_t stride, int inside) {
    const float* lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = from + stride * std::min(lane, inside - 1);
    load(lanes);
  }

  void load(const float* const lanes[kLanes]) {
    Group::load(lanes);
    measure();
  }

  void score(const float* weights) {
    Group::score(weights);
    best = scores[0];
    winner = Ints(0);
    for (int t = 1; t < count; ++t) {
      const Mask higher = scores[t] > best;
      best = select(higher, scores[t], best);
      winner = select(higher, Ints(t), winner);
    }
  }

  // Sum over rows of exp(scale x (score - best)).
  Floats sum_of_exponentials(const Floats& scale) const {
    Floats sum = 0.f;
    for (int t = 0; t < count; ++t) sum += exp_negative_wide((best - scores[t]) * scale);
    return sum;
  }
};

// body(group, first item, items in the group) for all items, sixteen at a time.
template <class Body>
void for_groups(int64_t items, int dim, int count, int threads, const Body& body) {
  parallel_ranges((items + kLanes - 1) / kLanes, threads, [&](int64_t begin, int64_t end) {
    Ranked group(dim, count);
    for (int64_t start = begin * kLanes; start < std::min(items, end * kLanes); start += kLanes)
      body(group, start, int(std::min<int64_t>(kLanes, items - start)));
  });
}

// Gradients of the cross entropy, by one thread.
class Backward {
 public:
  CrossEntropy total = {0, 0, 0};

  Backward(int dim, int count, const float* weights, float min_length)
      : group_(dim, count),
        shares_(count),
        width_((dim + kNative - 1) / kNative),
        gradient_(int64_t(count + kRows) * width_, NativeFloat{}),
        units_(kLanes * width_, NativeFloat{}),
        nothing_(dim),
        weights_(weights),
        min_length_(min_length) {}

  // Takes `inside` features, at least one of them labelled; writes their gradients. What unlabelled ones are does not
  // matter, not even if they are no numbers.
  void add(const float* features, const int32_t* labels, int inside, float* feature_gradient) {
    const float* lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane)
      lanes[lane] = lane < inside && labels[lane] > 0 ? features + int64_t(lane) * group_.dim : nothing_.data();
    group_.load(lanes);
    group_.score(weights_);
    const Floats inverse = Floats(1.f) / larger(group_.length, min_length_);
    const Floats sum = exponentiate(inverse);
    alignas(64) float share_scale[kLanes];
    (Floats(1.f) / sum).store(share_scale);
    count_losses(labels, inside, inverse, sum, share_scale);
    for (int t = 0; t < group_.count; ++t) shares_[t] = shares_[t] * Floats::load(share_scale);
    for (int lane = 0; lane < inside; ++lane)
      if (labels[lane] > 0) reinterpret_cast<float*>(&shares_[labels[lane] - 1])[lane] -= 1.f;
    write_feature_gradient(inverse, inside, feature_gradient);
    add_weight_gradient(lanes, inverse);
  }

  void add_weight_gradient_to(float* total) const {
    const float* row = reinterpret_cast<const float*>(gradient_.data());
    for (int t = 0; t < group_.count; ++t, row += width_ * kNative, total += group_.dim)
      for (int d = 0; d < group_.dim; ++d) total[d] += row[d];
  }

 private:
  Floats exponentiate(const Floats& scale) {
    Floats sum = 0.f;
    for (int t = 0; t < group_.count; ++t) {
      shares_[t] = exp_negative_wide((group_.best - group_.scores[t]) * scale);
      sum += shares_[t];
    }
    return sum;
  }

  // Shares of unlabelled lanes become zero.
  void count_losses(const int32_t* labels, int inside, const Floats& inverse, const Floats& sum, float* share_scale) {
    alignas(64) float scales[kLanes], sums[kLanes], best[kLanes];
    alignas(64) int32_t winners[kLanes];
    inverse.store(scales);
    sum.store(sums);
    group_.best.store(best);
    group_.winner.store(winners);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (lane >= inside || labels[lane] <= 0) {
        share_scale[lane] = 0.f;
        continue;
      }
      const int own = labels[lane] - 1;
      total.loss += (best[lane] - group_.score_of(own, lane)) * scales[lane] + std::log(sums[lane]);
      total.right += winners[lane] == own;
      ++total.labelled;
    }
  }

  // A feature that is longer than the minimum does not gain by growing: the part along itself is taken out.
  void write_feature_gradient(const Floats& inverse, int inside, float* to) const {
    Floats along = 0.f;
    for (int t = 0; t < group_.count; ++t) along += shares_[t] * group_.scores[t];
    along = select(group_.length > min_length_, along * inverse * inverse, 0.f);
    alignas(64) float lanes[kLanes];
    for (int first = 0; first < group_.dim; first += kRows) {
      int columns[kRows];
      for (int k = 0; k < kRows; ++k) columns[k] = std::min(first + k, group_.dim - 1);
      Floats sums[kRows];
      for (Floats& sum : sums) sum = 0.f;
      const float* row = weights_;
      for (int t = 0; t < group_.count; ++t, row += group_.dim) {
#pragma GCC unroll 8
        for (int k = 0; k < kRows; ++k) sums[k] += shares_[t] * Floats(row[columns[k]]);
      }
      for (int k = 0; k < kRows && first + k < group_.dim; ++k) {
        ((sums[k] - along * group_.features[first + k]) * inverse).store(lanes);
        for (int lane = 0; lane < inside; ++lane) to[int64_t(lane) * group_.dim + first + k] = lanes[lane];
      }
    }
  }

  // A feature at a time before a few classes: their rows stay in registers.
  void add_weight_gradient(const float* const features[kLanes], const Floats& inverse) {
    float* units = reinterpret_cast<float*>(units_.data());
    for (int lane = 0; lane < kLanes; ++lane)
      for (int d = 0; d < group_.dim; ++d)
        units[lane * width_ * kNative + d] = features[lane][d] * reinterpret_cast<const float*>(&inverse)[lane];
    for (int first = 0; first < group_.count; first += kRows) {
      const float* shares[kRows];
      for (int k = 0; k < kRows; ++k)
        shares[k] = reinterpret_cast<const float*>(&shares_[std::min(first + k, group_.count - 1)]);
      for (int part = 0; part < width_; ++part) {
        NativeFloat sums[kRows] = {};
        for (int lane = 0; lane < kLanes; ++lane) {
          const NativeFloat unit = units_[lane * width_ + part];
#pragma GCC unroll 8
          for (int k = 0; k < kRows; ++k) sums[k] += (shares[k][lane] - NativeFloat{}) * unit;
        }
        for (int k = 0; k < kRows; ++k) gradient_[int64_t(first + k) * width_ + part] += sums[k];
      }
    }
  }

  static constexpr int kRows = Group::kRows;
  Ranked group_;
  std::vector<Floats> shares_;         // count: probabilities, then gradients of the logits
  int width_;                          // of a row of the weights, in registers; zeros at the end
  std::vector<NativeFloat> gradient_;  // of the weights, and of a few rows that nobody has
  std::vector<NativeFloat> units_;     // features over their lengths
  std::vector<float> nothing_;         // dim zeros: the features of unlabelled lanes
  const float* weights_;
  Floats min_length_;
};

}  // namespace

void nearest(int64_t items, int dim, int count, int64_t stride, const float* features, const float* weights, float tau,
             const int32_t* groups, int32_t* rows, float* confidences, int threads) {
  for_groups(items, dim, count, threads, [&](Ranked& group, int64_t start, int inside) {
    group.load(features + start * stride, stride, inside);
    group.score(weights);
    const Mask known = group.has_direction();
    const Floats scale = Floats(tau) / select(known, group.length, 1.f);
    alignas(64) float shares[kLanes], of_winner[kLanes];
    alignas(64) int32_t winners[kLanes];
    group.winner.store(winners);
    for (int lane = 0; lane < kLanes; ++lane) of_winner[lane] = float(groups[winners[lane]]);
    const Floats winning = Floats::load(of_winner);
    Floats sum = 0.f, won = 0.f;
    for (int t = 0; t < count; ++t) {
      const Floats share = exp_negative_wide((group.best - group.scores[t]) * scale);
      const Floats own = float(groups[t]);
      sum += share;
      won += select((own >= winning) & (own <= winning), share, 0.f);
    }
    select(known, won / sum, 0.f).store(shares);
    select(known, group.winner, Ints(-1)).store(winners);
    std::copy(shares, shares + inside, confidences + start);
    std::copy(winners, winners + inside, rows + start);
  });
}

void own_log_probability(int64_t items, int dim, int count, const float* features, const float* weights, float tau,
                         const int32_t* rows, float* result, int threads) {
  for_groups(items, dim, count, threads, [&](Ranked& group, int64_t start, int inside) {
    group.load(features + start * dim, dim, inside);
    group.score(weights);
    const Floats scale = Floats(tau) / select(group.has_direction(), group.length, 1.f);
    alignas(64) float scales[kLanes], sums[kLanes], best[kLanes];
    scale.store(scales);
    group.sum_of_exponentials(scale).store(sums);
    group.best.store(best);
    for (int lane = 0; lane < inside; ++lane) {
      const float distance = best[lane] - group.score_of(rows[start + lane], lane);
      result[start + lane] = -distance * scales[lane] - std::log(sums[lane]);
    }
  });
}

CrossEntropy cross_entropy(int64_t items, int dim, int count, const float* features, const float* weights,
                           const int32_t* labels, float min_length, float* feature_gradient, float* weight_gradient,
                           int threads) {
  const int64_t groups = (items + kLanes - 1) / kLanes;
  std::vector<Backward> workers(threads, Backward(dim, count, weights, min_length));
  parallel_for(threads, threads, [&](int64_t worker) {
    for (int64_t i = groups * worker / threads; i < groups * (worker + 1) / threads; ++i) {
      const int64_t start = i * kLanes;
      const int inside = int(std::min<int64_t>(kLanes, items - start));
      float* gradient = feature_gradient + start * dim;
      const auto is_labelled = [](int32_t label) { return label > 0; };
      if (std::any_of(labels + start, labels + start + inside, is_labelled))
        workers[worker].add(features + start * dim, labels + start, inside, gradient);
      else
        std::fill(gradient, gradient + int64_t(inside) * dim, 0.f);
    }
  });
  CrossEntropy sum = {0, 0, 0};
  std::fill(weight_gradient, weight_gradient + int64_t(count) * dim, 0.f);
  for (const Backward& worker : workers) {
    worker.add_weight_gradient_to(weight_gradient);
    sum = {sum.loss + worker.total.loss, sum.labelled + worker.total.labelled, sum.right + worker.total.right};
  }
  return sum;
}

}  // namespace splat
