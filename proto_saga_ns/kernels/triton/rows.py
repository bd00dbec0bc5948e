"""What every kernel of the cosine softmax shares: features in registers, before the rows of a classifier.

A program holds some features and meets the rows block by block. The largest score and the sum of exponentials are kept
as if the blocks before were all (the sum is scaled down as a larger score comes), so that nothing of the size of
features x rows is ever written.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import SMALLEST_DOT, check_tensors, padded

ROWS = 32
"""Rows of the classifier that a program looks at together."""
MOST_ITEMS = 64
"""Features that a program holds; fewer of longer features. Twice as many take all registers."""
HELD_NUMBERS = 2048
"""Numbers of features that these are at the most, as long as there are sixteen features."""
LONGEST = 256
"""Numbers of a feature; blocks of twice as many do not fit into registers and shared memory."""
HUGE = tl.constexpr(1e18)
"""Features from this length on have no direction, as on the CPU."""


@triton.jit
def load_features(features, item, keep, stride, dim, DIM: tl.constexpr):
    """(items, DIM): features, zero beyond their length and where they are not to be kept."""
    d = tl.arange(0, DIM)
    return tl.load(features + item[:, None] * stride + d[None, :], mask=keep[:, None] & (d[None, :] < dim), other=0.0)


@triton.jit
def load_rows(weights, start, count, dim, ROWS: tl.constexpr, DIM: tl.constexpr):
    """(DIM, ROWS): rows of the classifier as columns, zero beyond the last."""
    row, d = start + tl.arange(0, ROWS), tl.arange(0, DIM)
    inside = (d[:, None] < dim) & (row[None, :] < count)
    return tl.load(weights + row[None, :] * dim + d[:, None], mask=inside, other=0.0)


@triton.jit
def score(features, rows, start, count, ROWS: tl.constexpr):
    """(items, ROWS): products of features and rows; minus infinity beyond the last row."""
    row = start + tl.arange(0, ROWS)
    return tl.where(row[None, :] < count, tl.dot(features, rows, input_precision="ieee"), float("-inf"))


@triton.jit
def survey(
    features, weights, own, count, dim, scale,
    ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    """What the softmax over all rows takes: largest score, its first row, sum of exp(score - largest), own score."""
    best = tl.full((ITEMS,), float("-inf"), tl.float32)
    winner = tl.zeros((ITEMS,), tl.int32)
    total = tl.zeros((ITEMS,), tl.float32)
    own_score = tl.zeros((ITEMS,), tl.float32)
    for start in range(0, count, ROWS):
        scores = scale * score(features, load_rows(weights, start, count, dim, ROWS, DIM), start, count, ROWS)
        is_own = start + tl.arange(0, ROWS)[None, :] == own[:, None]
        own_score += tl.sum(tl.where(is_own, scores, 0.0), axis=1)
        highest, place = tl.max(scores, axis=1, return_indices=True)
        winner = tl.where(highest > best, start + place, winner)
        higher = tl.maximum(best, highest)
        total = total * tl.exp(best - higher) + tl.sum(tl.exp(scores - higher[:, None]), axis=1)
        best = higher
    return best, winner, total, own_score


@triton.jit
def load_unit_features(features, item, keep, stride, dim, DIM: tl.constexpr):
    """(items, DIM): features of unit length, zero for those without direction; and which have one."""
    raw = load_features(features, item, keep, stride, dim, DIM)
    length = tl.sqrt_rn(tl.sum(raw * raw, axis=1))
    known = (length > 0.0) & (length < HUGE)
    return tl.where(known[:, None], raw / tl.where(known, length, 1.0)[:, None], 0.0), known


def check_rows(
    kernel: str, features: Float[Tensor, "P D"], weights: Float[Tensor, "T D"]
) -> tuple[Float[Tensor, "P D"], Float[Tensor, "T D"]]:
    """Both as kernels take them: the numbers of a feature, and all of the classifier, are neighbours in memory.

    Raises:
        ValueError: shapes, types or devices do not fit, or features have more than ``LONGEST`` numbers.
    """
    dim = features.shape[-1] if features.dim() else 0
    expected = ((None, dim), torch.float32)
    if dim > LONGEST:
        raise ValueError(f"{kernel}: features have {dim} numbers, expected {LONGEST} at the most")
    check_tensors(kernel, features.device, features=(features, *expected), weights=(weights, *expected))
    return features if features.stride(1) == 1 else features.contiguous(), weights.contiguous()


def shape_of(features: Float[Tensor, "P D"], weights: Float[Tensor, "T D"]) -> tuple[int, int, int, int]:
    """P, the distance of features in memory, D and T."""
    return len(features), features.stride(0), features.shape[1], len(weights)


def block_sizes(dim: int) -> dict[str, int]:
    """The sizes of blocks for features of ``dim`` numbers."""
    size = padded(dim)
    return {"ITEMS": max(min(MOST_ITEMS, HELD_NUMBERS // size), SMALLEST_DOT), "ROWS": ROWS, "DIM": size}


SHAPE_TYPES = {"items": "i32", "stride": "i32", "dim": "i32:16", "count": "i32"}
