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
from proto_saga_ns.association.consensus.blended_views import BlendedViews
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
    support = _support((owners(view.toarray(), everyone) for view in weights), count, options.pure)
    totals = np.array([view.sum(axis=1) for view in weights], dtype=np.int64).reshape(len(weights), count)
    visible = ((totals > 0) & (totals >= options.visible_share * totals.sum(axis=1, keepdims=True))).sum(axis=0)
    required = np.maximum(options.required_support(len(views)), options.support_share * visible - 1e-9)
    clusters = np.flatnonzero(support >= required)
    clusters = clusters[np.argsort(-totals.sum(axis=0)[clusters], kind="stable")]
    of_cluster, of_mask, purity = _assigned(weights, clusters, count)
    return Instances(of_cluster, of_mask, purity, support[clusters], visible[clusters])


def owners(weights: Int[np.ndarray, "C labels"], allowed: Bool[np.ndarray, " C"]) -> MaskOwners:
    """The allowed cluster in which most of each mask lies, the first of equals."""
    count = weights.shape[1]
    best = np.full(count, -1)
    own = np.zeros(count, dtype=np.int64)
    if allowed.any():
        best = np.where(allowed[:, None], weights, -1).argmax(axis=0)
        own = weights[best, np.arange(count)]
    own[0] = 0
    purity = own / np.maximum(weights.sum(axis=0), 1)
    return MaskOwners(np.where(own > 0, best, -1), purity)


def _by_cluster(view: csr_array, cluster_of_atom: Int[np.ndarray, " K"], count: int) -> csr_array:
    entries = coo_array(view)
    atoms, labels = entries.coords
    shape = (count, cast(tuple[int, int], view.shape)[1])
    return csr_array(coo_array((entries.data, (cluster_of_atom[atoms], labels)), shape=shape))


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
    found = [owners(view.toarray(), number[:-1] > 0) for view in weights]
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
    of_masks, of_instances = [], []
    for view in views:
        weights = _by_instance(view, instance_of_atom)
        masks, instances = weights[:, 1:].sum(axis=0), weights[1:].sum(axis=1)
        overlaps = _overlaps(weights[1:, 1:], instances, masks)
        of_masks.append(overlaps.max(axis=0, initial=0.0)[masks >= LEAST_PIXELS * UNITS_PER_PIXEL])
        visible = (instances > 0) & (instances >= visible_share * weights.sum())
        of_instances.append(overlaps.max(axis=1, initial=0.0)[visible])
    return (_mean(of_masks) + _mean(of_instances)) / 2


def _by_instance(view: csr_array, instance_of_atom: Int[np.ndarray, " K"]) -> Int[np.ndarray, "instances labels"]:
    entries = coo_array(view)
    atoms, labels = entries.coords
    size = (int(instance_of_atom.max(initial=0)) + 1, cast(tuple[int, int], view.shape)[1])
    weights = np.zeros(size, dtype=np.int64)
    np.add.at(weights, (instance_of_atom[atoms], labels), entries.data)
    return weights


def _overlaps(
    both: Int[np.ndarray, "T L"], instances: Int[np.ndarray, " T"], masks: Int[np.ndarray, " L"]
) -> Float[np.ndarray, "T L"]:
    return both / np.maximum(instances[:, None] + masks - both, 1)


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
    places = _places(atom_views, elected, atoms.count, len(instances.support))
    counts = (places != NO_PLACE).sum(axis=1)[atoms.of_gaussian]
    starts = np.append(0, counts.cumsum())
    units = np.zeros(starts[-1], dtype=np.int64)
    for index in progress(range(len(views)), "Voting"):
        view = views[index]
        place = places[atoms.of_gaussian[view.gaussians], elected[index][view.labels]]
        voting = place != NO_PLACE
        # Whole units again, so that sums stay exact.
        weights = np.rint(view.units[voting] * instances.purity[index][view.labels[voting]]).astype(np.int64)
        np.add.at(units, starts[view.gaussians[voting]] + place[voting], weights)
    used = np.flatnonzero(units)
    gaussians = np.searchsorted(starts, used, side="right") - 1
    ids = _instances(places)[atoms.of_gaussian[gaussians], used - starts[gaussians]]
    counts = Contributions(*map(torch.from_numpy, (gaussians, ids, units[used] / UNITS_PER_PIXEL)))
    return Votes.largest(counts, len(atoms.of_gaussian), top)


def _places(
    atom_views: Sequence[csr_array], elected: Sequence[Int[np.ndarray, " _labels"]], num_atoms: int, num_instances: int
) -> Int[np.ndarray, "{num_atoms}+1 {num_instances}+1"]:
    """The place of each instance (from 1) among those that any mask elects with weight of an atom, in their order.

    The last row is of Gaussians without atom (-1).
    """
    found = np.zeros((num_atoms + 1, num_instances + 1), dtype=bool)
    for view, ids in zip(atom_views, elected, strict=True):
        atoms, labels = coo_array(view).coords
        found[atoms, ids[labels]] = True
    found[:, 0] = False
    return np.where(found, found.cumsum(axis=1) - 1, NO_PLACE)


def _instances(places: Int[np.ndarray, "atoms instances"]) -> Int[np.ndarray, "atoms instances"]:
    """The instance at each place of each atom."""
    rows, ids = np.nonzero(places != NO_PLACE)
    instances = np.zeros_like(places)
    instances[rows, places[rows, ids]] = ids
    return instances
