"""Codebooks: many numbers, or rows of numbers, said by a few that stand for them."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor

BINS = 512
EVENLY = 0.25
"""Share of the codes that lie evenly over the range."""
ROUNDS = 10
"""Of moving codes to the mean of what they stand for (Lloyd 1957)."""
AT_A_TIME = 1 << 14
"""Rows that are compared with all codes at once."""
MOST_TO_LEARN_FROM = 200
"""Rows for each code."""


def number_codes(values: Float[np.ndarray, "*shape"], size: int = 256) -> Float32[np.ndarray, " _size"]:
    """Rising numbers of which the nearest stands for each value.

    Most lie as dense as the cube root of the density of the values, which makes the mean squared error small (Panter
    and Dite 1951); the others evenly, so that no value is farther from its code than the range / (2 EVENLY size).
    """
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, bins=BINS, range=(low, max(high, low + 1e-6)))
    density = np.cbrt(counts)
    density = (1 - EVENLY) * density / density.sum() + EVENLY / BINS
    reached = np.concatenate([[0.0], density.cumsum()])
    return np.interp((np.arange(size) + 0.5) / size, reached, edges).astype(np.float32)


def nearest_number(
    values: Float[np.ndarray, "*shape"], codes: Float32[np.ndarray, " size"]
) -> UInt8[np.ndarray, "*shape"]:
    """Which of up to 256 rising codes is the nearest to each value."""
    return np.searchsorted((codes[1:] + codes[:-1]) / 2, values).astype(np.uint8)


def row_codes(rows: Float[Tensor, "N D"], size: int, seed: int = 0) -> tuple[Float[Tensor, "K D"], Int64[Tensor, " N"]]:
    """At most ``size`` rows that stand for all, and which of them stands for each.

    In two levels, each by k-means: what 65,536 codes for a million rows would take otherwise is hours.
    """
    if len(rows) <= size:
        return rows, torch.arange(len(rows))
    generator = torch.Generator().manual_seed(seed)
    coarse, labels = _k_means(rows, math.isqrt(size), generator)
    counts = labels.bincount(minlength=len(coarse))
    shares = (counts * (size - len(coarse)) // len(rows)) + 1
    codes, code_of_row = [], torch.empty(len(rows), dtype=torch.int64)
    order = labels.argsort(stable=True).split(counts.tolist())
    first = 0
    for members, share in zip(order, shares.tolist(), strict=True):
        if len(members) == 0:
            continue
        fine, own = _k_means(rows[members], min(share, len(members)), generator)
        code_of_row[members] = own + first
        codes.append(fine)
        first += len(fine)
    return torch.cat(codes), code_of_row


def _k_means(rows: Float[Tensor, "N D"], size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(rows), generator=generator)
    sample = rows[order[: MOST_TO_LEARN_FROM * size]]
    codes = sample[:size].clone()
    for _ in range(ROUNDS if size > 1 else 1):
        labels = _nearest_row(sample, codes)
        counts = labels.bincount(minlength=size)[:, None]
        sums = torch.zeros_like(codes).index_add_(0, labels, sample)
        codes = torch.where(counts > 0, sums / counts.clamp_min(1), codes)
    return codes, _nearest_row(rows, codes)


def _nearest_row(rows: Float[Tensor, "N D"], codes: Float[Tensor, "K D"]) -> Int64[Tensor, " N"]:
    squares = (codes**2).sum(dim=1)
    return torch.cat([(squares - 2 * some @ codes.T).argmin(dim=1) for some in rows.split(AT_A_TIME)])
