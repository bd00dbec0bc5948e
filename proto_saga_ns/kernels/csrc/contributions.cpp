#include "contributions.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "parallel.h"
#include "simd.h"
#include "tile.h"

namespace splat {
namespace {

constexpr int kPixels = kTile * kTile;

// The labels in one tile, ascending. Most tiles have few.
struct TileLabels {
  int32_t values[kPixels];
  int count = 0;

  TileLabels(const Tile& tile, const Grid& grid, const int32_t* labels) {
    const int right = std::min(tile.left + kTile, grid.width), bottom = std::min(tile.top + kTile, grid.height);
    int32_t before = labels[int64_t(tile.top) * grid.width + tile.left];
    values[count++] = before;
    for (int y = tile.top; y < bottom; ++y)
      for (int x = tile.left; x < right; ++x) {
        const int32_t label = labels[int64_t(y) * grid.width + x];
        if (label != before) insert(label);
        before = label;
      }
  }

  int place(int32_t label) const { return int(std::lower_bound(values, values + count, label) - values); }

 private:
  void insert(int32_t label) {
    const int at = place(label);
    if (at < count && values[at] == label) return;
    std::copy_backward(values + at, values + count, values + count + 1);
    values[at] = label;
    ++count;
  }
};

// The labels in one block, as places in the tile's labels, and the lanes of each. No lane lies outside the image.
struct BlockLabels {
  int places[kLanes];
  Mask lanes[kLanes];
  int count = 0;

