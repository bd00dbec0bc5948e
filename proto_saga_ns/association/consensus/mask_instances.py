"""From clusters of atoms to the instance of each mask, and which clusters are instances at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.association.options import ConsensusOptions


@dataclass(frozen=True)
class MaskOwners:
    """The instance of each mask of one view.

    Attributes:
        instance: 0..C-1, or -1 for a mask without weight in any and for label 0.
        purity: share of the mask's weight that lies in its instance; 0 where there is none.
    """

    instance: Int[np.ndarray, " L+1"]
    purity: Float[np.ndarray, " L+1"]


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
    of_mask: list[Int32[np.ndarray, " L+1"]]
    purity: list[Float[np.ndarray, " L+1"]]
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


def owners(weights: Int[np.ndarray, "C L+1"], allowed: Bool[np.ndarray, " C"]) -> MaskOwners:
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
) -> tuple[Int32[np.ndarray, " C"], list[Int32[np.ndarray, " L+1"]], list[Float[np.ndarray, " L+1"]]]:
    """Number the clusters from 1, and give all masks to them."""
    number = np.zeros(count + 1, dtype=np.int32)  # one more, for no instance (-1)
    number[clusters] = np.arange(1, len(clusters) + 1)
    found = [owners(view.toarray(), number[:-1] > 0) for view in weights]
    return number[:-1], [number[view.instance] for view in found], [view.purity for view in found]
