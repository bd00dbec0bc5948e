"""In how many views two atoms are seen, and in how many of them they lie in one mask."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.blended_views import UNITS_PER_PIXEL

MIN_LABELLED_PIXELS = 1
MIN_LABELLED_SHARE = Fraction(3, 10)
MIN_MASK_SHARE = Fraction(1, 2)
UNSEEN = 0


def mask_of_atoms(view: csr_array) -> Int[np.ndarray, " K"]:
    """The mask (from 1) in which each atom lies in one view, 0 for atoms that are not observed in it.

    An atom is observed if a pixel of its weight or more is labelled, and three tenths of it, and one mask holds half
    of what is labelled. Of two masks with half each, neither is the atom's.

    Args:
        view: (K, L + 1) weights of atoms in labels, in units.
    """
    total = np.asarray(view.sum(axis=1))
    masks = csr_array(view[:, 1:])
    if masks.shape[1] == 0:
        return np.zeros(len(total), dtype=np.int64)
    labelled = np.asarray(masks.sum(axis=1))
    largest = masks.max(axis=1).toarray().reshape(-1)
    observed = (
        (labelled >= MIN_LABELLED_PIXELS * UNITS_PER_PIXEL)
        & (labelled * MIN_LABELLED_SHARE.denominator >= total * MIN_LABELLED_SHARE.numerator)
        & (largest * MIN_MASK_SHARE.denominator > labelled * MIN_MASK_SHARE.numerator)
    )
    return np.where(observed, np.asarray(masks.argmax(axis=1)).reshape(-1) + 1, UNSEEN)


def count_agreement(
    views: Sequence[Int[np.ndarray, " K"]], num_atoms: int
) -> tuple[Int[np.ndarray, "K K"], Int[np.ndarray, "K K"]]:
    """``same`` and ``both``: views in which two atoms lie in one mask, and views that observe both.

    Args:
        views: the mask of each atom in each view (``mask_of_atoms``).
        num_atoms: K.
    """
    same = np.zeros((num_atoms, num_atoms), dtype=np.int32)
    for masks in views:
        by_mask = np.argsort(masks, kind="stable")
        borders = np.flatnonzero(np.diff(masks[by_mask])) + 1
        for members in np.split(by_mask, borders):
            if len(members) and masks[members[0]] != UNSEEN:
                same[np.ix_(members, members)] += 1
    seen = np.array([masks != UNSEEN for masks in views], dtype=np.float32).reshape(len(views), num_atoms)
    both = (seen.T @ seen).astype(np.int32)
    return same, both


def signed_evidence(
    same: Int[np.ndarray, "K K"], both: Int[np.ndarray, "K K"], theta: float
) -> tuple[Float[np.ndarray, "K K"], int]:
    """``same - theta * both`` as integers, and what they were multiplied by to be integers."""
    share = Fraction(theta).limit_denominator(1000)
    evidence = same.astype(np.float64)
    evidence *= share.denominator
    evidence -= share.numerator * both.astype(np.float64)
    return evidence, share.denominator
