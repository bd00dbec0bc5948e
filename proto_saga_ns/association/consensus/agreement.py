"""How far the views agree that two atoms are one thing, and the atoms merged by it.

Two atoms agree in a view that shows both of them in one mask and disagree in one that shows them in two. What speaks
for and against adds up, and pairs that no view shows count as zero; scipy's linkage, which is of distances, knows
neither. Average linkage never links a new cluster more strongly than both of its halves were linked: the strongest
link of each row stays valid until one of its ends is merged, and is looked for again only when the row's turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from jaxtyping import Float, Int, UInt
from scipy.sparse import csr_array

from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL

MIN_LABELLED_PIXELS = 1
MIN_LABELLED_SHARE = Fraction(3, 10)
MIN_MASK_SHARE = Fraction(1, 2)
ANY_SHARE = Fraction(0)
MIN_SHOWN_SHARE = Fraction(1, 20)
"""Of what the view shows that shows most: less is a glimpse through a gap."""
UNSEEN = 0
ROWS_AT_A_TIME = 16
"""Of a matrix of pairs of atoms: few enough to stay in the processor's cache."""
LEAST_FULL = 0.75
"""Share of the rows below which the matrix is closed up."""
ROWS_COPIED_AT_A_TIME = 64


def masks_of_atoms(views: Sequence[csr_array], least_shown: Fraction = ANY_SHARE) -> Iterator[Int[np.ndarray, " K"]]:
    """``mask_of_atoms`` for each view, 0 for atoms of which it shows less than a share of what the best view does.

    What is seen of an atom through a gap lies in the masks of what is in front of it: two things behind one wall would
    seem to be one in each view of the other side.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        least_shown: the share; what is far away in a view falls below it as well.
    """
    largest = np.int64(0)
    for view in views:
        largest = np.maximum(largest, view.sum(axis=1))
    for view in views:
        is_shown = view.sum(axis=1) * least_shown.denominator >= largest * least_shown.numerator
        yield np.where(is_shown, mask_of_atoms(view), UNSEEN)


def mask_of_atoms(view: csr_array) -> Int[np.ndarray, " K"]:
    """The mask (from 1) in which each atom lies in one view, 0 for atoms that are not observed in it.

    An atom is observed if a pixel of its weight or more is labelled, and three tenths of it, and one mask holds half
    of what is labelled. Of two masks with half each, neither is the atom's.

    Args:
        view: (K, L + 1) weights of atoms in labels, in units.
    """
    filled = np.flatnonzero(np.diff(view.indptr))
    masks = np.full(cast(tuple[int, int], view.shape)[0], UNSEEN)
    if len(filled) == 0:
        return masks
    starts, lengths = view.indptr[filled], np.diff(view.indptr)[filled]
    in_masks = np.where(view.indices > 0, view.data, 0)
    total, labelled = (np.add.reduceat(weights, starts) for weights in (view.data, in_masks))
    largest = np.maximum.reduceat(in_masks, starts)
    observed = (
        (labelled >= MIN_LABELLED_PIXELS * UNITS_PER_PIXEL)
        & (labelled * MIN_LABELLED_SHARE.denominator >= total * MIN_LABELLED_SHARE.numerator)
        & (largest * MIN_MASK_SHARE.denominator > labelled * MIN_MASK_SHARE.numerator)
    )
    found = np.flatnonzero(in_masks == np.repeat(np.where(observed, largest, -1), lengths))
    masks[filled[observed]] = view.indices[found]  # more than half is in one mask only
    return masks


def count_agreement(
    views: Sequence[Int[np.ndarray, " K"]], num_atoms: int
) -> tuple[UInt[np.ndarray, "K K"], UInt[np.ndarray, "K K"]]:
    """``same`` and ``both``: views in which two atoms lie in one mask, and views that observe both.

    Args:
        views: the mask of each atom in each view (``masks_of_atoms``).
        num_atoms: K.

    Returns:
        Symmetric matrices of the smallest unsigned type that holds the number of views.
    """
    dtype = np.min_scalar_type(len(views))
    same = np.zeros((num_atoms, num_atoms), dtype=dtype)
    for masks in views:
        by_mask = np.argsort(masks, kind="stable")
        borders = np.flatnonzero(np.diff(masks[by_mask])) + 1
        for members in np.split(by_mask, borders):
            if len(members) and masks[members[0]] != UNSEEN:
                same[np.ix_(members, members)] += 1
    seen = np.array([masks != UNSEEN for masks in views], dtype=np.float32).reshape(len(views), num_atoms)
    return same, (seen.T @ seen).astype(dtype)


