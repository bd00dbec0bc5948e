"""From clusters of atoms to the instance of each mask, and which clusters are instances at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.association.consensus.atoms import Atoms
from proto_saga_ns.association.consensus.blended_views import BlendedViews, ranks
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL, Contributions
from proto_saga_ns.recognition.votes import Votes

LEAST_PIXELS = 5
"""Smaller masks say nothing."""
NO_PLACE = -1


@dataclass(frozen=True)
class MaskOwners:
    """The instance of each mask of one view.

    Attributes:
        instance: 0..C-1, or -1 for a mask without weight in any and for label 0.
        purity: share of the mask's weight that lies in its instance; 0 where there is none.
    """

    instance: Int[np.ndarray, " labels"]
    purity: Float[np.ndarray, " labels"]


@dataclass(frozen=True)
class Instances:
    """Clusters that became instances, the one with most weight in all views first.

    Attributes:
        of_cluster: instance (from 1) of each cluster, 0 if it is none.
        of_mask: for every view, the instance (from 1) of each label; 0 for none, and for label 0.
        purity: share of each mask that lies in its instance.
        support: views that show the instance in a mask that is mostly its own.
        visible: views that show it at all.
    """

    of_cluster: Int32[np.ndarray, " C"]
    of_mask: list[Int32[np.ndarray, " _labels"]]
    purity: list[Float[np.ndarray, " _labels"]]
    support: Int[np.ndarray, " T"]
    visible: Int[np.ndarray, " T"]


def find_instances(
    views: Sequence[csr_array], cluster_of_atom: Int[np.ndarray, " K"], options: ConsensusOptions
) -> Instances:
    """Give masks to clusters, keep the clusters with support, and give the masks of the others to those.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        cluster_of_atom: 0..C-1.
        options: see there.
    """
    count = int(cluster_of_atom.max(initial=-1)) + 1
    weights = [_by_cluster(view, cluster_of_atom, count) for view in views]
    everyone = np.ones(count, dtype=bool)
    support = _support((owners(view, everyone) for view in weights), count, options.pure)
    totals, visible = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for view in weights:
        shown = view.sum(axis=1)
        totals += shown
        visible += (shown > 0) & (shown >= options.visible_share * shown.sum())
    required = np.maximum(options.required_support(len(views)), options.support_share * visible - 1e-9)
    clusters = np.flatnonzero(support >= required)
    clusters = clusters[np.argsort(-totals[clusters], kind="stable")]
    of_cluster, of_mask, purity = _assigned(weights, clusters, count)
    return Instances(of_cluster, of_mask, purity, support[clusters], visible[clusters])


def owners(weights: csr_array, allowed: Bool[np.ndarray, " C"]) -> MaskOwners:
    """The allowed cluster in which most of each mask lies, the first of equals.

    Args:
        weights: (C, L + 1) of clusters in labels.
        allowed: which clusters may own masks.
    """
    clusters, labels, units = entries(weights)
    total, own = (np.zeros(cast(tuple[int, int], weights.shape)[1], dtype=np.int64) for _ in range(2))
    np.add.at(total, labels, units)
    counts = allowed[clusters] & (labels > 0)
    clusters, labels, units = clusters[counts], labels[counts], units[counts]
    np.maximum.at(own, labels, units)
    largest = units == own[labels]
    best = np.full(len(own), len(allowed))
    np.minimum.at(best, labels[largest], clusters[largest])
    return MaskOwners(np.where(own > 0, best, -1), own / np.maximum(total, 1))


def entries(view: csr_array) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """Rows, columns and values of a sparse matrix."""
    return np.repeat(np.arange(len(view.indptr) - 1), np.diff(view.indptr)), view.indices, view.data


def _by_cluster(view: csr_array, cluster_of_atom: Int[np.ndarray, " K"], count: int) -> csr_array:
    atoms, labels, units = entries(view)
    shape = (count, cast(tuple[int, int], view.shape)[1])
    return csr_array(coo_array((units, (cluster_of_atom[atoms], labels)), shape=shape))


def _support(found: Iterable[MaskOwners], count: int, pure: float) -> Int[np.ndarray, " C"]:
    """Views in which a cluster has a mask of its own."""
    support = np.zeros(count, dtype=np.int64)
    for view in found:
        support[np.unique(view.instance[(view.purity > pure) & (view.instance >= 0)])] += 1
    return support


def _assigned(
    weights: Sequence[csr_array], clusters: Int[np.ndarray, " T"], count: int
) -> tuple[Int32[np.ndarray, " C"], list[Int32[np.ndarray, " _labels"]], list[Float[np.ndarray, " _labels"]]]:
    """Number the clusters from 1, and give all masks to them."""
    number = np.zeros(count + 1, dtype=np.int32)  # one more, for no instance (-1)
    number[clusters] = np.arange(1, len(clusters) + 1)
    found = [owners(view, number[:-1] > 0) for view in weights]
    return number[:-1], [number[view.instance] for view in found], [view.purity for view in found]


def self_agreement(views: Sequence[csr_array], instance_of_atom: Int[np.ndarray, " K"], visible_share: float) -> float:
    """Mean overlap of masks and instances with what they fit best, in [0, 1].

    Every mask has an IoU with each instance as the view shows it. Instances that are fused are larger than most masks
    of them, instances in pieces are smaller, and either way the IoU is small. The mean over masks of the best instance
    and the mean over instances in view of the best mask are averaged: the first alone would like pieces, the second
    alone few instances. The sums are exact, so that the order of views means nothing.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        instance_of_atom: from 1; 0 for none.
        visible_share: share of a view from which on an instance counts as visible in it.
    """
    count = int(instance_of_atom.max(initial=0)) + 1
    of_masks, of_instances = [], []
    for view in views:
        weights = _by_cluster(view, instance_of_atom, count)
        masks, instances = weights.sum(axis=0), weights.sum(axis=1)
        best_of_masks, best_of_instances = _best_overlaps(weights, instances, masks)
        of_masks.append(best_of_masks[1:][masks[1:] >= LEAST_PIXELS * UNITS_PER_PIXEL])
        visible = (instances > 0) & (instances >= visible_share * instances.sum())
        of_instances.append(best_of_instances[1:][visible[1:]])
    return (_mean(of_masks) + _mean(of_instances)) / 2


def _best_overlaps(
    weights: csr_array, instances: Int[np.ndarray, " T"], masks: Int[np.ndarray, " labels"]
) -> tuple[Float[np.ndarray, " labels"], Float[np.ndarray, " T"]]:
    """The largest IoU of each mask with an instance, and of each instance with a mask; 0 is neither."""
    rows, labels, both = entries(weights)
    counts = (rows > 0) & (labels > 0)
    rows, labels, both = rows[counts], labels[counts], both[counts]
    overlaps = both / np.maximum(instances[rows] + masks[labels] - both, 1)
    best_of_masks, best_of_instances = np.zeros(len(masks)), np.zeros(len(instances))
    np.maximum.at(best_of_masks, labels, overlaps)
    np.maximum.at(best_of_instances, rows, overlaps)
    return best_of_masks, best_of_instances


def _mean(parts: Sequence[Float[np.ndarray, " _M"]]) -> float:
    values = np.concatenate([np.zeros(0), *parts])
    return math.fsum(values) / len(values) if len(values) else 0.0


def count_votes(
    views: BlendedViews,
    atom_views: Sequence[csr_array],
    atoms: Atoms,
    instances: Instances,
    pure: float,
    top: int,
    progress: Progress = unseen,
) -> Votes:
    """Add up the votes of all masks that are pure enough.

    A mask votes for its instance with the weight of the Gaussian in it times its purity. A Gaussian can only be voted
    for by masks that its atom lies in: there is a place for each instance of these, and views are added in place.
    Memory is linear in places.

    Args:
        views: blend weights.
        atom_views: (K, L + 1) weights of atoms in labels, of the same views.
        atoms: of the Gaussians.
        instances: of the masks.
        pure: purity above which a mask votes.
        top: F.
        progress: of the views.
    """
    elected = [np.where(purity > pure, ids, 0) for ids, purity in zip(instances.of_mask, instances.purity, strict=True)]
    places = Places.of(atom_views, elected, atoms.count)
    starts = np.append(0, np.append(np.diff(places.starts), 0)[atoms.of_gaussian].cumsum())  # -1 has no place
    units = np.zeros(starts[-1], dtype=np.int64)
    for index in progress(range(len(views)), "Voting"):
        view = views[index]
        place = places.of_entries(atoms.of_gaussian[view.gaussians], view.labels, elected[index])
        voting = np.flatnonzero(place != NO_PLACE)
        # Whole units again, so that sums stay exact.
        weights = np.rint(view.units[voting] * instances.purity[index][view.labels[voting]]).astype(np.int64)
        np.add.at(units, starts[view.gaussians[voting]] + place[voting], weights)
    used = np.flatnonzero(units)
    gaussians = np.searchsorted(starts, used, side="right") - 1
    ids = places.ids[places.starts[atoms.of_gaussian[gaussians]] + used - starts[gaussians]]
    counts = Contributions(*map(torch.from_numpy, (gaussians, ids, units[used] / UNITS_PER_PIXEL)))
    return Votes.largest(counts, len(atoms.of_gaussian), top)


@dataclass(frozen=True)
class Places:
    """The instances that any mask elects with weight of an atom, in their order.

    Attributes:
        starts: where those of each atom begin; the end after them.
        ids: of instances, ascending for each atom.
    """

    starts: Int[np.ndarray, " _starts"]
    ids: Int[np.ndarray, " P"]

    @classmethod
    def of(
        cls, atom_views: Sequence[csr_array], elected: Sequence[Int[np.ndarray, " _labels"]], num_atoms: int
    ) -> Places:
        """Of K atoms.

        Args:
            atom_views: (K, L + 1) weights of atoms in labels.
            elected: instance for which each label votes, from 1; 0 for none.
            num_atoms: K.
        """
        size = 1 + max((int(ids.max(initial=0)) for ids in elected), default=0)
        keys = np.zeros(0, dtype=np.int64)
        for view, ids in zip(atom_views, elected, strict=True):
            atoms, labels, _ = entries(view)
            voting = ids[labels] > 0
            keys = np.union1d(keys, atoms[voting] * size + ids[labels[voting]])
        return cls(np.searchsorted(keys, np.arange(num_atoms + 1) * size), keys % size)

    def of_entries(
        self, atoms: Int[np.ndarray, " E"], labels: Int[np.ndarray, " E"], elected: Int[np.ndarray, " labels"]
    ) -> Int[np.ndarray, " E"]:
        """The place of the instance that each label elects, among those of each atom; ``NO_PLACE`` for none.

        Takes memory for the atoms in view times instances in view.
        """
        count = len(self.starts) - 1
        in_view, rows = ranks(atoms, count)
        instances, columns = ranks(elected, int(elected.max(initial=0)) + 1)
        table = np.full((len(in_view), len(instances)), NO_PLACE, dtype=np.int32)
        lengths = np.diff(self.starts)[in_view]
        place = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
        ids = self.ids[np.repeat(self.starts[in_view], lengths) + place]
        here = np.flatnonzero(ids < len(columns))
        here = here[instances[columns[ids[here]]] == ids[here]]
        table[np.repeat(np.arange(len(in_view)), lengths)[here], columns[ids[here]]] = place[here]
        return np.where(elected[labels] > 0, table[rows[atoms], columns[elected[labels]]], NO_PLACE)
