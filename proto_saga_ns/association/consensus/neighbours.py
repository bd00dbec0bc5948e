"""Atoms joined to clusters along a graph of near neighbours, where there are too many to compare each with each.

What speaks for two clusters to be one thing is a sum over views of products: of the atoms of one and of the other that
lie in the same mask, and of those observed at all. So clusters are sparse vectors of such numbers, they are merged by
adding them, and any link can be computed when it is asked for. Links have the meaning that they have in
``agreement.py``, only that most of them are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from proto_saga_ns.association.consensus.agreement import UNSEEN, MergeTree

NEIGHBOURS = 16
"""Of each atom. On a surface six lie around it; those behind and those with other embeddings are more."""
ROUND_SHARE = 2
"""One of so many pairs that could be merged is merged at a time, the strongest first."""
LINKS_AT_A_TIME = 1 << 14


@dataclass(frozen=True)
class Sightings:
    """How many atoms of each cluster lie in each mask, and how many are observed in each view.

    Attributes:
        in_masks: (C, masks of all views), whole numbers.
        seen: (C, views), their sums over the masks of a view.
        sizes: atoms of each cluster.
    """

    in_masks: csr_array
    seen: csr_array
    sizes: Int[np.ndarray, " C"]

    @classmethod
    def of_atoms(cls, views: Iterable[Int[np.ndarray, " K"]], num_atoms: int) -> Sightings:
        """Each atom as a cluster.

        Args:
            views: the mask of each atom in each view (``masks_of_atoms``).
            num_atoms: K.
        """
        atoms, columns, indices = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        offset = count = 0
        for index, masks in enumerate(views):
            observed = np.flatnonzero(masks != UNSEEN)
            atoms.append(observed)
            columns.append(offset + masks[observed])
            indices.append(np.full(len(observed), index))
            offset, count = offset + int(masks.max(initial=0)) + 1, index + 1
        rows = np.concatenate(atoms)
        in_masks, seen = (
            csr_array((np.ones(len(rows), dtype=np.int64), (rows, np.concatenate(places))), shape=(num_atoms, width))
            for places, width in ((columns, offset), (indices, count))
        )
        return cls(in_masks, seen, np.ones(num_atoms, dtype=np.int64))

    def merged(self, cluster: Int[np.ndarray, " C"], count: int) -> Sightings:
        """Those of larger clusters.

        Args:
            cluster: 0..count-1, in which each cluster of now lies.
            count: of larger clusters.
        """
        entries = (np.ones(len(cluster), dtype=np.int64), (cluster, np.arange(len(cluster))))
        members = csr_array(entries, shape=(count, len(cluster)))
        return Sightings(members @ self.in_masks, members @ self.seen, members @ self.sizes)

    def links(
        self, one: Int[np.ndarray, " E"], other: Int[np.ndarray, " E"]
    ) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """``same`` and ``both`` of ``count_agreement``, added up over the pairs of atoms of two clusters."""
        return _products(self.in_masks, one, other), _products(self.seen, one, other)

    def all_links(self) -> tuple[UInt[np.ndarray, "C C"], UInt[np.ndarray, "C C"]]:
        """``links`` of all pairs, as symmetric matrices of the smallest unsigned type that holds them."""
        seen = self.seen.toarray().astype(np.float64)  # whole, and below 2^53
        both = seen @ seen.T
        dtype = np.min_scalar_type(int(both.max(initial=0)))
        both = both.astype(dtype)
        same = cast(csr_array, self.in_masks @ self.in_masks.T).astype(dtype).toarray()
        return same, both


def _products(vectors: csr_array, one: Int[np.ndarray, " E"], other: Int[np.ndarray, " E"]) -> Int[np.ndarray, " E"]:
    found = np.zeros(len(one), dtype=np.int64)
    for start in range(0, len(one), LINKS_AT_A_TIME):
        part = slice(start, start + LINKS_AT_A_TIME)
        found[part] = vectors[one[part]].multiply(vectors[other[part]]).sum(axis=1)
    return found


@dataclass(frozen=True)
class Joined:
    """The merges of K atoms to clusters of neighbours. A cluster is called by its smallest atom.

    Attributes:
        num_atoms: K.
        names: of the clusters that are left, ascending.
        sizes: atoms of the same.
        kept: cluster that each merge leaves.
        gone: cluster that it takes in; larger than ``kept``.
        same: views in which an atom of one lies in one mask with an atom of the other, added up over pairs.
        both: views that observe both atoms of a pair, added up over pairs.
        pairs: of atoms.
    """

    num_atoms: int
    names: Int[np.ndarray, " C"]
    sizes: Int[np.ndarray, " C"]
    kept: Int[np.ndarray, " S"]
    gone: Int[np.ndarray, " S"]
    same: Int[np.ndarray, " S"]
    both: Int[np.ndarray, " S"]
    pairs: Int[np.ndarray, " S"]

    @classmethod
    def nothing(cls, num_atoms: int) -> Joined:
        """No merges: each atom is a cluster."""
        ones = np.ones(num_atoms, dtype=np.int64)
        return cls(num_atoms, np.arange(num_atoms), ones, *np.zeros((5, 0), np.int64))

    def then(self, tree: MergeTree, theta: float) -> MergeTree:
        """These merges, with the linkage that they have at a theta, and those of the clusters that are left.

        Linkage does not rise along them: a merge that a stronger one depends on, or follows, counts as strong.

        Args:
            tree: merges of the clusters that are left, linkage in views.
            theta: of that tree.
        """
        share = Fraction(theta).limit_denominator(1000)
        linkage = _evidence(self.same, self.both, share) / self.pairs / share.denominator
        linkage = np.maximum.accumulate(np.append(linkage, tree.linkage)[::-1])[::-1]
        kept, gone = (
            np.append(mine, self.names[those]) for mine, those in ((self.kept, tree.kept), (self.gone, tree.gone))
        )
        return MergeTree(self.num_atoms, kept, gone, linkage)


def near_pairs(places: Float[np.ndarray, "K 3"], neighbours: int = NEIGHBOURS) -> Int[np.ndarray, "E 2"]:
    """Each atom with those nearest to it; each pair once, the smaller atom first, sorted."""
    count = len(places)
    found = KDTree(places).query(places, min(neighbours + 1, count))[1].reshape(count, -1)
    pairs = np.stack([np.repeat(np.arange(count), found.shape[1]), found.reshape(-1)], axis=1)
    return _unique_pairs(pairs, count)


def _unique_pairs(pairs: Int[np.ndarray, "P 2"], count: int) -> Int[np.ndarray, "E 2"]:
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    keys = np.unique(pairs.min(axis=1) * count + pairs.max(axis=1))
    return np.stack(np.divmod(keys, count), axis=1)


def join_neighbours(
    sightings: Sightings, pairs: Int[np.ndarray, "E 2"], theta: float, most: int
) -> tuple[Joined, Sightings]:
    """Merge neighbours whose mean ``same - theta * both`` is above 0, until ``most`` clusters are left or none is.

    Neighbours of a cluster are those of its atoms. Two clusters are merged if neither has a stronger link to another
    neighbour; of all such pairs the stronger half is merged at a time.

    Args:
        sightings: of K atoms.
        pairs: of neighbours, each once, the smaller first. Those that no view shows together are left out.
        theta: as large as the largest that will be asked for, so that none would part what is joined here.
        most: clusters.

    Returns:
        The merges, and the sightings of the clusters that are left.
    """
    share = Fraction(theta).limit_denominator(1000)
    num_atoms = len(sightings.sizes)
    names = np.arange(num_atoms)
    graph = _Graph.of(pairs, sightings)
    graph = graph.chosen(graph.both > 0)
    merges = []
    while len(names) > most:
        merging = graph.strongest(sightings.sizes, share, len(names) - most)
        if len(merging) == 0:
            break
        kept, gone = graph.pairs[merging].T
        weights = sightings.sizes[kept] * sightings.sizes[gone]
        merges.append(np.stack([names[kept], names[gone], graph.same[merging], graph.both[merging], weights]))
        cluster, left = _after(kept, gone, len(names))
        names, sightings = names[left], sightings.merged(cluster, len(left))
        graph = graph.after(cluster, np.unique(cluster[kept]), sightings)
    columns = np.concatenate([np.zeros((5, 0), np.int64), *merges], axis=1)
    return Joined(num_atoms, names, sightings.sizes, *columns), sightings


def _after(
    kept: Int[np.ndarray, " M"], gone: Int[np.ndarray, " M"], count: int
) -> tuple[Int[np.ndarray, " C"], Int[np.ndarray, " left"]]:
    """The new number of each cluster after merges of which no two share one, and the clusters that are left."""
    is_left = np.ones(count, dtype=bool)
    is_left[gone] = False
    number = is_left.cumsum() - 1
    number[gone] = number[kept]
    return number, np.flatnonzero(is_left)


def _evidence(same: Shaped[np.ndarray, " E"], both: Shaped[np.ndarray, " E"], share: Fraction) -> Int[np.ndarray, " E"]:
    return same * share.denominator - both * share.numerator


@dataclass(frozen=True)
class _Graph:
    """Pairs of neighbouring clusters, the smaller first, with their ``links``."""

    pairs: Int[np.ndarray, "E 2"]
    same: Int[np.ndarray, " E"]
    both: Int[np.ndarray, " E"]

    @classmethod
    def of(cls, pairs: Int[np.ndarray, "E 2"], sightings: Sightings) -> _Graph:
        return cls(pairs, *sightings.links(*pairs.T))

    def chosen(self, some: Bool[np.ndarray, " E"]) -> _Graph:
        return _Graph(self.pairs[some], self.same[some], self.both[some])

    def strongest(self, sizes: Int[np.ndarray, " C"], share: Fraction, most: int) -> Int[np.ndarray, " M"]:
        """Pairs of which each is the strongest link of both ends, and above 0: the stronger half, ``most`` at most.

        Of equal links of a cluster that to the smallest one counts, and of equal pairs the smallest comes first.
        """
        one, other = self.pairs.T
        means = _evidence(self.same, self.both, share) / (sizes[one] * sizes[other])
        best = np.zeros(len(sizes))
        partner = np.full(len(sizes), len(sizes))
        for end in (one, other):
            np.maximum.at(best, end, means)
        for end, far in ((one, other), (other, one)):
            is_best = (means == best[end]) & (means > 0)
            np.minimum.at(partner, end[is_best], far[is_best])
        mutual = np.flatnonzero((partner[one] == other) & (partner[other] == one))
        order = mutual[np.lexsort((other[mutual], one[mutual], -means[mutual]))]
        return order[: min(-(-len(order) // ROUND_SHARE), most)]

    def after(self, cluster: Int[np.ndarray, " C"], changed: Int[np.ndarray, " M"], sightings: Sightings) -> _Graph:
        """The pairs of the clusters that these were merged to; links of clusters that have not changed stay."""
        is_changed = np.zeros(len(sightings.sizes), dtype=bool)
        is_changed[changed] = True
        pairs = cluster[self.pairs]
        stays = ~is_changed[pairs].any(axis=1)
        anew = _Graph.of(_unique_pairs(pairs[~stays], len(sightings.sizes)), sightings)
        columns = ((pairs[stays], anew.pairs), (self.same[stays], anew.same), (self.both[stays], anew.both))
        return _Graph(*(np.concatenate(column) for column in columns))
