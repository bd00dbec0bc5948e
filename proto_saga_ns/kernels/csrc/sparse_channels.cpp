#include "sparse_channels.h"

#include <numeric>
#include <vector>

#include "parallel.h"
#include "tile_channels.h"

namespace splat {

int64_t place_channels(const SparseChannels& channels, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                       int64_t* starts, int threads) {
  std::vector<TileLabels> found(threads, TileLabels(channels.count));
  starts[0] = 0;
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    found[worker].clear();
    for (int64_t k = offsets[index]; k < offsets[index + 1]; ++k)
      for (int slot = 0; slot < channels.slots; ++slot) {
        const int32_t label = channels.labels[int64_t(channels.slots) * entries[k] + slot];
        if (label >= 0) found[worker].place(label);
      }
    starts[index + 1] = found[worker].labels.size();
  });
  std::partial_sum(starts, starts + grid.tiles() + 1, starts);
  return starts[grid.tiles()];
}

}  // namespace splat
