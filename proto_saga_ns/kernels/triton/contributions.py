"""How much each Gaussian contributes to the pixels of each label of one view, in one pass over gsplat's tile lists.

A tile has a table of its labels (ascending) by its entries (in their order); a program fills that of a tile, a chunk
of entries at a time: their weights (pixels x entries) stay in registers, and each label of the tile sums those of its
pixels. What is not zero becomes a pair of a key (Gaussian and label in one number) and a whole number of units, so
small that a view's whole light just fits into 62 bits. Such numbers have the same sum in any order: sorting the keys
and one running sum over the units add up what the tiles say of the same pair, and every run gives the same bits.

Memory: of a pixel 40 bytes, to find the labels of tiles; of ``MAX_CELLS`` cells at a time 12 bytes each, and 64 of one
that is not zero, while it is sorted: 320 MB at most; and of each pair of a Gaussian and a label 16 bytes, 80 at the
last sort. Each lot of tiles makes the host wait for the number of its cells that are not zero.

Costs: for each pixel and entry 26 operations and an exponential for the weight, and 2 for each label of the tile. With
1M Gaussians in 5M tile entries at 1080p and two of 100 labels in a tile that is 1.3G pairs, 38 GFLOP, and 1.5 GB to
and from memory (28 bytes an entry, 12 a cell, and for the half of the cells that is not zero eight passes of sorting,
32 bytes each). Bound: 0.6 ms of arithmetic and 0.3 ms of memory on an H200 (67 TFLOP/s in float32, 4.8 TB/s), 0.5 ms
and 1.5 ms on an RTX 4090 (82 TFLOP/s, 1.0 TB/s).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from jaxtyping import Float32, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.triton.launch import Specialisation, check_tensors, launch
from proto_saga_ns.kernels.triton.tile_lists import (
    LIST_TYPES,
    SIZE_TYPES,
    SPLAT_BYTES,
    SPLAT_TYPES,
    TILE,
    TILE_PIXELS,
    WEIGHT_OPERATIONS,
    Lists,
    Splats,
    checked,
    entries_of,
    grid_of,
    is_open,
    pixels_of,
    weights_of,
)

ENTRIES = 16
"""Of a tile whose weights are summed at a time."""
WARPS = 8
MAX_CELLS = 1 << 22
"""Of tables that are in memory at a time; a tile that has more is alone there."""
BLOCK = 4
LABEL_BITS = 32
UNIT_BITS = 62


def sum_of_tiles(
    splats: Splats, lists: Lists, label_map: Int32[Tensor, "H W"]
) -> tuple[Int32[Tensor, " P"], Int32[Tensor, " P"], Float32[Tensor, " P"]]:
    """Gaussians, labels and weights of ``proto_saga_ns.rasterize.contributions.Contributions``.

    Args:
        splats: see ``tile_lists``.
        lists: see there.
        label_map: labels from 0.

    Raises:
        ValueError: a shape, type or device does not fit.
    """
    height, width = label_map.shape
    splats, lists = checked("contributions", splats, lists, (width, height))
    check_tensors("contributions", splats[0].device, label_map=(label_map, (height, width), torch.int32))
    bits = UNIT_BITS - (height * width).bit_length()
    parts = [_summed(keys, units) for keys, units in _pairs(splats, lists, label_map, bits)]
    keys, units = parts[0] if len(parts) == 1 else _summed(*(torch.cat(column) for column in zip(*parts, strict=True)))
    labels = keys & (1 << LABEL_BITS) - 1
    return (keys >> LABEL_BITS).int(), labels.int(), (units.double() * 2.0**-bits).float()


def labels_of_tiles(
    label_map: Int32[Tensor, "H W"],
) -> tuple[Int64[Tensor, " starts"], Int32[Tensor, " L"], Int32[Tensor, "tiles 256"]]:
    """Which labels the pixels of each tile have.

    Returns:
        Numbers of labels in the tiles before, and in all; the labels, ascending in each tile; which of its tile's
        labels each pixel has, in the order of ``tile_lists``, -1 for pixels outside the image.
    """
    height, width = label_map.shape
    columns, rows = grid_of((width, height))
    whole = F.pad(label_map, (0, columns * TILE - width, 0, rows * TILE - height), value=-1)
    across = TILE // BLOCK
    blocks = whole.view(rows, across, BLOCK, columns, across, BLOCK).permute(0, 3, 1, 4, 2, 5)
    labels, order = blocks.reshape(-1, TILE_PIXELS).sort(dim=1)
    is_first = (labels != F.pad(labels[:, :-1], (1, 0), value=-1)) & (labels >= 0)
    ranks = is_first.cumsum(dim=1, dtype=torch.int32) - 1
    places = torch.empty_like(ranks).scatter_(1, order, ranks)
    return F.pad(is_first.sum(dim=1).cumsum(0), (1, 0)), labels[is_first], places


def _pairs(
    splats: Splats, lists: Lists, label_map: Tensor, bits: int
) -> Iterator[tuple[Int64[Tensor, " P"], Int64[Tensor, " P"]]]:
    """Keys and units of what is not zero, of one lot of tiles after another."""
    starts, own, places = labels_of_tiles(label_map)
    cells = F.pad((lists[0].diff() * starts.diff()).cumsum(0), (1, 0))
    size = (label_map.shape[1], label_map.shape[0])
    for first, end, number in _lots(cells.tolist()):
        tables = splats[0].new_zeros(number)
        keys = torch.empty_like(tables, dtype=torch.int64)
        if number:
            launch(
                *(_fill_tables, end - first, *splats, *lists, starts, own, places, cells, tables, keys, first, *size),
                **{"PIXELS": TILE_PIXELS, "ENTRIES": ENTRIES, "num_warps": WARPS},
            )
        drawn = tables.nonzero()[:, 0]
        keys, weights = keys[drawn], tables[drawn]
        del drawn, tables  # while the caller sorts
        yield keys, (weights.double() * 2.0**bits).round().long()


def _lots(cells: list[int]) -> Iterator[tuple[int, int, int]]:
    """First tile, the tile after the last one, and number of cells, of tiles that are in memory together."""
    first = 0
    for tile in range(1, len(cells)):
        is_last = tile == len(cells) - 1
        if is_last or cells[tile + 1] - cells[first] > MAX_CELLS:
            yield first, tile, cells[tile] - cells[first]
            first = tile


def _summed(keys: Int64[Tensor, " P"], units: Int64[Tensor, " P"]) -> tuple[Int64[Tensor, " E"], Int64[Tensor, " E"]]:
    """Each key once, ascending, and the sum of its units."""
    keys, order = keys.sort()
    ends = F.pad(keys.diff() != 0, (0, 1), value=True)[: len(keys)].nonzero()[:, 0]
    sums = units[order].cumsum(0)[ends]
    return keys[ends], sums.diff(prepend=sums.new_zeros(1))


@triton.jit
def _fill_tables(
    means2d,
    conics,
    opacities,
    offsets,
    entries,
    starts,
    tile_labels,
    places,
    cells,
    tables,
    keys,
    first_tile,
    width,
    height,
    PIXELS: tl.constexpr,
    ENTRIES: tl.constexpr,
):
    """One tile. Cells of entries behind what anybody sees are left as they are, as are the keys of zeros."""
    tile = first_tile + tl.program_id(0)
    begin = tl.load(offsets + tile)
    end = tl.load(offsets + tile + 1)
    first_label = tl.load(starts + tile)
    number = (tl.load(starts + tile + 1) - first_label).to(tl.int32)
    cell = tl.load(cells + tile) - tl.load(cells + first_tile)
    place, x, y = pixels_of(tile, 0, width, PIXELS)
    own = tl.load(places + tile.to(tl.int64) * PIXELS + place)
    left = tl.where((x < width) & (y < height), 1.0, 0.0)
    at = begin
    while (at < end) & is_open(left):
        index, ids, there = entries_of(entries, at, end, ENTRIES)
        weights, left = weights_of(means2d, conics, opacities, ids, there, x, y, left)
        for k in range(number):
            sums = tl.sum(tl.where((own == k)[:, None], weights, 0.0), axis=0)
            to = cell + k * (end - begin) + (index - begin)
            key = (ids.to(tl.int64) << 32) | tl.load(tile_labels + first_label + k).to(tl.int64)
            tl.store(tables + to, sums, mask=there)
            tl.store(keys + to, key, mask=there & (sums > 0))  # type: ignore
        at += ENTRIES


_TABLE_TYPES = {
    **{"starts": "*i64", "tile_labels": "*i32", "places": "*i32", "cells": "*i64"},
    **{"tables": "*fp32", "keys": "*i64", "first_tile": "i32"},
}
SPECIALISATIONS = (
    Specialisation(
        _fill_tables,
        {**SPLAT_TYPES, **LIST_TYPES, **_TABLE_TYPES, **SIZE_TYPES},
        {"PIXELS": TILE_PIXELS, "ENTRIES": ENTRIES},
        WARPS,
        bytes=4 + SPLAT_BYTES + 2 * (4 + 4 + 8),  # of an entry, with two labels in its tile
        operations=TILE_PIXELS * (WEIGHT_OPERATIONS + 2 * 2),
    ),
)
