"""The memory bank: sets of Gaussians, one per instance, that grow from view to view (Eqs. 11-13)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.association.options import AssociationOptions

NOBODY = -1


class MemoryBank:
    """Instances (numbered from 0) and their Gaussians.

    Memberships are entries of one growing table; every Gaussian has a linked list of its entries. Memory is linear in
    the memberships, and finding the owners of a set of Gaussians takes one pass per level of the longest list among
    them, whatever the number of instances.

    Args:
        num_gaussians: N.
        options: growth, score and threshold.
    """

    def __init__(self, num_gaussians: int, options: AssociationOptions) -> None:
        self._options = options
        self._head = np.full(num_gaussians, NOBODY, dtype=np.int64)
        self._next = np.empty(1024, dtype=np.int64)
        self._owner = np.empty(1024, dtype=np.int32)
        self._size = 0
        self.num_instances = 0

    def place(self, gaussians: Int[np.ndarray, " M"]) -> int:
        """Give a mask, by the Gaussians that it claims (each once), to an instance or found one; return the instance.

        Among equal overlaps the oldest instance wins.
        """
        levels = [(self._owner[entries], rows) for entries, rows in self._levels(gaussians)]
        scores = self._scores(self._overlaps(levels), len(gaussians))
        best = int(scores.argmax()) if len(scores) else NOBODY
        if best == NOBODY or scores[best] <= self._options.delta:
            return self.found(gaussians)
        if self._options.growth == "disjoint":
            new = self._head[gaussians] == NOBODY
        else:
            new = np.ones(len(gaussians), dtype=bool)
            for owners, rows in levels:
                new[rows[owners == best]] = False
        self._append(best, gaussians[new])
        return best

    def found(self, gaussians: Int[np.ndarray, " M"]) -> int:
        """A new instance that takes all ``gaussians``, whoever owns them (Eq. 11)."""
        self.num_instances += 1
        self._append(self.num_instances - 1, gaussians)
        return self.num_instances - 1

    def members(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """All memberships: instances and Gaussians, sorted by instance, then by Gaussian."""
        gaussian_of = np.empty(self._size, dtype=np.int64)
        everyone = np.flatnonzero(self._head != NOBODY)
        for entries, rows in self._levels(everyone):
            gaussian_of[entries] = everyone[rows]
        order = np.lexsort((gaussian_of, self._owner[: self._size]))
        return self._owner[: self._size][order], gaussian_of[order]

    def _overlaps(self, levels: list[tuple[np.ndarray, np.ndarray]]) -> Int[np.ndarray, " T"]:
        """How many of a mask's Gaussians each instance has."""
        counts = np.zeros(self.num_instances, dtype=np.int64)
        for owners, _ in levels:
            counts += np.bincount(owners, minlength=self.num_instances)
        return counts

    def _scores(self, both: Int[np.ndarray, " T"], mask_size: int) -> Float[np.ndarray, " T"]:
        if self._options.score == "mask":
            return both / max(mask_size, 1)
        return both / np.maximum(mask_size + both, 1)

    def _append(self, instance: int, gaussians: Int[np.ndarray, " M"]) -> None:
        needed = self._size + len(gaussians)
        if needed > len(self._owner):
            capacity = max(needed, 2 * len(self._owner))
            self._next = np.resize(self._next, capacity)
            self._owner = np.resize(self._owner, capacity)
        self._next[self._size : needed] = self._head[gaussians]
        self._owner[self._size : needed] = instance
        self._head[gaussians] = np.arange(self._size, needed)
        self._size = needed

    def _levels(self, gaussians: Int[np.ndarray, " M"]):
        """Entries of ``gaussians`` level by level, with the rows of ``gaussians`` that they belong to."""
        rows = np.arange(len(gaussians))
        entries = self._head[gaussians]
        while True:
            there = entries != NOBODY
            rows, entries = rows[there], entries[there]
            if len(entries) == 0:
                return
            yield entries, rows
            entries = self._next[entries]
