"""How well instances explain the masks that they were made of; needs no truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.rasterize.exact import UNITS_PER_PIXEL

LEAST_PIXELS = 5
"""Smaller masks say nothing."""


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


def _by_instance(view: csr_array, instance_of_atom: Int[np.ndarray, " K"]) -> Int[np.ndarray, "T+1 L+1"]:
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


def _mean(parts: Sequence[Float[np.ndarray, " M"]]) -> float:
    values = np.concatenate([np.zeros(0), *parts])
    return math.fsum(values) / len(values) if len(values) else 0.0
