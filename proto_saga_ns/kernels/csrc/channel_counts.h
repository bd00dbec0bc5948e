// The channel counts that have a kernel of their own, compiled for just as many.
#pragma once

#include <type_traits>

namespace splat {

template <int... Counts>
struct ChannelCounts {
  // The least count that is large enough; 0 if there is none.
  static int padded(int channels) {
    int best = 0;
    ((best = (Counts >= channels && (best == 0 || Counts < best)) ? Counts : best), ...);
    return best;
  }

  // body(std::integral_constant<int, channels>); false if the count has no kernel.
  template <class Body>
  static bool call(int channels, const Body& body) {
    return ((channels == Counts && (body(std::integral_constant<int, Counts>()), true)) || ...);
  }
};

using AllCounts = ChannelCounts<1, 2, 3, 4, 8, 12, 16, 19, 20, 24, 32>;

}  // namespace splat
