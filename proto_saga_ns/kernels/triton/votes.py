"""The classification of pixels by votes and prototypes at once, from what sparse channels left in the tiles of a view.

A program has a part of a tile. It goes through the prototypes in blocks and keeps of them only the best, the first of
the best, and the sum of their exponentials, rescaled as the best grows. Then it goes through the labels of its tile,
with their prototypes and votes. Where confidence is that of the winner's group, it goes through both once more. The law
is in csrc/votes.h; memory is that of the result.

Costs: 108 bytes of a pixel with D = 16 and eight labels in its tile; 38 operations and an exponential for each label of
the scene, and of the tile. With 100 labels at 1080p 225 MB and 8.5 GFLOP. Bound: 0.13 ms on an H200 (arithmetic; memory
0.05 ms), 0.22 ms on an RTX 4090 (memory; arithmetic 0.10 ms). Groups double the arithmetic.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import Specialisation, check_tensors, launch, padded
from proto_saga_ns.kernels.triton.rows import HELD_NUMBERS, HUGE
from proto_saga_ns.kernels.triton.tile_lists import TILE_PIXELS, grid_of, pixels_of

PIXELS = 64
"""Of a program, a quarter of a tile; fewer where features are long."""
LABELS = 32
"""That are looked at at a time."""
SHORTEST = tl.constexpr(1e-12)
BELOW_ANY_COSINE = tl.constexpr(-2.0)
NOBODY = tl.constexpr(2**31 - 1)
"""As a row: behind all others."""


def classify(
    features: Float32[Tensor, "H W D"],
    alpha: Float32[Tensor, "H W"],
    votes: tuple[Int64[Tensor, " starts"], Int32[Tensor, " L"], Float32[Tensor, " V"]],
    weights: Float32[Tensor, "T D"],
    groups: Int32[Tensor, " T"] | None,
    *,
    tau: float,
    doubt: float,
    min_alpha: float,
) -> tuple[Int32[Tensor, "H W"], Float32[Tensor, "H W"]]:
    """Labels and confidence of ``proto_saga_ns.recognition.votes.classify_with_votes``.

    Args:
        features: of any length; pixels may lie apart in memory.
        alpha: accumulated opacity.
        votes: starts, labels and values of the ``TiledChannels`` that they were blended into.
        weights: of unit length or zero, at least one.
        groups: of the labels, from 0; None if each is one of its own.
        tau: temperature.
        doubt: what is added to votes.
        min_alpha: pixels below it get label 0.

    Raises:
        ValueError: shapes, types or devices do not fit.
    """
    height, width, dim = features.shape
    columns, rows = grid_of((width, height))
    starts, own, values = votes
    check_tensors(
        "classify",
        features.device,
        features=(features, (height, width, dim), torch.float32),
        alpha=(alpha, (height, width), torch.float32),
        starts=(starts, (columns * rows + 1,), torch.int64),
        labels=(own, (None,), torch.int32),
        values=(values, (TILE_PIXELS * len(own),), torch.float32),
        weights=(weights, (None, dim), torch.float32),
        **({} if groups is None else {"groups": (groups, (len(weights),), torch.int32)}),
    )
    if features.stride()[::2] != (width * features.stride(1), 1):
        features = features.contiguous()
    known = (weights != 0).any(dim=1)
    labels = torch.empty((height, width), dtype=torch.int32, device=features.device)
    confidence = torch.empty_like(labels, dtype=torch.float32)
    tensors = (features, alpha.contiguous(), starts, own, values, weights.contiguous(), known.view(torch.int8))
    pixels = max(16, min(PIXELS, HELD_NUMBERS // padded(dim)))
    launch(
        *(_classify, (columns * rows, TILE_PIXELS // pixels), *tensors),
        *(own if groups is None else groups.contiguous(), labels, confidence),
        *(width, height, features.stride(1), dim, len(weights), tau, doubt, min_alpha),
        **{"GROUPED": groups is not None, "DIM": padded(dim), "PIXELS": pixels, "LABELS": LABELS},
    )
    return labels, confidence


@triton.jit
def _classify(
    features,
    alpha,
    starts,
    tile_labels,
    values,
    weights,
    known,
    groups,
    labels,
    confidence,
    width,
    height,
    stride,
    dim,
    count,
    tau,
    doubt,
    min_alpha,
    GROUPED: tl.constexpr,
    DIM: tl.constexpr,
    PIXELS: tl.constexpr,
    LABELS: tl.constexpr,
):
    """One part of a tile."""
    tile = tl.program_id(0)
    first = tl.load(starts + tile)
    number = (tl.load(starts + tile + 1) - first).to(tl.int32)
    place, x, y = pixels_of(tile, tl.program_id(1), width, PIXELS)
    inside = (x < width) & (y < height)
    pixel = y.to(tl.int64) * width + x
    directions = _directions(features + pixel * stride, inside, dim, DIM)

    # All prototypes: products with the doubt alone.
    best = tl.full((PIXELS,), BELOW_ANY_COSINE, tl.float32)
    winner = tl.full((PIXELS,), NOBODY, tl.int32)
    total = tl.zeros((PIXELS,), tl.float32)
    unknown = 0
    first_unknown = NOBODY
    for start in range(0, count, LABELS):
        row = start + tl.arange(0, LABELS)
        cosines, knows = _cosines(directions, weights, known, row, row < count, dim, DIM)
        cosines = tl.where(knows[None, :], cosines, BELOW_ANY_COSINE)
        highest, at = _first_of_largest(cosines, row)
        winner = tl.where(highest > best, at, winner)
        higher = tl.maximum(highest, best)
        exponentials = tl.where(knows[None, :], tl.exp((cosines - higher[:, None]) * tau), 0.0)
        total = total * tl.exp((best - higher) * tau) + tl.sum(exponentials, axis=1)
        best = higher
        without = (row < count) & (knows == 0)
        unknown += tl.sum(without.to(tl.int32))  # type: ignore
        first_unknown = tl.minimum(first_unknown, tl.min(tl.where(without, row, NOBODY)))
    trained = unknown < count
    top = tl.where(unknown > 0, tl.maximum(best, 0.0), best)
    total = total * tl.exp((best - top) * tau)
    mean = (total + unknown * tl.exp(-top * tau)) / count
    total = (total + unknown * mean) * doubt
    largest = tl.exp((best - top) * tau) * doubt
    largest, winner = _larger(largest, winner, tl.where(unknown > 0, mean * doubt, -1.0), first_unknown)
    if not trained:  # votes decide alone
        total = tl.zeros((PIXELS,), tl.float32)
        largest = tl.zeros((PIXELS,), tl.float32)
        winner = tl.full((PIXELS,), -1, tl.int32)

    # The labels of the tile: their votes.
    block = values + 256 * first + 16 * (place // 16) * number + place % 16
    for start in range(0, number, LABELS):
        column = start + tl.arange(0, LABELS)
        own = tl.load(tile_labels + first + column, mask=column < number, other=NOBODY)
        likeness = _likeness(directions, weights, known, own, column < number, top, mean, tau, trained, dim, DIM)
        more = likeness * tl.load(block[:, None] + 16 * column[None, :], mask=(column < number)[None, :], other=0.0)
        total += tl.sum(more, axis=1)
        product = tl.where(trained, more + likeness * doubt, more)
        product = tl.where((column < number)[None, :], product, -1.0)
        highest, at = _first_of_largest(product, own)
        largest, winner = _larger(largest, winner, highest, at)

    if GROUPED:
        winning = tl.load(groups + winner, mask=winner >= 0, other=-1)
        largest = tl.zeros((PIXELS,), tl.float32)
        if trained:
            for start in range(0, count, LABELS):
                row = start + tl.arange(0, LABELS)
                there = row < count
                likeness = _likeness(directions, weights, known, row, there, top, mean, tau, trained, dim, DIM)
                group = tl.load(groups + row, mask=there, other=-2)
                largest += tl.sum(tl.where(group[None, :] == winning[:, None], likeness, 0.0), axis=1) * doubt
        for start in range(0, number, LABELS):
            column = start + tl.arange(0, LABELS)
            there = column < number
            own = tl.load(tile_labels + first + column, mask=there, other=NOBODY)
            likeness = _likeness(directions, weights, known, own, there, top, mean, tau, trained, dim, DIM)
            more = likeness * tl.load(block[:, None] + 16 * column[None, :], mask=there[None, :], other=0.0)
            group = tl.load(groups + own, mask=there, other=-2)
            largest += tl.sum(tl.where(group[None, :] == winning[:, None], more, 0.0), axis=1)

    # Without prototypes the doubt stands against all votes: no fewer elect anybody.
    elected = trained | (total > doubt)
    share = largest / tl.where(trained, total, total + doubt)
    seen = elected & ((tl.load(alpha + pixel, mask=inside, other=0.0) < min_alpha) == 0)
    tl.store(labels + pixel, tl.where(seen, winner + 1, 0), mask=inside)
    tl.store(confidence + pixel, tl.where(seen, share, 0.0), mask=inside)


@triton.jit
def _directions(at, inside, dim, DIM: tl.constexpr):
    """Features of unit length (P, DIM); zero for what has no direction."""
    channel = tl.arange(0, DIM)
    there = inside[:, None] & (channel < dim)[None, :]
    features = tl.load(at[:, None] + channel[None, :], mask=there, other=0.0)
    length = tl.sqrt(tl.sum(features * features, axis=1))
    finite = length < HUGE
    return tl.where(finite[:, None], features / tl.maximum(tl.where(finite, length, 1.0), SHORTEST)[:, None], 0.0)


@triton.jit
def _cosines(directions, weights, known, row, there, dim, DIM: tl.constexpr):
    """Of each pixel and the prototypes of some rows (P, LABELS), and which of these are no zeros."""
    channel = tl.arange(0, DIM)
    inside = there[None, :] & (channel < dim)[:, None]
    columns = tl.load(weights + row[None, :] * dim + channel[:, None], mask=inside, other=0.0)
    knows = tl.load(known + row, mask=there, other=0) != 0
    return tl.dot(directions, columns, input_precision="ieee"), knows


@triton.jit
def _likeness(directions, weights, known, row, there, top, mean, tau, trained, dim, DIM: tl.constexpr):
    """What the classifier gives to some rows, (P, LABELS); 1 if there are no prototypes."""
    cosines, knows = _cosines(directions, weights, known, row, there, dim, DIM)
    likeness = tl.where(knows[None, :], tl.exp((cosines - top[:, None]) * tau), mean[:, None])
    return tl.where(trained, likeness, 1.0)


@triton.jit
def _first_of_largest(products, rows):
    """The largest of each pixel's products (P, LABELS), and the first of the rows that have it."""
    largest = tl.max(products, axis=1)
    return largest, tl.min(tl.where(products == largest[:, None], rows[None, :], NOBODY), axis=1)  # type: ignore


@triton.jit
def _larger(largest, winner, product, row):
    """The larger of two products and its row; the first row of equals."""
    higher = (product > largest) | ((product == largest) & (row < winner))
    return tl.where(higher, product, largest), tl.where(higher, row, winner)


_TYPES = {
    **{name: "*fp32" for name in ("features", "alpha")},
    **{"starts": "*i64", "tile_labels": "*i32", "values": "*fp32", "weights": "*fp32", "known": "*i8"},
    **{"groups": "*i32", "labels": "*i32", "confidence": "*fp32"},
    **{name: "i32" for name in ("width", "height", "stride", "dim", "count")},
    **{name: "fp32" for name in ("tau", "doubt", "min_alpha")},
}
SPECIALISATIONS = tuple(
    Specialisation(
        _classify,
        _TYPES,
        {"GROUPED": grouped, "DIM": dim, "PIXELS": pixels, "LABELS": LABELS},
        bytes=4 * (dim + 1 + 8 + 2),
        operations=(1 + grouped) * 108 * (2 * dim + 6),
    )
    for grouped, dim, pixels in ((False, 16, PIXELS), (True, 16, PIXELS), (True, 64, 32))
)
