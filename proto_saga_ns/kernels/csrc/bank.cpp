#include "bank.h"

#include <algorithm>
#include <vector>

namespace splat {
namespace {

constexpr int kAhead = 16;  // Gaussians whose lists are fetched before they are needed

struct Claim {
  const int64_t* begin;
  const int64_t* end;

  double size() const { return double(end - begin); }
};

// counts[instance] = how many of the Gaussians it owns.
void count_owned(const Bank& bank, const Claim& claim, std::vector<int64_t>& counts) {
  counts.assign(bank.instances, 0);
  for (const int64_t* g = claim.begin; g != claim.end; ++g) {
    if (claim.end - g > 2 * kAhead) __builtin_prefetch(bank.first + g[2 * kAhead]);
    if (claim.end - g > kAhead) __builtin_prefetch(bank.entries + std::max(bank.first[g[kAhead]], 0));
    for (int32_t entry = bank.first[*g]; entry >= 0; entry = bank.entries[entry].next)
      ++counts[bank.entries[entry].owner];
  }
}

// The instance with the highest overlap, -1 if none is above the threshold.
int64_t best_instance(const std::vector<int64_t>& counts, const Claim& claim, const Rules& rules) {
  // Both scores grow with the count.
  const auto most = std::max_element(counts.begin(), counts.end());
  if (most == counts.end()) return -1;
  const double both = double(*most), score = both / (claim.size() + (rules.by_sum ? both : 0));
  return score > rules.delta ? most - counts.begin() : -1;
}

bool is_owned_by(const Bank& bank, int64_t gaussian, int64_t instance) {
  int32_t entry = bank.first[gaussian];
  while (entry >= 0 && bank.entries[entry].owner != instance) entry = bank.entries[entry].next;
  return entry >= 0;
}

void own(Bank& bank, int64_t gaussian, int64_t instance) {
  bank.entries[bank.size] = {bank.first[gaussian], int32_t(instance), int32_t(gaussian)};
  bank.first[gaussian] = int32_t(bank.size++);
}

}  // namespace

void place(Bank& bank, int64_t masks, const int64_t* offsets, const int64_t* gaussians, const Rules& rules,
           bool founding, int32_t* instances) {
  std::vector<int64_t> counts;
  for (int64_t m = 0; m < masks; ++m) {
    const Claim claim = {gaussians + offsets[m], gaussians + offsets[m + 1]};
    int64_t instance = -1;
    if (!founding) {
      count_owned(bank, claim, counts);
      instance = best_instance(counts, claim, rules);
    }
    const bool is_new = instance < 0;
    if (is_new) instance = bank.instances++;
    for (const int64_t* g = claim.begin; g != claim.end; ++g)
      if (is_new || !(rules.disjoint ? bank.first[*g] >= 0 : is_owned_by(bank, *g, instance))) own(bank, *g, instance);
    instances[m] = int32_t(instance);
  }
}

}  // namespace splat
