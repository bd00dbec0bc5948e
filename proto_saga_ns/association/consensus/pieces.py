"""What instances consist of: pieces along the borders by which masks take them apart again and again.

Masks that take an object apart at random places leave atoms that are near each other together, and further ones apart,
without a border anywhere. Where an object has parts, atoms of one part hold together far better than atoms of two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import UNSEEN, count_agreement, mask_of_atoms
from proto_saga_ns.association.consensus.mask_instances import Instances
from proto_saga_ns.association.consensus.shares import ShareTree, agglomerate_shares, shares

MIN_SIZE = 0.03
"""Of an instance: a smaller piece is no piece."""
CONTRAST = 2.0
"""How many times as often pieces must come apart as what is inside of them."""
DOUBT = 0.02
"""How often what never came apart is taken to come apart, since there were few views."""

Piece = list[int]


def own_masks(
    views: Sequence[csr_array], instance_of_atom: Int[np.ndarray, " K"], instances: Instances, pure: float
) -> list[Int[np.ndarray, " K"]]:
    """The mask of each atom in each view (``mask_of_atoms``) if it is one of its own instance, else 0.

    What lies in the mask of another instance lies at a border; that is no sign of parts.
    """
    found = []
    for index, view in enumerate(views):
        masks = mask_of_atoms(view)
        own = (instances.of_mask[index][masks] == instance_of_atom) & (instances.purity[index][masks] > pure)
        found.append(np.where(own & (instance_of_atom > 0), masks, UNSEEN))
    return found


def find_pieces(
    masks: Sequence[Int[np.ndarray, " A"]], weights: Int[np.ndarray, " A"], required: int
) -> tuple[Int[np.ndarray, " A"], list[tuple[int, int, float]]]:
    """The pieces of one instance.

    Clusters that are merged by shares are two pieces if they lie in different masks of the instance in ``required``
    views, in the mean over their atoms, and come apart ``CONTRAST`` times as often as what is inside of each. What
    comes off without being a piece goes to the piece that it holds together with best.

    Args:
        masks: of the instance's atoms in each view; 0 for atoms that are not observed in a mask of the instance.
        weights: of the atoms.
        required: number of views.

    Returns:
        The piece of each atom, 0 being the largest; and how they join: piece, what it joins, share of views.
    """
    same, both = count_agreement(masks, len(weights))
    pieces = _pieces(agglomerate_shares(same, both), same, both, weights, required)
    pieces.sort(key=lambda piece: (-int(weights[piece].sum()), min(piece)))
    of_atom = np.zeros(len(weights), dtype=np.int64)
    for number, piece in enumerate(pieces):
        of_atom[piece] = number
    inside = np.eye(len(pieces), dtype=np.int64)[of_atom]
    tree = agglomerate_shares(*(inside.T @ counts.astype(np.int64) @ inside for counts in (same, both)))
    joins = zip(tree.gone.tolist(), tree.kept.tolist(), np.maximum(tree.share, 0.0).tolist(), strict=True)
    return of_atom, list(joins)


def _pieces(
    tree: ShareTree,
    same: Int[np.ndarray, "A A"],
    both: Int[np.ndarray, "A A"],
    weights: Int[np.ndarray, " A"],
    required: int,
) -> list[Piece]:
    """The clusters that no accepted border runs through."""
    pieces: dict[int, list[Piece]] = {leaf: [[leaf]] for leaf in range(len(weights))}
    borders = _are_borders(tree, weights, required)
    for kept, gone, border in zip(tree.kept.tolist(), tree.gone.tolist(), borders.tolist(), strict=True):
        few, many = sorted((pieces[kept], pieces.pop(gone)), key=len)
        if border or len(few) > 1:
            pieces[kept] = many + few
            continue
        best = 0 if len(many) == 1 else int(_links(few[0], many, same, both).argmax())
        pieces[kept] = [*many[:best], many[best] + few[0], *many[best + 1 :]]
    return [piece for cluster in pieces.values() for piece in cluster]


def _are_borders(tree: ShareTree, weights: Int[np.ndarray, " A"], required: int) -> Bool[np.ndarray, " S"]:
    """Whether the two clusters of each merge are two pieces, or lie in two."""
    sizes, counts = weights.astype(np.float64), np.ones(len(weights))
    inner_same, inner_both = np.zeros(len(weights)), np.zeros(len(weights))
    least = MIN_SIZE * sizes.sum()
    found = np.zeros(len(tree.kept), dtype=bool)
    for step, (kept, gone) in enumerate(zip(tree.kept, tree.gone, strict=True)):
        pair = [kept, gone]
        same, both = tree.same[step], tree.both[step]
        inside = 1 - inner_same[pair] / np.maximum(inner_both[pair], 1)
        loose = np.where(inner_both[pair] > 0, inside, 0.0).max() + DOUBT
        apart = both - same
        found[step] = (
            sizes[pair].min() >= least
            and apart >= required * counts[pair].prod()
            and apart >= CONTRAST * loose * max(both, 1)
        )
        for sums in (sizes, counts, inner_same, inner_both):
            sums[kept] += sums[gone]
        inner_same[kept] += same
        inner_both[kept] += both
    return found


def _links(
    piece: Piece, others: Sequence[Piece], same: Int[np.ndarray, "A A"], both: Int[np.ndarray, "A A"]
) -> Float[np.ndarray, " P"]:
    sums = [[counts[np.ix_(piece, other)].sum(dtype=np.float64) for other in others] for counts in (same, both)]
    return shares(*np.array(sums))


def piece_ids(of_atom: Int[np.ndarray, " A"], instance: int, first: int) -> Int32[np.ndarray, " A"]:
    """Ids of pieces: the largest is called like the instance, the others from ``first`` on."""
    return np.where(of_atom == 0, instance, of_atom + first - 1).astype(np.int32)
