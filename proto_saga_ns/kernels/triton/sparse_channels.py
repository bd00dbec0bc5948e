"""A few labelled channels of each Gaussian, blended into a view from gsplat's tile lists.

Two kernels. The first marks which labels occur in each tile: a byte for each tile and label, 1/1024 of what a channel
for each label would take in the picture. The second blends, for a part of a tile, 16 or 32 of its labels at a time: a
chunk of entries is a matrix of weights (pixels x entries), kept in registers, times one of values (entries x labels),
made by comparing the entries' labels with the tile's. Nothing is added up in memory, so that every run gives the same
bits. Nobody knows the number of labels before: the host waits for it once.

Costs: for each pixel and entry 26 operations and an exponential for the weight, 32 for sixteen labels. With 1M
Gaussians in 5M tile entries at 1080p, and ten of 100 labels in a tile, that is 1.3G pairs, 75 GFLOP, and 150 MB to and
from memory (56 bytes a Gaussian, 4 an entry, 1 kB a tile and label). Bound: 1.1 ms on an H200 (67 TFLOP/s in float32;
memory 0.03 ms), 0.9 ms on an RTX 4090 (82 TFLOP/s; memory 0.15 ms): arithmetic rules, and next to it the shuffles
between lanes, eight for each pixel and entry, that the running product takes. A tile that is full early costs less, one
of more labels costs the weights again.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import Specialisation, check_tensors, launch
from proto_saga_ns.kernels.triton.tile_lists import (
    LIST_TYPES,
    SIZE_TYPES,
    SPLAT_BYTES,
    SPLAT_TYPES,
    TILE_PIXELS,
    WEIGHT_OPERATIONS,
    Lists,
    Splats,
    checked,
    entries_of,
    is_open,
    pixels_of,
    weights_of,
)

PIXELS = 64
"""Of a program: a quarter of a tile."""
ENTRIES = 16
"""Of a tile that are blended at a time."""
LABELS = (16, 32)
"""Of a tile that are blended at a time: the fewer, unless most tiles would need the weights twice."""
MARKED_ENTRIES = 128
"""Of a tile whose labels are marked at a time."""
MAX_MARKS = 1 << 26
"""Bytes; where tiles times labels are more, so many tiles are marked at a time as have no more."""


def blend(
    splats: Splats,
    lists: Lists,
    labels: Int32[Tensor, "N F"],
    values: Float32[Tensor, "N F"],
    count: int,
    size: tuple[int, int],
) -> tuple[Int64[Tensor, " starts"], Int32[Tensor, " L"], Float32[Tensor, " V"]]:
    """Starts, labels and values of a ``TiledChannels``; the labels of a tile ascend.

    Args:
        splats: see ``tile_lists``.
        lists: see there.
        labels: of the channels of each Gaussian, in [-1, count); -1 for none.
        values: of the channels.
        count: T.
        size: width and height, pixels.

    Raises:
        ValueError: a shape, type or device does not fit.
    """
    splats, lists = checked("sparse channels", splats, lists, size)
    shape = (len(splats[0]), labels.shape[-1])
    check_tensors(
        "sparse channels",
        labels.device,
        labels=(labels, shape, torch.int32),
        values=(values, shape, torch.float32),
        opacities=(splats[2], shape[:1], torch.float32),
    )
    labels, values = labels.contiguous(), values.contiguous()
    starts, found = labels_of_tiles(lists, labels, count)
    out = values.new_empty(TILE_PIXELS * len(found))
    programs = (len(starts) - 1, TILE_PIXELS // PIXELS)
    at_a_time = LABELS[len(found) > LABELS[0] * programs[0]]
    blocks = {"SLOTS": shape[1], "PIXELS": PIXELS, "ENTRIES": ENTRIES, "LABELS": at_a_time}
    if len(found):
        launch(_blend, programs, *splats, *lists, labels, values, starts, found, out, *size, **blocks)
    return starts, found, out


def labels_of_tiles(
    lists: Lists, labels: Int32[Tensor, "N F"], count: int
) -> tuple[Int64[Tensor, " starts"], Int32[Tensor, " L"]]:
    """Which labels the entries of each tile have: numbers of labels in the tiles before, and the labels, ascending."""
    tiles = len(lists[0]) - 1
    step = max(MAX_MARKS // max(count, 1), 1)
    numbers, found = [], []
    for first in range(0, tiles, step):
        marks = _marks(lists, labels, count, first, min(step, tiles - first))
        numbers.append(marks.sum(dim=1))
        found.append(marks.nonzero()[:, 1].int())
    together = torch.cat([*numbers, lists[0].new_zeros(1)])
    return together.roll(1).cumsum(0), torch.cat([*found, labels.new_zeros(0)])


def _marks(lists: Lists, labels: Int32[Tensor, "N F"], count: int, first: int, tiles: int) -> Bool[Tensor, "tiles T"]:
    marks = torch.zeros((tiles, count), dtype=torch.int8, device=labels.device)
    if count and labels.shape[1]:
        launch(_mark, tiles, *lists, labels, marks, first, count, SLOTS=labels.shape[1], ENTRIES=MARKED_ENTRIES)
    return marks.view(torch.bool)


@triton.jit
def _mark(offsets, entries, labels, marks, first_tile, count, SLOTS: tl.constexpr, ENTRIES: tl.constexpr):
    """One tile. Several entries may write the same 1 to the same place, in any order."""
    row = tl.program_id(0)
    at = tl.load(offsets + first_tile + row)
    end = tl.load(offsets + first_tile + row + 1)
    while at < end:
        _, ids, there = entries_of(entries, at, end, ENTRIES)
        for slot in tl.static_range(SLOTS):  # type: ignore
            label = tl.load(labels + ids * SLOTS + slot, mask=there, other=-1)
            one = tl.full((ENTRIES,), 1, tl.int8)
            tl.store(marks + row.to(tl.int64) * count + label, one, mask=label >= 0)
        at += ENTRIES


@triton.jit
def _blend(
    means2d,
    conics,
    opacities,
    offsets,
    entries,
    labels,
    values,
    starts,
    tile_labels,
    out,
    width,
    height,
    SLOTS: tl.constexpr,
    PIXELS: tl.constexpr,
    ENTRIES: tl.constexpr,
    LABELS: tl.constexpr,
):
    """One part of a tile, all labels of it."""
    tile = tl.program_id(0)
    begin = tl.load(offsets + tile)
    end = tl.load(offsets + tile + 1)
    first = tl.load(starts + tile)
    number = (tl.load(starts + tile + 1) - first).to(tl.int32)
    place, x, y = pixels_of(tile, tl.program_id(1), width, PIXELS)
    inside = (x < width) & (y < height)
    for start in range(0, number, LABELS):
        column = start + tl.arange(0, LABELS)
        own = tl.load(tile_labels + first + column, mask=column < number, other=-2)
        sums = tl.zeros((PIXELS, LABELS), tl.float32)
        left = tl.where(inside, 1.0, 0.0)
        at = begin
        while (at < end) & is_open(left):
            _, ids, there = entries_of(entries, at, end, ENTRIES)
            weights, left = weights_of(means2d, conics, opacities, ids, there, x, y, left)
            matrix = tl.zeros((ENTRIES, LABELS), tl.float32)
            for slot in tl.static_range(SLOTS):  # type: ignore
                label = tl.load(labels + ids * SLOTS + slot, mask=there, other=-1)
                value = tl.load(values + ids * SLOTS + slot, mask=there, other=0.0)
                matrix += tl.where(label[:, None] == own[None, :], value[:, None], 0.0)
            sums = tl.dot(weights, matrix, sums, input_precision="ieee")
            at += ENTRIES
        to = 256 * first + 16 * ((place // 16)[:, None] * number + column[None, :]) + (place % 16)[:, None]
        tl.store(out + to, sums, mask=(column < number)[None, :])


_CHANNEL_TYPES = {"labels": "*i32", "values": "*fp32", "starts": "*i64", "tile_labels": "*i32", "out": "*fp32"}
SPECIALISATIONS = (
    Specialisation(
        _mark,
        {**LIST_TYPES, "labels": "*i32", "marks": "*i8", "first_tile": "i32", "count": "i32"},
        {"SLOTS": 4, "ENTRIES": MARKED_ENTRIES},
        bytes=4 + 4 * 4,  # of an entry
        operations=4 * 2,
    ),
    *(
        Specialisation(
            _blend,
            {**SPLAT_TYPES, **LIST_TYPES, **_CHANNEL_TYPES, **SIZE_TYPES},
            {"SLOTS": 4, "PIXELS": PIXELS, "ENTRIES": ENTRIES, "LABELS": labels},
            bytes=4 + SPLAT_BYTES + 4 * 8,  # of an entry
            operations=TILE_PIXELS * (WEIGHT_OPERATIONS + 2 * labels),
        )
        for labels in LABELS
    ),
)
