"""How well instances explain masks, against loops; and theta follows the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from proto_saga_ns.association import ConsensusOptions
from proto_saga_ns.association.consensus import BlendedView, find_consensus
from proto_saga_ns.association.consensus.instances import LEAST_PIXELS, self_agreement
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL

SEEDS = st.integers(0, 10**6)


def by_loops(views: list[np.ndarray], instance: np.ndarray, visible_share: float) -> float:
    ids = range(1, int(instance.max(initial=0)) + 1)
    of_masks, of_instances = [], []
    for view in views:
        best_of: dict[int, float] = dict.fromkeys(ids, 0.0)
        for label in range(1, view.shape[1]):
            mask, best = view[:, label].sum(), 0.0
            for number in ids:
                both = view[instance == number, label].sum()
                iou = both / max(view[instance == number].sum() + mask - both, 1)
                best, best_of[number] = max(best, iou), max(best_of[number], iou)
            if mask >= LEAST_PIXELS * UNITS_PER_PIXEL:
                of_masks.append(best)
        for number in ids:
            size = view[instance == number].sum()
            if size > 0 and size >= visible_share * view.sum():
                of_instances.append(best_of[number])
    return (float(np.mean(of_masks or [0.0])) + float(np.mean(of_instances or [0.0]))) / 2


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 4), SEEDS)
def test_the_same_as_loops_in_any_order(num_atoms: int, num_labels: int, num_views: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = [rng.integers(0, 9, (num_atoms, num_labels)) * UNITS_PER_PIXEL for _ in range(num_views)]
    instance = rng.integers(0, 4, num_atoms)
    sparse = [csr_array(view) for view in views]
    found = self_agreement(sparse, instance, 0.1)
    assert found == pytest.approx(by_loops(views, instance, 0.1))
    assert found == self_agreement(sparse[::-1], instance, 0.1), "to the last bit"


def test_the_instances_that_the_masks_show_agree_best() -> None:
    truth = np.repeat([1, 2, 3, 4], 5)
    views = [csr_array(np.eye(5, dtype=np.int64)[truth] * 10 * UNITS_PER_PIXEL) for _ in range(3)]
    assert self_agreement(views, truth, 0.0) == 1
    fused, cut = np.where(truth == 4, 3, truth), np.where(np.arange(20) == 0, 5, truth)
    assert self_agreement(views, fused, 0.0) < 1 > self_agreement(views, cut, 0.0)


def shown(labels: list[np.ndarray]) -> list[BlendedView]:
    """Views in which each Gaussian paints ten pixels of its label."""
    return [
        BlendedView(np.arange(len(own)), own, np.full(len(own), 10 * UNITS_PER_PIXEL), int(own.max()) + 1)
        for own in labels
    ]


def test_theta_follows_the_masks() -> None:
    """Two neighbours share a mask in 45 of 100 views, so that a theta of 0.4 takes them for one object."""
    objects = np.repeat([1, 2, 3, 4, 5], 20)
    means = 9.0 * objects[:, None] + np.random.default_rng(0).normal(size=(100, 3))
    joined = np.where(objects == 2, 1, objects)
    views = shown([joined if number < 45 else objects for number in range(100)])
    arguments = (means, np.ones((100, 4)), views)
    fixed = find_consensus(*arguments, ConsensusOptions(theta=0.4, num_atoms=50))
    chosen = find_consensus(*arguments, ConsensusOptions(num_atoms=50))
    assert (fixed.theta, len(fixed.instances.support)) == (0.4, 4)
    assert chosen.theta > 0.4 and len(chosen.instances.support) == 5
    assert len(set(zip(objects.tolist(), chosen.votes.labels[:, 0].tolist(), strict=True))) == 5
