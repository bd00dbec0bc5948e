"""Parts that masks show again and again, none where masks break at random, and groups of what lies in one mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.association.consensus.agreement import count_agreement
from proto_saga_ns.association.consensus.hierarchy import NEVER, agglomerate_shares, find_groups, find_parts, own_masks
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL
from tests.association.consensus.worlds import instances_of_labels

SEEDS = st.integers(0, 10**6)
VIEWS = 40


def random_masks(atoms: int, views: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 4, atoms) for _ in range(views)]


def slow_merges(same: np.ndarray, both: np.ndarray) -> list[tuple[list[int], list[int], float]]:
    """Every link anew before every merge."""
    clusters, merges = [[leaf] for leaf in range(len(same))], []
    while len(clusters) > 1:
        links = {}
        for i, one in enumerate(clusters):
            for other in clusters[i + 1 :]:
                pairs = np.ix_(one, other)
                links[min(one), min(other)] = same[pairs].sum() / both[pairs].sum() if both[pairs].any() else NEVER
        best = max(links.values())
        a, b = min(pair for pair, link in links.items() if link == best)
        kept, gone = (next(cluster for cluster in clusters if min(cluster) == leaf) for leaf in (a, b))
        merges.append((sorted(kept), sorted(gone), best))
        clusters = [cluster for cluster in clusters if cluster not in (kept, gone)] + [kept + gone]
        clusters.sort(key=min)
    return merges


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(1, 30), SEEDS)
def test_merges_are_those_of_the_slow_way(atoms: int, views: int, seed: int) -> None:
    same, both = (counts.astype(np.int64) for counts in count_agreement(random_masks(atoms, views, seed), atoms))
    tree = agglomerate_shares(same, both)
    assert len(tree.kept) == max(atoms - 1, 0)
    assert (np.diff(tree.share) <= 0).all()
    members = {leaf: [leaf] for leaf in range(atoms)}
    by_step = []
    for kept, gone, share in zip(tree.kept.tolist(), tree.gone.tolist(), tree.share.tolist(), strict=True):
        assert kept == min(members[kept]) < gone == min(members[gone])
        by_step.append((sorted(members[kept]), sorted(members[gone]), share))
        members[kept] = members[kept] + members.pop(gone)
    for (one, other, share), (kept, gone, best) in zip(by_step, slow_merges(same, both), strict=True):
        assert share == pytest.approx(best)
        if (one, other) != (kept, gone):
            return  # of equal links another one was taken, and from here on all is different


def masks_of_parts(part_of_atom: np.ndarray, along_parts: float, at_random: float, seed: int) -> list[np.ndarray]:
    """The object in one mask, or taken apart along parts, or between any two atoms of a line."""
    rng = np.random.default_rng(seed)
    views = []
    for _ in range(VIEWS):
        dice = rng.random()
        masks = np.ones(len(part_of_atom), dtype=np.int64)
        if dice < along_parts:
            masks = 1 + rng.permutation(int(part_of_atom.max()) + 1)[part_of_atom]
        elif dice < along_parts + at_random:
            masks[rng.integers(1, len(part_of_atom)) :] = 2
        views.append(np.where(rng.random(len(masks)) < 0.1, 0, masks))
    return views


@settings(max_examples=10)
@given(st.integers(2, 4), SEEDS)
def test_parts_that_masks_show_are_found(num_parts: int, seed: int) -> None:
    expected = np.repeat(np.arange(num_parts), 8)
    weights = np.repeat(np.arange(num_parts, 0, -1), 8)
    parts, joins = find_parts(masks_of_parts(expected, 0.4, 0.05, seed), weights, required=3)
    assert parts.tolist() == expected.tolist()
    assert sorted(gone for gone, _, _ in joins) == list(range(1, num_parts))
    assert all(kept < gone and 0.2 < share < 0.9 for gone, kept, share in joins)
    shares = [share for _, _, share in joins]
    assert shares == sorted(shares, reverse=True)


def masks_broken_along_lines(side: int, rate: float, seed: int) -> list[np.ndarray]:
    """A square of atoms in one mask, or in two on the sides of a line somewhere across it."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    views = []
    for _ in range(VIEWS):
        angle = rng.uniform(0, np.pi)
        across = places @ np.array([np.cos(angle), np.sin(angle)])
        second = (across > np.quantile(across, rng.uniform(0.3, 0.7))) & (rng.random() < rate)
        views.append(np.where(rng.random(len(places)) < 0.1, 0, 1 + second))
    return views


def test_masks_that_break_anywhere_make_no_parts() -> None:
    for seed in range(20):
        assert not find_parts(masks_broken_along_lines(7, 0.3, seed), np.ones(49, dtype=np.int64), required=3)[1]


@settings(max_examples=25)
@given(SEEDS)
def test_the_order_of_views_and_the_names_of_masks_mean_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts, weights = np.repeat(np.arange(3), 6), rng.integers(1, 9, 18)
    masks = masks_of_parts(parts, 0.3, 0.2, seed)
    parts, joins = find_parts(masks, weights, required=3)
    renamed = [np.append(0, 1 + rng.permutation(4))[view] for view in masks]
    again, joins_again = find_parts([renamed[index] for index in rng.permutation(VIEWS)], weights, required=3)
    assert parts.tolist() == again.tolist() and joins == joins_again


def test_too_few_views_and_too_small_parts_say_nothing() -> None:
    parts, weights = np.repeat([0, 1], 8), np.repeat([10, 1], 8)
    masks = [np.ones(16, dtype=np.int64)] * 20 + [1 + parts] * 3
    assert len(find_parts(masks, weights, required=3)[1]) == 1
    assert len(find_parts(masks, weights, required=4)[1]) == 0
    assert len(find_parts(masks, np.where(parts, 1, 100), required=3)[1]) == 0


def view_of(labels: np.ndarray) -> csr_array:
    """A view that shows each atom in one label with the weight of five pixels."""
    units = np.full(len(labels), 5 * UNITS_PER_PIXEL)
    return csr_array(coo_array((units, (np.arange(len(labels)), labels)), shape=(len(labels), int(labels.max()) + 1)))


def test_masks_of_another_instance_are_no_sign_of_parts() -> None:
    instance_of_atom = np.array([1, 1, 1, 2, 2, 0])
    views = [view_of(np.array([1, 1, 2, 2, 2, 3]))]
    instances = instances_of_labels([[0, 1, 2, 0]], [[0, 1.0, 0.67, 0]])
    masks = own_masks(views, instance_of_atom, instances, ConsensusOptions().pure)
    assert masks.toarray()[:, 0].tolist() == [1, 1, 0, 2, 2, 0]


def test_groups_lie_in_one_mask_now_and_then() -> None:
    """1 and 2 in half of the views, 3 with them in a quarter, 4 with 3 in too few to count, 5 never seen."""
    instance_of_atom = np.array([1, 2, 3, 4, 5])
    together = [[1, 1, 2, 3]] * 5 + [[1, 1, 1, 3]] * 5 + [[1, 2, 3, 4]] * 8 + [[1, 2, 3, 3]] * 2
    views = [view_of(np.array([*labels, 0])) for labels in together]
    groups = find_groups(views, instance_of_atom, 5, required=3)
    assert list(zip(groups.ids.tolist(), groups.into.tolist(), groups.share.tolist(), strict=True)) == [
        (2, 1, 0.5),
        (3, 1, 0.25),
    ]