  BlockLabels(const Tile& tile, int block, const Grid& grid, const int32_t* labels, const TileLabels& tile_labels) {
    alignas(64) int32_t bits[kLanes][kLanes] = {};
    for_pixels(tile, block, grid, [&](int lane, int64_t pixel) {
      const int place = tile_labels.place(labels[pixel]);
      const int at = int(std::find(places, places + count, place) - places);
      if (at == count) places[count++] = place;
      bits[at][lane] = -1;
    });
    for (int j = 0; j < count; ++j) std::memcpy(lanes[j].part, bits[j], sizeof(bits[j]));
  }
};

void fill_table(const Stage& stage, const Tile& tile, const Grid& grid, const int32_t* labels, float* table) {
  const TileLabels tile_labels(tile, grid, labels);
  std::fill(table, table + tile.count * tile_labels.count, 0.f);
  for (int block = 0; block < kBlocks; ++block) {
    const BlockLabels own(tile, block, grid, labels, tile_labels);
    if (own.count == 0) continue;
    walk_block(stage, tile, block, [&](int count, const int32_t* places, const Floats* weights) {
      for (int k = 0; k < count; k += 4) {  // four Gaussians, the last again where there are fewer
        const int size = std::min(4, count - k);
        const Floats* four[4];
        for (int g = 0; g < 4; ++g) four[g] = weights + k + std::min(g, size - 1);
        for (int j = 0; j < own.count; ++j) {
          const auto part = [&](int g) { return select(own.lanes[j], *four[g], 0.f); };
          const Quad sums = sum_lanes(part(0), part(1), part(2), part(3));
          for (int g = 0; g < size; ++g) table[int64_t(places[k + g]) * tile_labels.count + own.places[j]] += sums[g];
        }
      }
    });
  }
}

// The cells of one Gaussian: what the tiles, in their order, say about its labels.
struct Cell {
  int32_t label;
  float weight;
};

// Sums cells of the same label, tiles in their order; the sums stand at the front. Returns how many there are.
int64_t sum_labels(Cell* begin, Cell* end) {
  const auto by_label = [](const Cell& a, const Cell& b) { return a.label < b.label; };
  if (!std::is_sorted(begin, end, by_label)) std::stable_sort(begin, end, by_label);  // which asks for memory
  Cell* out = begin;
  for (const Cell* cell = begin; cell != end;) {
    const int32_t label = cell->label;
    double sum = 0;
    for (; cell != end && cell->label == label; ++cell) sum += cell->weight;
    *out++ = {label, float(sum)};
  }
  return out - begin;
}

// Calls body(Gaussian, label, weight) for the cells that are not zero, tile by tile. Every thread walks all cells, but has
// Gaussians of its own. What body needs of a Gaussian is fetched ahead.
template <class Body>
void for_cells(int64_t n, const int32_t* labels, const int64_t* offsets, const int32_t* entries, const Grid& grid,
               const int64_t* starts, const float* tables, const int64_t* needed, int threads, const Body& body) {
  parallel_ranges(n, threads, [&](int64_t first, int64_t last) {
    for (int64_t index = 0; index < grid.tiles(); ++index) {
      const Tile tile(index, grid, offsets);
      if (tile.count == 0) continue;
      const TileLabels tile_labels(tile, grid, labels);
      const float* row = tables + starts[index];
      for (int64_t k = 0; k < tile.count; ++k, row += tile_labels.count) {
        const int32_t i = entries[tile.begin + k];
        __builtin_prefetch(needed + entries[tile.begin + std::min(k + kAhead, tile.count - 1)], 1);
        if (i < first || i >= last) continue;
        for (int j = 0; j < tile_labels.count; ++j)
          if (row[j] != 0.f) body(i, tile_labels.values[j], row[j]);
      }
    }
  });
}

}  // namespace

int64_t place_tables(const int32_t* labels, const int64_t* offsets, const Grid& grid, int64_t* starts, int threads) {
  starts[0] = 0;
  parallel_for(grid.tiles(), threads, [&](int64_t index) {
    const Tile tile(index, grid, offsets);
    starts[index + 1] = tile.count == 0 ? 0 : tile.count * TileLabels(tile, grid, labels).count;
  });
  std::partial_sum(starts, starts + grid.tiles() + 1, starts);
  return starts[grid.tiles()];
}

int64_t fill_tables(const Splats& in, const int32_t* labels, const Grid& grid, const int64_t* starts, float* tables,
                    int threads) {
  std::vector<Stage> stages(threads);
  std::vector<int64_t> found(threads, 0);
  parallel_tasks(grid.tiles(), threads, [&](int64_t index, int worker) {
    const Tile tile(index, grid, in.offsets);
    if (tile.count == 0) return;
    stages[worker].fill<0>(in, tile);
    float* table = tables + starts[index];
    fill_table(stages[worker], tile, grid, labels, table);
    found[worker] += starts[index + 1] - starts[index] - std::count(table, tables + starts[index + 1], 0.f);
  });
  return std::accumulate(found.begin(), found.end(), int64_t(0));
}

int64_t sum_tables(int64_t n, const int32_t* labels, const int64_t* offsets, const int32_t* entries, const Grid& grid,
                   const int64_t* starts, const float* tables, Contribution* out, int threads) {
  std::vector<int64_t> begins(n + 1, 0);
  for_cells(n, labels, offsets, entries, grid, starts, tables, begins.data() + 1, threads,
            [&](int32_t i, int32_t, float) { ++begins[i + 1]; });
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<Cell> cells(begins[n]);
  std::vector<int64_t> next = begins;
  for_cells(n, labels, offsets, entries, grid, starts, tables, next.data(), threads,
            [&](int32_t i, int32_t label, float weight) { cells[next[i]++] = {label, weight}; });
  std::vector<int64_t> places(n + 1, 0);
  parallel_for(n, threads,
               [&](int64_t i) { places[i + 1] = sum_labels(cells.data() + begins[i], cells.data() + next[i]); });
  std::partial_sum(places.begin(), places.end(), places.begin());
  parallel_for(n, threads, [&](int64_t i) {
    for (int64_t j = 0; j < places[i + 1] - places[i]; ++j) {
      const Cell& cell = cells[begins[i] + j];
      out[places[i] + j] = {int32_t(i), cell.label, cell.weight};
    }
  });
  return places[n];
}

}  // namespace splat