def signed_evidence(
    same: UInt[np.ndarray, "K K"],
    both: UInt[np.ndarray, "K K"],
    theta: float,
    out: Float[np.ndarray, "K K"] | None = None,
) -> tuple[Float[np.ndarray, "K K"], int]:
    """``same - theta * both`` as whole numbers, and what they were multiplied by to be whole.

    Whole numbers, so that sums of them have no rounding and equal links are equal.

    Args:
        same: views in which two atoms lie in one mask.
        both: views that observe both.
        theta: taken as the nearest fraction with a denominator of at most 1000.
        out: is filled and returned if it is given: new memory costs more than what is written into it.
    """
    share = Fraction(theta).limit_denominator(1000)
    evidence = np.empty(same.shape) if out is None else out
    for start in range(0, len(evidence), ROWS_AT_A_TIME):  # not all at once, for want of memory
        rows = slice(start, start + ROWS_AT_A_TIME)
        np.multiply(same[rows], share.denominator, out=evidence[rows], dtype=np.float64)
        evidence[rows] -= np.multiply(both[rows], share.numerator, dtype=np.float64)
    return evidence, share.denominator


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


def agglomerate(
    evidence: Float[np.ndarray, "K K"], above: float = -np.inf, sizes: Int[np.ndarray, " K"] | None = None
) -> MergeTree:
    """Merge the two clusters with the highest mean evidence between their leaves, again and again.

    Exact, and hence without regard to rounding, as long as sums of the evidence are integers below 2^53. Among equal
    links the one of the smallest leaf wins, then that to the smallest leaf.

    Args:
        evidence: symmetric, finite; used as work space, so its values are lost. The diagonal is not looked at.
        above: stop where no link is above.
        sizes: how many leaves each row stands for, of whose pairs the evidence is the sum; one by default.

    Returns:
        The merges; all K-1 by default.
    """
    links = _Links(evidence, np.ones(len(evidence)) if sizes is None else sizes.astype(np.float64))
    merges = []
    for _ in range(len(evidence) - 1):
        kept, gone, linkage = links.strongest()
        if not linkage > above:
            break
        merges.append((links.leaves[kept], links.leaves[gone], linkage))
        links.merge(kept, gone)
    columns = np.array(merges, dtype=np.float64).reshape(-1, 3)
    pairs = columns[:, :2].astype(np.int64)
    return MergeTree(len(evidence), pairs[:, 0], pairs[:, 1], columns[:, 2])


class _Links:
    """Sums of evidence between clusters, and the strongest link of each.

    Attributes:
        leaves: the smallest leaf of each cluster, ascending.
    """

    def __init__(self, sums: Float[np.ndarray, "K K"], sizes: Float[np.ndarray, " K"]) -> None:
        count = len(sums)
        self.leaves = np.arange(count)
        self._sums, self._left = sums, count
        np.fill_diagonal(sums, -np.inf)
        self._sizes = sizes
        self._barred = np.zeros(count)  # -inf for clusters that are gone; cheaper than writing to their columns
        self._partner = sums.argmax(axis=1) if count else np.zeros(0, dtype=np.int64)
        self._strength = sums[np.arange(count), self._partner]  # no link is stronger; of some rows none is as strong
        self._stale = np.zeros(count, dtype=bool)  # those rows
        for row in range(count if sizes.max(initial=1) > 1 else 0):
            self._refresh(row)

    def strongest(self) -> tuple[int, int, float]:
        """Both ends of the strongest link, and how strong it is."""
        # A link has two ends, and the first of equal rows is the smaller end.
        while self._stale[row := int(self._strength.argmax())]:
            self._refresh(row)
        return row, int(self._partner[row]), float(self._strength[row])

    def merge(self, kept: int, gone: int) -> None:
        """Add one cluster to another, which may change the places of all."""
        sums = self._sums
        sums[kept] += sums[gone]
        sums[kept, kept] = -np.inf
        sums[:, kept] = sums[kept]
        self._barred[gone] = -np.inf
        self._sizes[kept] += self._sizes[gone]
        self._strength[gone] = -np.inf
        self._stale |= (self._partner == kept) | (self._partner == gone)
        self._refresh(kept)
        self._left -= 1
        if self._left <= len(sums) * LEAST_FULL:
            self._close_up()

    def _refresh(self, row: int) -> None:
        means = self._sizes * self._sizes[row]
        np.divide(self._sums[row], means, out=means)
        means += self._barred
        self._partner[row] = partner = means.argmax()
        self._strength[row] = means[partner]
        self._stale[row] = False

    def _close_up(self) -> None:
        """Forget clusters that are gone. The matrix stays in the same memory; no row moves past one not yet read."""
        left = np.flatnonzero(self._barred == 0)
        memory = self._sums.reshape(-1)
        for start in range(0, len(left), ROWS_COPIED_AT_A_TIME):
            rows = self._sums[left[start : start + ROWS_COPIED_AT_A_TIME]][:, left]
            memory[start * len(left) : start * len(left) + rows.size] = rows.reshape(-1)
        self._sums = memory[: len(left) ** 2].reshape(len(left), len(left))
        self._partner = np.searchsorted(left, self._partner[left])
        self.leaves, self._sizes, self._strength, self._stale, self._barred = (
            column[left] for column in (self.leaves, self._sizes, self._strength, self._stale, self._barred)
        )
