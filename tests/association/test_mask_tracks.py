"""Laws of association by masks whose ids hold across views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association import Association, AssociationOptions, View, associate, look_numbered_per_view
from tests.association.test_association import random_views

HEIGHT, WIDTH = 20, 48
IDS = np.array([7, 300, 12, 70_000])
TRUST = AssociationOptions(criteria="depth", mask_ids="trust")
SEED = replace(TRUST, mask_ids="seed")


def stripes(num_views: int, seed: int) -> tuple[torch.Tensor, list[View], list[np.ndarray]]:
    """Four flat instances side by side, some of them hidden in each view, and the true id of each label, 0 first.

    The labels of a view are in random order, as only the ids hold across views.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    means = torch.from_numpy(np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3))
    views, truth = [], []
    for index in range(num_views):
        shown = rng.permutation(len(IDS))[: rng.integers(1, len(IDS) + 1)]
        label_map = np.zeros((HEIGHT, WIDTH), np.int32)
        for label, stripe in enumerate(shown, start=1):
            label_map[:, stripe * 12 : stripe * 12 + 12] = label
        camera = (torch.eye(4), torch.eye(3), WIDTH, HEIGHT)
        views.append(View(f"view{index}", *camera, torch.from_numpy(label_map), mask_ids=IDS[shown]))
        truth.append(np.append(0, IDS[shown]))
    return means, views, truth


def with_ids(view: View, change: dict[int, int]) -> View:
    """The same view, some ids exchanged."""
    assert view.mask_ids is not None
    return replace(view, mask_ids=np.array([change.get(int(number), int(number)) for number in view.mask_ids]))


def by_id(association: Association, truth: list[np.ndarray]) -> dict[int, set[int]]:
    """The instances that masks of each id have."""
    found: dict[int, set[int]] = {}
    for instances, ids in zip(association.instance_of_mask, truth, strict=True):
        for instance, number in zip(instances.tolist(), ids.tolist(), strict=True):
            found.setdefault(number, set()).add(instance)
    return found


def same(one: Association, other: Association, order: list[int]) -> bool:
    """Whether ``other``, of views in this order, is ``one``."""
    pairs = zip(other.instance_of_mask, (one.instance_of_mask[index] for index in order), strict=True)
    return (
        all(np.array_equal(a, b) for a, b in pairs)
        and np.array_equal(one.n_views, other.n_views)
        and all(map(np.array_equal, one.gaussian_sets, other.gaussian_sets))
    )


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_trusted_true_ids_are_the_instances_by_ascending_id(num_views: int, seed: int) -> None:
    means, views, truth = stripes(num_views, seed)
    association = associate(means, means, views, replace(TRUST, min_views=0))
    known = np.unique(np.concatenate(truth))
    expected = [np.searchsorted(known, ids) for ids in truth]
    assert [found.tolist() for found in association.instance_of_mask] == [ids.tolist() for ids in expected]
    assert association.num_instances == len(known) - 1
    assert association.n_views.tolist() == [sum(number in ids for ids in truth) for number in known[1:]]


@settings(max_examples=25)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_seeds_of_distinct_instances_stay_apart(num_views: int, seed: int) -> None:
    means, views, truth = stripes(num_views, seed)
    found = by_id(associate(means, means, views, replace(SEED, min_views=0)), truth)
    assert found.pop(0) == {0}
    assert all(len(instances) == 1 for instances in found.values())
    assert len(set.union(*found.values())) == len(found)


@settings(max_examples=25)
@given(st.integers(2, 8), st.integers(0, 1000), st.integers(1, 7))
def test_a_track_that_was_lost_is_joined_by_seeds_and_kept_apart_by_trust(num_views: int, seed: int, lost: int) -> None:
    means, views, truth = stripes(num_views, seed)
    lost = min(lost, num_views - 1)
    cut = views[:lost] + [with_ids(view, {number: number + 1 for number in IDS.tolist()}) for view in views[lost:]]
    options = replace(SEED, min_views=0)
    joined = by_id(associate(means, means, cut, options), truth)
    assert all(len(instances) == 1 for instances in joined.values())
    assert len(set.union(*joined.values())) == len(joined)
    apart = associate(means, means, cut, replace(options, mask_ids="trust"))
    fragments = {int(number) for view in cut for number in view.mask_ids}  # type: ignore[union-attr]
    assert apart.num_instances == len(fragments)


@settings(max_examples=30)
@given(st.permutations(range(5)), st.integers(0, 1000), st.sampled_from(["seed", "trust"]), st.integers(0, 3))
def test_the_order_of_views_does_not_matter(order: list[int], seed: int, mask_ids: str, min_views: int) -> None:
    means, embeddings, views = random_views(5, seed)
    rng = np.random.default_rng(seed)
    views = [replace(view, mask_ids=rng.permutation(8)[: int(view.label_map.max())] + 1) for view in views]
    options = AssociationOptions(mask_ids=mask_ids, min_views=min_views)  # type: ignore[arg-type]
    one = associate(means, embeddings, views, options)
    assert same(one, associate(means, embeddings, [views[index] for index in order], options), order)


