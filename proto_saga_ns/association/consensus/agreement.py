"""In how many views two atoms are seen, and in how many of them they lie in one mask."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int, UInt
from scipy.sparse import csr_array

from proto_saga_ns.rasterize.exact import UNITS_PER_PIXEL

MIN_LABELLED_PIXELS = 1
MIN_LABELLED_SHARE = Fraction(3, 10)
MIN_MASK_SHARE = Fraction(1, 2)
UNSEEN = 0
ROWS_AT_A_TIME = 16
"""Of a matrix of pairs of atoms: few enough to stay in the processor's cache."""


def mask_of_atoms(view: csr_array) -> Int[np.ndarray, " K"]:
    """The mask (from 1) in which each atom lies in one view, 0 for atoms that are not observed in it.

    An atom is observed if a pixel of its weight or more is labelled, and three tenths of it, and one mask holds half
    of what is labelled. Of two masks with half each, neither is the atom's.

    Args:
        view: (K, L + 1) weights of atoms in labels, in units.
    """
    weights = view.toarray()
    total, masks = weights.sum(axis=1), weights[:, 1:]
    if masks.shape[1] == 0:
        return np.full(len(weights), UNSEEN)
    labelled, largest = masks.sum(axis=1), masks.max(axis=1)
    observed = (
        (labelled >= MIN_LABELLED_PIXELS * UNITS_PER_PIXEL)
        & (labelled * MIN_LABELLED_SHARE.denominator >= total * MIN_LABELLED_SHARE.numerator)
        & (largest * MIN_MASK_SHARE.denominator > labelled * MIN_MASK_SHARE.numerator)
    )
    return np.where(observed, masks.argmax(axis=1) + 1, UNSEEN)


def count_agreement(
    views: Sequence[Int[np.ndarray, " K"]], num_atoms: int
) -> tuple[UInt[np.ndarray, "K K"], UInt[np.ndarray, "K K"]]:
    """``same`` and ``both``: views in which two atoms lie in one mask, and views that observe both.

    Args:
        views: the mask of each atom in each view (``mask_of_atoms``).
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
