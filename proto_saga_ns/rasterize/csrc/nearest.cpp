#include "nearest.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace splat {
namespace {

constexpr float kHuge = 1e18f;  // its square is still finite

// Sixteen pixels, one a lane.
struct Group {
  std::vector<Floats> features;  // dim
  std::vector<Floats> scores;    // count
  Floats length;

  Group(int dim, int count) : features(dim), scores(count) {}

  void load(const float* from, int dim, int pixels) {
    alignas(64) float lanes[kLanes] = {};
    Floats squares = 0.f;
    for (int d = 0; d < dim; ++d) {
      for (int lane = 0; lane < pixels; ++lane) lanes[lane] = from[int64_t(lane) * dim + d];
      features[d] = Floats::load(lanes);
      squares += features[d] * features[d];
    }
    squares.store(lanes);
    for (float& lane : lanes) lane = std::sqrt(lane);
    length = Floats::load(lanes);
  }

  // Two prototypes at a time: two chains of additions overlap.
  void score(const float* prototypes, int dim, int count) {
    for (int t = 0; t < count; t += 2) {
      const float* first = prototypes + int64_t(t) * dim;
      const float* second = t + 1 < count ? first + dim : first;
      Floats a = 0.f, b = 0.f;
      for (int d = 0; d < dim; ++d) {
        a += features[d] * Floats(first[d]);
        b += features[d] * Floats(second[d]);
      }
      scores[t] = a;
      if (t + 1 < count) scores[t + 1] = b;
    }
  }

  void finish(int count, float tau, int pixels, int32_t* rows, float* confidences) const {
    Floats best = scores[0];
    Ints row(0);
    for (int t = 1; t < count; ++t) {
      const Mask higher = scores[t] > best;
      best = select(higher, scores[t], best);
      row = select(higher, Ints(t), row);
    }
    const Mask has_direction = (length > 0.f) & (length < kHuge);
    const Floats scale = Floats(tau) / select(has_direction, length, 1.f);
    Floats sum = 0.f;
    for (int t = 0; t < count; ++t) sum += exp_negative_wide((best - scores[t]) * scale);
    alignas(64) float shares[kLanes];
    alignas(64) int32_t winners[kLanes];
    select(has_direction, Floats(1.f) / sum, 0.f).store(shares);
    select(has_direction, row, Ints(-1)).store(winners);
    std::copy(shares, shares + pixels, confidences);
    std::copy(winners, winners + pixels, rows);
  }
};

}  // namespace

void nearest(int64_t pixels, int dim, int count, const float* features, const float* prototypes, float tau,
             int32_t* rows, float* confidences, int threads) {
  const int64_t groups = (pixels + kLanes - 1) / kLanes;
  parallel_ranges(groups, threads, [&](int64_t begin, int64_t end) {
    Group group(dim, count);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i * kLanes;
      const int inside = int(std::min<int64_t>(kLanes, pixels - start));
      group.load(features + start * dim, dim, inside);
      group.score(prototypes, dim, count);
      group.finish(count, tau, inside, rows + start, confidences + start);
    }
  });
}

}  // namespace splat
