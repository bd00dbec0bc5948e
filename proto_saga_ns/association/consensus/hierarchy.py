"""The levels below and above the instances: the parts that they consist of, and the groups that they form.

An instance has parts where masks take it apart along the same borders again and again: there atoms of one part hold
together far better than atoms of two. Masks that take it apart at random places leave near atoms together and far ones
apart, without a border anywhere, and make no parts.

Both levels come of agglomeration by the share of views in which things lie in one mask. Unlike in ``agreement.py`` no
theta stands against it: of two links that is the stronger of which a larger share of views speaks. A link of a new
cluster lies between those of its halves, so the strongest link of each row stays valid until one of its ends is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32, Shaped, UInt
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import ANY_SHARE, UNSEEN, count_agreement, masks_of_atoms
from proto_saga_ns.association.consensus.atoms import NO_ATOM, Atoms
from proto_saga_ns.association.consensus.blended_views import ranks
from proto_saga_ns.association.consensus.instances import Instances, entries
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.recognition.levels import Joins, Levels

NO_PART = 0
MIN_SIZE = 0.03
"""Of an instance: a smaller part is no part."""
CONTRAST = 2.0
"""How many times as often parts must come apart as what is inside of them."""
DOUBT = 0.04
"""How often what never came apart is taken to come apart, since there were few views."""

Part = list[int]
NEVER = -1.0
"""Share of things that no view shows together."""


def find_levels(
    views: Sequence[csr_array],
    atoms: Atoms,
    instance_of_atom: Int[np.ndarray, " K"],
    instances: Instances,
    theta: float,
    least_shown: Fraction,
    options: ConsensusOptions,
) -> Levels:
    """Parts and groups of instances, for which as many views must speak as for an instance at the least.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        atoms: of the Gaussians.
        instance_of_atom: from 1; 0 for none.
        instances: of the masks.
        theta: by which the instances were found.
        least_shown: see ``masks_of_atoms``.
        options: of the association.
    """
    required = options.required_support(len(views))
    masks = own_masks(views, instance_of_atom, instances, options.pure, least_shown)
    weights = sum((view.sum(axis=1) for view in views), np.zeros(atoms.count, dtype=np.int64))
    of_atom, parts = _all_parts(masks, weights, instance_of_atom, len(instances.support), required)
    of_atom = np.append(of_atom, np.int32(NO_PART))  # one more, for Gaussians without atom
    of_gaussian = of_atom[np.where(atoms.of_gaussian == NO_ATOM, atoms.count, atoms.of_gaussian)]
    groups = find_groups(views, instance_of_atom, len(instances.support), required, least_shown)
    return Levels(parts, groups, torch.from_numpy(of_gaussian), theta)


def _all_parts(
    masks: csr_array,
    weights: Int[np.ndarray, " K"],
    instance_of_atom: Int[np.ndarray, " K"],
    count: int,
    required: int,
) -> tuple[Int[np.ndarray, " K"], Joins]:
    """The part of each atom, 0 where its instance has none; and all joins, the largest share first."""
    of_atom = np.full(len(weights), NO_PART, dtype=np.int32)
    rows, free = [], count + 1
    for instance in range(1, count + 1):
        mine = np.flatnonzero(instance_of_atom == instance)
        numbers, joins = find_parts(_in_sight(masks[mine]), weights[mine], required)
        if joins:
            of_atom[mine] = part_ids(numbers, instance, free)
            ids = [instance, *range(free, free + len(joins))]
            rows += [(ids[gone], ids[kept], share) for gone, kept, share in joins]
            free += len(joins)
    return of_atom, Joins.of(sorted(rows, key=lambda row: -row[2]))


def _in_sight(masks: csr_array) -> list[Int[np.ndarray, " A"]]:
    """The columns that are not empty."""
    views, columns = ranks(masks.indices, cast(tuple[int, int], masks.shape)[1])
    atoms, indices, values = entries(masks)
    found = np.full((len(views), len(masks.indptr) - 1), UNSEEN)
    found[columns[indices], atoms] = values
    return list(found)


def find_groups(
    views: Sequence[csr_array],
    instance_of_atom: Int[np.ndarray, " K"],
    count: int,
    required: int,
    least_shown: Fraction = ANY_SHARE,
) -> Joins:
    """How instances join, by the share of views in which most of each lies in one mask.

    Two that fewer than ``required`` views show in one mask are taken to be apart in all.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        instance_of_atom: from 1; 0 for none.
        count: T.
        required: number of views.
        least_shown: see ``masks_of_atoms``.
    """
    members = csr_array(
        (np.ones(len(instance_of_atom), dtype=np.int64), (instance_of_atom, np.arange(len(instance_of_atom)))),
        shape=(count + 1, len(instance_of_atom)),
    )
    masks = masks_of_atoms([members @ view for view in views], least_shown)
    same, both = count_agreement([of_view[1:] for of_view in masks], count)
    tree = agglomerate_shares(np.where(same >= required, same, 0), both)
    rows = zip((tree.gone + 1).tolist(), (tree.kept + 1).tolist(), tree.share.tolist(), strict=True)
    return Joins.of([row for row in rows if row[2] > 0])


def own_masks(
    views: Sequence[csr_array],
    instance_of_atom: Int[np.ndarray, " K"],
    instances: Instances,
    pure: float,
    least_shown: Fraction = ANY_SHARE,
) -> csr_array:
    """The mask of each atom in each view (``masks_of_atoms``) if it is one of its own instance: (K, views).

    What lies in the mask of another instance lies at a border; that is no sign of parts.
    """
    atoms, masks = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for index, mask in enumerate(masks_of_atoms(views, least_shown)):
        own = (instances.of_mask[index][mask] == instance_of_atom) & (instances.purity[index][mask] > pure)
        atoms.append(np.flatnonzero(own & (instance_of_atom > 0)))
        masks.append(mask[atoms[-1]])
    indices = np.repeat(np.arange(len(views)), [len(found) for found in atoms[1:]])
    shape = (len(instance_of_atom), len(views))
    return csr_array((np.concatenate(masks), (np.concatenate(atoms), indices)), shape=shape)


def find_parts(
    masks: Sequence[Int[np.ndarray, " A"]], weights: Int[np.ndarray, " A"], required: int
) -> tuple[Int[np.ndarray, " A"], list[tuple[int, int, float]]]:
    """The parts of one instance.

    Clusters that are merged by shares are two parts if they lie in different masks of the instance in ``required``
    views, in the mean over their atoms, and come apart ``CONTRAST`` times as often as what is inside of each. What
    comes off without being a part goes to the part that it holds together with best.

    Args:
        masks: of the instance's atoms in each view; 0 for atoms that are not observed in a mask of the instance.
        weights: of the atoms.
        required: number of views.

    Returns:
        The part of each atom, 0 being the largest; and how they join: part, what it joins, share of views.
    """
    same, both = count_agreement(masks, len(weights))
    parts = _parts(agglomerate_shares(same, both), same, both, weights, required)
    parts.sort(key=lambda part: (-int(weights[part].sum()), min(part)))
    of_atom = np.zeros(len(weights), dtype=np.int64)
    for number, part in enumerate(parts):
        of_atom[part] = number
    inside = np.eye(len(parts), dtype=np.int64)[of_atom]
    tree = agglomerate_shares(*(inside.T @ counts.astype(np.int64) @ inside for counts in (same, both)))
    joins = zip(tree.gone.tolist(), tree.kept.tolist(), np.maximum(tree.share, 0.0).tolist(), strict=True)
    return of_atom, list(joins)


@dataclass
class _Cluster:
    """Parts, and views added up over the pairs of atoms inside of each: in one mask, and both seen."""

    parts: list[Part]
    same: float = 0.0
    both: float = 0.0

    @property
    def looseness(self) -> float:
        """How often what is inside of one part comes apart."""
        return 1 - self.same / self.both + DOUBT if self.both else DOUBT


def _parts(
    tree: ShareTree,
    same: UInt[np.ndarray, "A A"],
    both: UInt[np.ndarray, "A A"],
    weights: Int[np.ndarray, " A"],
    required: int,
) -> list[Part]:
    """Cluster after cluster, with a border between the two or not."""
    clusters = {leaf: _Cluster([[leaf]]) for leaf in range(len(weights))}
    least = MIN_SIZE * float(weights.sum())
    columns = (column.tolist() for column in (tree.kept, tree.gone, tree.same, tree.both))
    for kept, gone, together, seen in zip(*columns, strict=True):
        pair = sorted((clusters[kept], clusters.pop(gone)), key=lambda cluster: len(cluster.parts))
        few, many = pair
        small = min(sum(weights[part].sum() for part in cluster.parts) for cluster in pair) < least
        if len(few.parts) > 1 or (not small and _is_border(few, many, together, seen, required)):
            clusters[kept] = _Cluster(many.parts + few.parts, few.same + many.same, few.both + many.both)
        else:
            clusters[kept] = _absorbed(few, many, same, both)
    return [part for cluster in clusters.values() for part in cluster.parts]


def _is_border(one: _Cluster, other: _Cluster, same: float, both: float, required: int) -> bool:
    pairs = sum(map(len, one.parts)) * sum(map(len, other.parts))
    looseness = max(one.looseness, other.looseness)
    return both - same >= required * pairs and both - same >= CONTRAST * looseness * both


def _absorbed(one: _Cluster, other: _Cluster, same: UInt[np.ndarray, "A A"], both: UInt[np.ndarray, "A A"]) -> _Cluster:
    """The only part of ``one`` added to the part of ``other`` that it holds together with best."""
    (part,) = one.parts
    sums = np.array(
        [[counts[np.ix_(part, rest)].sum(dtype=np.float64) for rest in other.parts] for counts in (same, both)]
    )
    best = int(shares(*sums).argmax())
    parts = [rest + part if number == best else rest for number, rest in enumerate(other.parts)]
    return _Cluster(parts, one.same + other.same + sums[0, best], one.both + other.both + sums[1, best])


def part_ids(of_atom: Int[np.ndarray, " A"], instance: int, first: int) -> Int32[np.ndarray, " A"]:
    """Ids of parts: the largest is called like the instance, the others from ``first`` on."""
    return np.where(of_atom == 0, instance, of_atom + first - 1).astype(np.int32)


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
