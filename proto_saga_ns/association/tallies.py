"""Counting claims over many views in little memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.int64)
UNMERGED_PAIRS = 2**20  # so many may wait, however few are merged


class PairCounts:
    """How often each pair of an id and a Gaussian was added.

    Memory is linear in the different pairs, however often they come.
    """

    def __init__(self, num_gaussians: int) -> None:
        self._base = max(num_gaussians, 1)
        self._keys = self._counts = np.zeros(0, dtype=np.int64)
        self._new: list[Int[np.ndarray, " P"]] = []

    def add(self, ids: Int[np.ndarray, " P"], gaussians: Int[np.ndarray, " P"]) -> None:
        """Add pairs."""
        self._new.append(ids * self._base + gaussians)
        # Merged only when as many have come as there were: all sorting together then takes time in what came.
        if sum(map(len, self._new)) > max(len(self._keys), UNMERGED_PAIRS):
            self._merge()

    def sorted(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """Ids, Gaussians and counts, sorted by id, then by Gaussian."""
        self._merge()
        ids, gaussians = np.divmod(self._keys, self._base)
        return ids, gaussians, self._counts

    def __len__(self) -> int:
        """How many pairs are in memory."""
        return len(self._keys) + sum(map(len, self._new))

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *self._new])
        counts = np.concatenate([self._counts, np.ones(len(keys) - len(self._keys), np.int64)])
        order = np.argsort(keys)
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self._keys, self._new = keys[starts], []
        self._counts = np.add.reduceat(counts[order], starts) if len(starts) else counts


class BitTable:
    """A bit for every view and Gaussian."""

    def __init__(self, num_views: int, num_gaussians: int) -> None:
        self._bytes = np.zeros((-(-num_views // 8), num_gaussians), dtype=np.uint8)

    def set(self, view: int, gaussians: Int[np.ndarray, " P"]) -> None:
        """Set the bits of one view."""
        self._bytes[view // 8, gaussians] |= np.uint8(1 << view % 8)

    def count(self, views: Bool[np.ndarray, " V"], gaussians: Int[np.ndarray, " P"]) -> Int[np.ndarray, " P"]:
        """How many bits are set in some of the views, for some of the Gaussians."""
        chosen = np.packbits(views, bitorder="little")
        total = np.zeros(len(gaussians), dtype=np.int64)
        for row in np.flatnonzero(chosen):
            total += BITS_SET[self._bytes[row, gaussians] & chosen[row]]
        return total
