"""What instances consist of: pieces along the borders by which masks take them apart again and again.

Masks that take an object apart at random places leave atoms that are near each other together, and further ones apart,
without a border anywhere. Where an object has parts, atoms of one part hold together far better than atoms of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import UNSEEN, count_agreement, mask_of_atoms
from proto_saga_ns.association.consensus.mask_instances import Instances
from proto_saga_ns.association.consensus.shares import ShareTree, agglomerate_shares, shares

MIN_SIZE = 0.03
"""Of an instance: a smaller piece is no piece."""
CONTRAST = 2.0
"""How many times as often pieces must come apart as what is inside of them."""
DOUBT = 0.04
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


@dataclass
class _Cluster:
    """Pieces, and views added up over the pairs of atoms inside of each: in one mask, and both seen."""

    pieces: list[Piece]
    same: float = 0.0
    both: float = 0.0

    @property
    def looseness(self) -> float:
        """How often what is inside of one piece comes apart."""
        return 1 - self.same / self.both + DOUBT if self.both else DOUBT


def _pieces(
    tree: ShareTree,
    same: Int[np.ndarray, "A A"],
    both: Int[np.ndarray, "A A"],
    weights: Int[np.ndarray, " A"],
    required: int,
) -> list[Piece]:
    """Cluster after cluster, with a border between the two or not."""
    clusters = {leaf: _Cluster([[leaf]]) for leaf in range(len(weights))}
    least = MIN_SIZE * float(weights.sum())
    columns = (column.tolist() for column in (tree.kept, tree.gone, tree.same, tree.both))
    for kept, gone, together, seen in zip(*columns, strict=True):
        pair = sorted((clusters[kept], clusters.pop(gone)), key=lambda cluster: len(cluster.pieces))
        few, many = pair
        small = min(sum(weights[piece].sum() for piece in cluster.pieces) for cluster in pair) < least
        if len(few.pieces) > 1 or (not small and _is_border(few, many, together, seen, required)):
            clusters[kept] = _Cluster(many.pieces + few.pieces, few.same + many.same, few.both + many.both)
        else:
            clusters[kept] = _absorbed(few, many, same, both)
    return [piece for cluster in clusters.values() for piece in cluster.pieces]


def _is_border(one: _Cluster, other: _Cluster, same: float, both: float, required: int) -> bool:
    pairs = sum(map(len, one.pieces)) * sum(map(len, other.pieces))
    looseness = max(one.looseness, other.looseness)
    return both - same >= required * pairs and both - same >= CONTRAST * looseness * both


def _absorbed(one: _Cluster, other: _Cluster, same: Int[np.ndarray, "A A"], both: Int[np.ndarray, "A A"]) -> _Cluster:
    """The only piece of ``one`` added to the piece of ``other`` that it holds together with best."""
    (piece,) = one.pieces
    sums = np.array(
        [[counts[np.ix_(piece, rest)].sum(dtype=np.float64) for rest in other.pieces] for counts in (same, both)]
    )
    best = int(shares(*sums).argmax())
    pieces = [rest + piece if number == best else rest for number, rest in enumerate(other.pieces)]
    return _Cluster(pieces, one.same + other.same + sums[0, best], one.both + other.both + sums[1, best])


def piece_ids(of_atom: Int[np.ndarray, " A"], instance: int, first: int) -> Int32[np.ndarray, " A"]:
    """Ids of pieces: the largest is called like the instance, the others from ``first`` on."""
    return np.where(of_atom == 0, instance, of_atom + first - 1).astype(np.int32)
