"""Agglomeration with average linkage of signed evidence.

Scipy links distances, of which the smallest counts and none is missing for being negative; here evidence for and
against adds up, and pairs without evidence count as zero. Average linkage never links a new cluster more strongly
than both of its halves were linked, so the strongest link of each row stays valid until one of its ends is merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class MergeTree:
    """Merges of K leaves, strongest first. A cluster is called by its smallest leaf.

    Attributes:
        num_leaves: K.
        kept: cluster that each merge leaves.
        gone: cluster that it takes in; larger than ``kept``.
        linkage: average evidence between the two, never rising.
    """

    num_leaves: int
    kept: Int[np.ndarray, " S"]
    gone: Int[np.ndarray, " S"]
    linkage: Float[np.ndarray, " S"]

    def cut(self, above: float = 0.0) -> Int[np.ndarray, " K"]:
        """The cluster of each leaf, 0..C-1 in the order of their smallest leaves, after merges of linkage ``above``."""
        cluster = np.arange(self.num_leaves)
        steps = int((self.linkage > above).sum())
        cluster[self.gone[:steps]] = self.kept[:steps]
        # A leaf points to a smaller one: one pass upwards resolves all.
        for leaf in range(self.num_leaves):
            cluster[leaf] = cluster[cluster[leaf]]
        return np.unique(cluster, return_inverse=True)[1]


def agglomerate(evidence: Float[np.ndarray, "K K"], above: float = -np.inf) -> MergeTree:
    """Merge the two clusters with the highest mean evidence between their leaves, again and again.

    Exact, and hence without regard to rounding, as long as sums of the evidence are integers below 2^53. Among equal
    links the one of the smallest leaf wins, then that to the smallest leaf.

    Args:
        evidence: symmetric, finite; used as work space, so its values are lost. The diagonal is not looked at.
        above: stop where no link is above.

    Returns:
        The merges; all K-1 by default.
    """
    links = _Links(evidence)
    merges = []
    for _ in range(len(evidence) - 1):
        kept, gone, linkage = links.strongest()
        if not linkage > above:
            break
        merges.append((kept, gone, linkage))
        links.merge(kept, gone)
    columns = np.array(merges, dtype=np.float64).reshape(-1, 3)
    pairs = columns[:, :2].astype(np.int64)
    return MergeTree(len(evidence), pairs[:, 0], pairs[:, 1], columns[:, 2])


class _Links:
    """Sums of evidence between clusters, and the strongest link of each."""

    def __init__(self, sums: Float[np.ndarray, "K K"]) -> None:
        self._sums = sums
        np.fill_diagonal(sums, -np.inf)
        self._sizes = np.ones(len(sums))
        self._barred = np.zeros(len(sums))  # -inf for clusters that are gone; cheaper than writing to their columns
        self._partner = sums.argmax(axis=1) if len(sums) else np.zeros(0, dtype=np.int64)
        self._strength = sums[np.arange(len(sums)), self._partner]

    def strongest(self) -> tuple[int, int, float]:
        row = int(self._strength.argmax())
        # A link has two ends, and the first of equal rows is the smaller end.
        return row, int(self._partner[row]), float(self._strength[row])

    def merge(self, kept: int, gone: int) -> None:
        sums = self._sums
        sums[kept] += sums[gone]
        sums[kept, kept] = -np.inf
        sums[:, kept] = sums[kept]
        self._barred[gone] = -np.inf
        self._sizes[kept] += self._sizes[gone]
        self._strength[gone] = -np.inf
        self._partner[gone] = gone
        stale = (self._partner == kept) | (self._partner == gone)
        stale[[kept, gone]] = True, False
        self._refresh(np.flatnonzero(stale))

    def _refresh(self, rows: Int[np.ndarray, " R"]) -> None:
        means = self._sums[rows] / (self._sizes[rows, None] * self._sizes) + self._barred
        self._partner[rows] = means.argmax(axis=1)
        self._strength[rows] = means[np.arange(len(rows)), self._partner[rows]]