@pytest.mark.parametrize("view_order", ["name", "seed", "best-first"])
def test_ids_that_are_ignored_change_nothing(view_order: str) -> None:
    means, embeddings, views = random_views(5, 0)
    options = AssociationOptions(view_order=view_order)  # type: ignore[arg-type]
    known = [replace(view, mask_ids=np.ones(int(view.label_map.max()), np.int64)) for view in views]
    one, other = (associate(means, embeddings, those, options) for those in (views, known))
    assert same(one, other, list(range(5)))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(["seed", "trust"]))
def test_an_instance_has_the_gaussians_of_all_its_masks(seed: int, mask_ids: str) -> None:
    means, views, _ = stripes(6, seed)
    options = AssociationOptions(criteria="depth", delta_d=1.0, mask_ids=mask_ids, min_views=0)  # type: ignore[arg-type]
    association = associate(means, means, views, options)
    assert association.n_gaussians.tolist() == [HEIGHT * 12] * association.num_instances
    stripe = association.gaussian_sets[1] % WIDTH // 12
    assert len(set(zip(association.gaussian_sets[0].tolist(), stripe.tolist(), strict=True))) == len(
        association.n_views
    )


@pytest.mark.parametrize("options", [TRUST, SEED])
def test_what_few_views_show_is_dropped_and_the_rest_numbered_without_gaps(options: AssociationOptions) -> None:
    means, views, truth = stripes(8, 3)
    counts = {int(number): sum(number in ids for ids in truth) for number in IDS}
    required = sorted(counts.values())[1] + 1
    association = associate(means, means, views, replace(options, min_views=required))
    assert association.num_instances == sum(count >= required for count in counts.values()) > 0
    assert set(np.concatenate(association.instance_of_mask)) == set(range(association.num_instances + 1))
    assert (association.n_views >= required).all()


@pytest.mark.parametrize("options", [TRUST, SEED])
def test_where_no_gaussian_falls_the_id_of_a_mask_tells_its_instance(options: AssociationOptions) -> None:
    means, views, truth = stripes(6, 1)
    half = means[means[:, 0] < WIDTH / 2]
    association = associate(half, half, views, replace(options, min_views=0))
    found = by_id(association, truth)
    assert all(len(instances) == 1 for instances in found.values())
    assert len(set.union(*found.values())) == len(found) == 1 + association.num_instances
    assert (association.n_gaussians > 0).sum() == 2


def test_what_masks_claim_beyond_their_border_joins_no_tracks() -> None:
    """Each of ten views is off by a pixel to another side, so that the union of claims covers most of a narrow one."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    means = torch.from_numpy(np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3))
    views = []
    for index in range(10):
        label_map = torch.ones(HEIGHT, WIDTH, dtype=torch.int32)
        start = 20 + (0, 0, 0, 2, -2)[index % 5]
        label_map[:, start : start + 4] = 2
        views.append(
            View(f"view{index}", torch.eye(4), torch.eye(3), WIDTH, HEIGHT, label_map, mask_ids=np.array([3, 4]))
        )
    association = associate(means, means, views, replace(SEED, delta_d=1.0))
    assert association.num_instances == 2
    assert association.n_gaussians.tolist() == [HEIGHT * (WIDTH - 4), HEIGHT * 4]


@pytest.mark.parametrize("options", [TRUST, SEED])
def test_views_without_ids_or_with_too_few_are_an_error(options: AssociationOptions) -> None:
    means, views, _ = stripes(1, 0)
    with pytest.raises(ValueError, match=r"view0 has . masks, but no ids"):
        associate(means, means, [replace(views[0], mask_ids=None)], options)
    with pytest.raises(ValueError, match=r"view0 has . masks, but 0 ids"):
        associate(means, means, [replace(views[0], mask_ids=np.zeros(0, np.int64))], options)


def test_labels_that_were_cropped_away_are_in_no_view() -> None:
    means, (view,), _ = stripes(1, 4)
    assert view.mask_ids is not None
    cropped = replace(view, mask_ids=np.append(view.mask_ids, 99_999))
    label_map = view.label_map.clone()
    label_map[label_map == 1] = 0
    association = associate(means, means, [replace(cropped, label_map=label_map)], replace(TRUST, min_views=0))
    assert association.num_instances == len(view.mask_ids) - 1
    assert association.instance_of_mask[0][1] == 0


def test_views_without_masks_do_no_harm() -> None:
    means, views, _ = stripes(3, 0)
    empty = replace(views[0], label_map=torch.zeros_like(views[0].label_map), mask_ids=np.zeros(0, np.int32))
    for options in (TRUST, SEED):
        assert associate(means, means, [empty], options).num_instances == 0
        with_empty = associate(means, means, [empty, *views], replace(options, min_views=0))
        assert same(associate(means, means, views, replace(options, min_views=0)), with_empty, [0, 1, 2]) or (
            with_empty.instance_of_mask[0].tolist() == [0]
        )


def test_ids_that_look_numbered_per_view() -> None:
    consecutive, sparse, empty = np.array([1, 2, 3]), np.array([1, 4]), np.zeros(0, np.int32)
    assert look_numbered_per_view([consecutive] * 10)
    assert look_numbered_per_view([np.array([3, 1, 2]), empty, empty])
    assert look_numbered_per_view([consecutive] * 19 + [sparse])
    assert not look_numbered_per_view([consecutive] * 9 + [sparse])
    assert not look_numbered_per_view([empty, empty])
    assert not look_numbered_per_view([])
