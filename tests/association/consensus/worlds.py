"""Random blend weights without pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from proto_saga_ns.association.consensus.blended_views import BlendedView
from proto_saga_ns.association.consensus.instances import Instances
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL


def random_blended_view(num_gaussians: int, num_labels: int, rng: np.random.Generator) -> BlendedView:
    """Some Gaussians in one or two labels each."""
    dense = rng.integers(1, 4 * UNITS_PER_PIXEL, (num_gaussians, num_labels))
    dense[rng.random(dense.shape) < 0.6] = 0
    gaussians, labels = np.nonzero(dense)
    return BlendedView(gaussians, labels, dense[gaussians, labels], num_labels)


def object_views(
    object_of_gaussian: np.ndarray, num_views: int, split: float, merge: float, seed: int
) -> list[BlendedView]:
    """Views in which each object is seen three times out of four, and is split or merged with another at random."""
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(num_views):
        labels = _labels(object_of_gaussian, split, merge, rng)
        units = rng.integers(UNITS_PER_PIXEL, 3 * UNITS_PER_PIXEL, len(labels))
        hidden = labels < 0
        gaussians = np.flatnonzero(~hidden)
        views.append(BlendedView(gaussians, labels[gaussians], units[gaussians], max(int(labels.max()), 0) + 1))
    return views


def _labels(object_of_gaussian: np.ndarray, split: float, merge: float, rng: np.random.Generator) -> np.ndarray:
    count = int(object_of_gaussian.max()) + 1
    label_of_object = rng.permutation(count)
    for label in range(count):
        if rng.random() < merge:
            label_of_object[label] = label_of_object[rng.integers(count)]
    labels = label_of_object[object_of_gaussian]
    for label in range(count):
        members = np.flatnonzero(labels == label)
        if rng.random() < split and len(members):
            labels[members[: rng.integers(1, len(members) + 1)]] += count
    labels = np.unique(labels, return_inverse=True)[1] + 1
    unseen = np.flatnonzero(rng.random(count) < 0.25)
    return np.where(np.isin(object_of_gaussian, unseen), -1, labels)


def renamed(view: BlendedView, rng: np.random.Generator) -> tuple[BlendedView, np.ndarray]:
    """The same view with its masks in another order, and the new label of each old one."""
    names = np.concatenate([[0], 1 + rng.permutation(view.num_labels - 1)])
    order = rng.permutation(len(view.labels))
    columns = (view.gaussians[order], names[view.labels[order]], view.units[order])
    return replace(view, gaussians=columns[0], labels=columns[1], units=columns[2]), names


def instances_of_labels(of_mask: list[list[int]], purity: list[list[float]]) -> Instances:
    """Instances of which nothing is known but what the masks belong to."""
    count = max(max(view) for view in of_mask)
    number = np.arange(1, count + 1, dtype=np.int32)
    masks = [np.array(view, dtype=np.int32) for view in of_mask]
    return Instances(number, masks, [np.array(view) for view in purity], number, number)
