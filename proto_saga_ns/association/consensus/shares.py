"""Agglomeration by the share of views in which things lie in one mask.

``agglomeration`` asks for what holds against a theta; here there is none: of two links that is the stronger of which a
larger share of views speaks. A link of a new cluster lies between those of its halves, so the strongest link of each
row stays valid until one of its ends is merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

NEVER = -1.0
"""Share of things that no view shows together."""


@dataclass(frozen=True)
class ShareTree:
    """The K-1 merges of K leaves, the largest share first. A cluster is called by its smallest leaf.

    Attributes:
        kept: cluster that each merge leaves.
        gone: cluster that it takes in; larger than ``kept``.
        same: views in which a leaf of one lies in one mask with a leaf of the other, added up over pairs.
        both: views that show both leaves of a pair, added up over pairs.
    """

    kept: Int[np.ndarray, " S"]
    gone: Int[np.ndarray, " S"]
    same: Float[np.ndarray, " S"]
    both: Float[np.ndarray, " S"]

    @property
    def share(self) -> Float[np.ndarray, " S"]:
        """Never rising; ``NEVER`` at the end for what no view shows together."""
        return shares(self.same, self.both)


def shares(same: Float[np.ndarray, "*shape"], both: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """``same / both``, ``NEVER`` where there is nothing to divide by."""
    return np.where(both > 0, same / np.maximum(both, 1), NEVER)


def agglomerate_shares(same: Shaped[np.ndarray, "K K"], both: Shaped[np.ndarray, "K K"]) -> ShareTree:
    """Merge the two clusters with the largest share, again and again; exact, since all sums are whole numbers.

    Args:
        same: views in which two leaves lie in one mask; symmetric. The diagonal is not looked at.
        both: views that show both; symmetric, nowhere smaller.
    """
    links = _Shares(same.astype(np.float64), both.astype(np.float64))
    merges = [links.merge_strongest() for _ in range(len(same) - 1)]
    columns = np.array(merges, dtype=np.float64).reshape(-1, 4)
    kept, gone = columns[:, :2].T.astype(np.int64)
    return ShareTree(kept, gone, columns[:, 2], columns[:, 3])


class _Shares:
    """Sums over the pairs of leaves of two clusters, their share, and the strongest link of each cluster."""

    def __init__(self, same: Float[np.ndarray, "K K"], both: Float[np.ndarray, "K K"]) -> None:
        self._same, self._both = same, both
        self._links = shares(same, both)
        np.fill_diagonal(self._links, -np.inf)
        self._partner = self._links.argmax(axis=1) if len(same) else np.zeros(0, dtype=np.int64)
        self._strength = self._links[np.arange(len(same)), self._partner]

    def merge_strongest(self) -> tuple[int, int, float, float]:
        row = int(self._strength.argmax())
        kept, gone = sorted((row, int(self._partner[row])))
        sums = float(self._same[kept, gone]), float(self._both[kept, gone])
        for matrix in (self._same, self._both):
            matrix[kept] += matrix[gone]
            matrix[:, kept] = matrix[kept]
        is_gone = self._links[kept] == -np.inf
        self._links[kept] = np.where(is_gone, -np.inf, shares(self._same[kept], self._both[kept]))
        self._links[:, kept] = self._links[kept]
        self._links[gone], self._links[:, gone] = -np.inf, -np.inf
        self._refresh((self._partner == kept) | (self._partner == gone), kept, gone)
        return kept, gone, *sums

    def _refresh(self, stale: Bool[np.ndarray, " K"], kept: int, gone: int) -> None:
        stale[[kept, gone]] = True, False
        rows = np.flatnonzero(stale)
        self._partner[rows] = self._links[rows].argmax(axis=1)
        self._strength[rows] = self._links[rows, self._partner[rows]]
        self._strength[gone], self._partner[gone] = -np.inf, gone
