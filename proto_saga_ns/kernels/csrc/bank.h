// The memory bank: instances and the Gaussians that they own, grown mask by mask (Eqs. 11-13).
#pragma once

#include <cstdint>

namespace splat {

struct Entry {
  int32_t next;      // entry of the same Gaussian, -1 for none
  int32_t owner;     // instance
  int32_t gaussian;  // whose entry it is
};

struct Bank {
  int32_t* first;  // the newest entry of each Gaussian, -1 for none
  Entry* entries;
  int64_t size;  // entries in use
  int64_t instances;
};

struct Rules {
  double delta;      // a mask joins the instance with the highest overlap if that is above this
  int32_t by_sum;    // overlap: n(both) / (n(mask) + n(both)), not n(both) / n(mask)
  int32_t disjoint;  // an instance takes only Gaussians that nobody owns
};

// Gives the masks of one view, one after another, to instances: the best (the oldest among equals) or a new one, always
// a new one if `founding`. Mask m claims gaussians[offsets[m]] to gaussians[offsets[m + 1] - 1], each once. The bank's
// entries must leave room for all of them.
void place(Bank& bank, int64_t masks, const int64_t* offsets, const int64_t* gaussians, const Rules& rules,
           bool founding, int32_t* instances);

}  // namespace splat
