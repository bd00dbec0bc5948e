"""The softmax of tau times the cosine on a GPU, in one pass that keeps no matrix of features x rows.

Cost of a feature with D numbers before T rows, in float32 (the rows themselves stay in the cache); memory beside the
result: none.

    nearest               4 D + 8 bytes, 2 D T + 8 T operations; twice the operations with groups
    own_log_probability   4 D + 8 bytes, 2 D T + 8 T operations

D = 16 and T = 100 are 72 bytes and 4,000 operations. An H200 (4.8 TB/s, 67 TFLOP/s) moves them in 0.015 ns and computes
for 0.060 ns: at the best 0.12 ms for the two million pixels of 1920x1080. An RTX 4090 (1.0 TB/s, 82 TFLOP/s) moves them
in 0.072 ns and computes for 0.049 ns: 0.15 ms. Computing bounds the time from 25 rows on (RTX 4090: 150).
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.kernels.triton.cross_entropy import CrossEntropy
from proto_saga_ns.kernels.triton.launch import Specialisation, blocks, check_tensors, launch
from proto_saga_ns.kernels.triton.rows import (
    LONGEST,
    SHAPE_TYPES,
    block_sizes,
    check_rows,
    load_rows,
    load_unit_features,
    score,
    shape_of,
    survey,
)

__all__ = ["LONGEST", "CrossEntropy", "nearest", "own_log_probability"]


@triton.jit
def _nearest(
    features, weights, groups, rows, shares, items, stride, dim, count, tau,
    GROUPED: tl.constexpr, ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    item = tl.program_id(0).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)
    inside = item < items
    unit, known = load_unit_features(features, item, inside, stride, dim, DIM)
    none = tl.full((ITEMS,), -1, tl.int32)
    best, winner, total, _ = survey(unit, weights, none, count, dim, tau, ITEMS, ROWS, DIM)
    won = tl.full((ITEMS,), 1.0, tl.float32)
    if GROUPED:
        won = tl.zeros((ITEMS,), tl.float32)
        group = tl.load(groups + winner)
        for start in range(0, count, ROWS):
            row = start + tl.arange(0, ROWS)
            of_row = tl.load(groups + row, mask=row < count, other=-1)
            scores = tau * score(unit, load_rows(weights, start, count, dim, ROWS, DIM), start, count, ROWS)
            of_group = of_row[None, :] == group[:, None]
            won += tl.sum(tl.where(of_group, tl.exp(scores - best[:, None]), 0.0), axis=1)
    tl.store(rows + item, tl.where(known, winner, -1), mask=inside)
    tl.store(shares + item, tl.where(known, won / total, 0.0), mask=inside)


@triton.jit
def _own_log_probability(
    features, weights, rows, result, items, stride, dim, count, tau,
    ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    item = tl.program_id(0).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)
    inside = item < items
    unit, _ = load_unit_features(features, item, inside, stride, dim, DIM)
    own = tl.load(rows + item, mask=inside, other=0)
    best, _, total, own_score = survey(unit, weights, own, count, dim, tau, ITEMS, ROWS, DIM)
    tl.store(result + item, own_score - best - tl.log(total), mask=inside)


def nearest(
    features: Float[Tensor, "P D"], unit_weights: Float[Tensor, "T D"], groups: Int[Tensor, " T"] | None, tau: float
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Row with the highest cosine (-1 for a feature without direction) and the probability of its group (0 there).

    Args:
        features: float32 of any length; they may lie apart in memory.
        unit_weights: of unit length, at least one.
        groups: of the rows, not negative; None if each is a group of its own, which takes half the time.
        tau: temperature.

    Raises:
        ValueError: shapes, types or devices do not fit.
    """
    features, unit_weights = check_rows("nearest", features, unit_weights)
    if groups is not None:
        groups = groups.int().contiguous()
        check_tensors("nearest", features.device, groups=(groups, (len(unit_weights),), torch.int32))
    rows = torch.empty(len(features), dtype=torch.int32, device=features.device)
    shares = torch.empty(len(features), device=features.device)
    sizes = block_sizes(features.shape[1])
    launch(
        *(_nearest, blocks(len(features), sizes["ITEMS"])),
        *(features, unit_weights, rows if groups is None else groups, rows, shares),
        *(*shape_of(features, unit_weights), float(tau)),
        GROUPED=groups is not None,
        **sizes,
    )
    return rows, shares


def own_log_probability(
    features: Float[Tensor, "P D"], unit_weights: Float[Tensor, "T D"], rows: Int32[Tensor, " P"], tau: float
) -> Float[Tensor, " P"]:
    """Logarithm of the probability that each feature gives to its own row; arguments as for ``nearest``.

    Raises:
        ValueError: shapes, types or devices do not fit.
    """
    features, unit_weights = check_rows("own_log_probability", features, unit_weights)
    check_tensors("own_log_probability", features.device, rows=(rows, (len(features),), torch.int32))
    result = torch.empty(len(features), device=features.device)
    sizes = block_sizes(features.shape[1])
    launch(
        *(_own_log_probability, blocks(len(features), sizes["ITEMS"]), features, unit_weights, rows.contiguous()),
        *(result, *shape_of(features, unit_weights), float(tau)),
        **sizes,
    )
    return result


_IN = {"features": "*fp32", "weights": "*fp32"}


def _specialisations() -> tuple[Specialisation, ...]:
    rows = 100
    operations = 2 * 16 * rows + 8 * rows
    result = {"rows": "*i32", "shares": "*fp32"}
    types = {**_IN, "groups": "*i32", **result, **SHAPE_TYPES, "tau": "fp32"}
    own = {**_IN, "rows": "*i32", "result": "*fp32", **SHAPE_TYPES, "tau": "fp32"}
    sizes: dict[str, Any] = block_sizes(16)
    return (
        Specialisation(_nearest, types, {"GROUPED": False, **sizes}, bytes=72, operations=operations),
        Specialisation(_nearest, types, {"GROUPED": True, **sizes}, bytes=72, operations=2 * operations),
        Specialisation(_nearest, types, {"GROUPED": True, **block_sizes(LONGEST)}),
        Specialisation(_own_log_probability, own, sizes, bytes=72, operations=operations),
    )


SPECIALISATIONS = _specialisations()
