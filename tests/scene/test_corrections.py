"""Laws of merging, splitting and absorbing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.corrections import absorbed, all_merged, merged, renamed, split
from tests.scene.scenes import (
    DIM,
    assert_consistent,
    random_features,
    random_scene,
    random_votes_in_view,
    same_segmentation,
    scene_of,
)

PARTS = 6
EMBEDDINGS = random_features(99, 1, 60)[0]
seeds = st.integers(0, 1000)
several = st.permutations(range(1, PARTS + 1)).flatmap(
    lambda ids: st.integers(2, PARTS).map(lambda count: tuple(ids[:count]))
)


@given(seeds, several, st.booleans())
@settings(max_examples=40)
def test_merging_joins_ids_and_changes_nothing_that_is_recognised(
    seed: int, ids: tuple[int, ...], with_votes: bool
) -> None:
    before = random_scene(seed, PARTS)
    after = merged(before, ids)
    (kept,) = {*after.ids} & {*ids}
    view = (random_features(seed), torch.ones(8, 9), random_votes_in_view(seed, PARTS) if with_votes else None)
    labels, confidence = before.segment(*view)
    joined, new_confidence = after.segment(*view)
    assert torch.equal(joined, labels.where(~torch.isin(labels, torch.tensor(ids)), torch.tensor(kept).int()))
    touched = joined == kept
    torch.testing.assert_close(confidence[~touched], new_confidence[~touched])
    assert bool((new_confidence >= confidence - 1e-6).all()), "it may be any of the members"
    assert torch.equal(after.prototypes, before.prototypes)
    instance, old = after.instance(kept), [before.instance(number) for number in ids]
    assert instance.pixels == sum(each.pixels for each in old)
    assert instance.n_gaussians == sum(each.n_gaussians for each in old)
    assert kept == max(old, key=lambda each: (each.pixels, -each.id)).id


@given(seeds, several)
@settings(max_examples=30)
def test_merging_in_any_order_and_grouping_gives_the_same_instances(seed: int, ids: tuple[int, ...]) -> None:
    before = random_scene(seed, PARTS)
    at_once = merged(before, ids)
    assert same_segmentation(merged(before, sorted(ids)), at_once)
    one_by_one = before
    for number in ids[1:]:
        (so_far,) = {one_by_one.owners.get(ids[0], ids[0])}
        one_by_one = merged(one_by_one, (number, so_far))
    groups = [{*scene.members(number)} for scene in (at_once, one_by_one) for number in scene.ids]
    assert groups.count({*ids}) == 2
    assert all(groups.count({member}) == 2 for member in {*range(1, PARTS + 1)} - {*ids})
    assert_consistent(one_by_one)


def test_merging_takes_two_that_exist() -> None:
    scene = random_scene()
    for ids in ((), (3,), (3, 3)):
        with pytest.raises(ValueError, match="two"):
            merged(scene, ids)
    for ids in ((3, 99), (0, 3)):
        with pytest.raises(KeyError):
            merged(scene, ids)


def test_names_follow() -> None:
    scene = scene_of(dict(zip((1, 2, 3), torch.eye(4), strict=False)), {1: 30, 2: 20, 3: 10})
    lamp, chair = renamed(scene, 2, " lamp "), renamed(scene, 1, "chair")
    assert merged(lamp, (1, 2)).names == {1: "lamp"}, "given, though not to the one that is kept"
    assert merged(renamed(lamp, 1, "chair"), (1, 2)).names == {1: "chair"}, "that of the largest comes first"
    assert merged(renamed(lamp, 3, "cup"), (3, 2, 1)).names == {1: "lamp"}, "that of the larger comes first"
    assert merged(chair, (2, 3)).names == {1: "chair"}
    assert merged(scene, (1, 2)).names == {}
    assert absorbed(lamp, {2: 1}).names == {} and absorbed(lamp, {3: 2}).names == {2: "lamp"}
    table, new_id = split(merged(renamed(lamp, 1, "chair"), (1, 2)), 1, torch.eye(4)[:2], EMBEDDINGS[:, :4])
    assert new_id == 2 and table.names == {1: "chair"}


def test_renaming() -> None:
    scene = random_scene()
    named = renamed(scene, 2, " lamp\n")
    assert named.instance(2).name == "lamp" and scene.instance(2).name == "instance 2"
    for back in ("", "  ", "instance 2"):
        assert renamed(named, 2, back).names == {}
    assert renamed(named, 2, "lamp") is named and renamed(scene, 3, "") is scene
    with pytest.raises(KeyError):
        renamed(scene, 99, "lamp")


def test_what_is_displayed_is_limited_to_what_there_is() -> None:
    scene = scene_of(dict(zip((1, 2, 3), torch.eye(4), strict=False))).with_display(selected=(1, 3), hidden=(0, 2))
    display = merged(scene, (1, 2, 3)).display
    assert (display.selected, display.hidden) == ((3,), (0,))
    assert scene.display.selected == (1, 3), "the old scene is as it was"


def test_groups_are_merged_all_at_once_as_one_after_another() -> None:
    scene = random_scene(3, PARTS, names={1: "lamp", 2: "table", 4: "vase"})
    one_by_one = merged(merged(scene, (1, 2)), (5, 4, 3))
    assert same_segmentation(all_merged(scene, [(1, 2), (5, 4, 3)]), one_by_one)
    assert all_merged(scene, []) is scene
    with pytest.raises(ValueError, match="at least two"):
        all_merged(scene, [(1, 2), (3,)])


@given(st.lists(st.floats(0.2, 3), min_size=4, max_size=4), st.permutations(range(1, 5)))
@settings(max_examples=30)
def test_a_point_of_each_splits_what_was_merged(lengths: list[float], order: list[int]) -> None:
    before = scene_of(dict(zip((1, 2, 3, 4), torch.eye(4), strict=True)), names={3: "lamp"})
    first, second, *_ = order
    together = merged(before, (first, second))
    (kept,) = {*together.ids} & {first, second}
    directions = torch.eye(4)[[first - 1, second - 1]] + 0.2
    after, new_id = split(together, kept, directions * torch.tensor(lengths[:2])[:, None], EMBEDDINGS[:, :4])
    assert {kept, new_id} == {first, second}
    assert same_segmentation(replace(after, names={}), replace(before, names={}))


@given(seeds, st.integers(1, 20), st.booleans())
@example(387, 1, False)  # the member that gives the id goes to the side of the member that is new
@settings(max_examples=60)
def test_both_points_are_afterwards_recognised_as_the_two(seed: int, scale: int, with_votes: bool) -> None:
    """Whatever points of an instance they are, and however many members it has."""
    scene = merged(random_scene(seed, PARTS), (1, 2, 3))
    features, alpha = random_features(seed, 40, 10), torch.ones(40, 10)
    votes = random_votes_in_view(seed, PARTS, 40, 10) if with_votes else None
    labels, before_confidence = scene.segment(features, alpha, votes)
    instance = labels.flatten().mode().values.item()
    clicks = features[labels == instance][:2] * torch.tensor([[0.01], [float(scale)]])
    assume(len(clicks) == 2)
    clicked_votes = None if votes is None else votes[labels == instance][:2]
    after, new_id = split(scene, int(instance), clicks, EMBEDDINGS, clicked_votes)
    found, _ = after.segment(clicks[None], torch.ones(1, 2), None if clicked_votes is None else clicked_votes[None])
    assert {*found[0].tolist()} == {instance, new_id}
    split_labels, confidence = after.segment(features, alpha, votes)
    assert torch.equal(split_labels.where(split_labels != new_id, torch.tensor(instance).int()), labels)
    assert bool((confidence <= before_confidence + 1e-6).all())
    assert_consistent(after)
    assert_same_masks_and_gaussians_but_divided(scene, after, int(instance), new_id)


def assert_same_masks_and_gaussians_but_divided(
    before: SegmentedScene, after: SegmentedScene, instance: int, new_id: int
) -> None:
    assert {*after.ids} == {*before.ids, new_id} and new_id not in before.ids
    assert list(after.mask_instances) == list(before.mask_instances)
    embeddings = torch.zeros(60, DIM)
    maps = [(np.array(before.mask_instances[name]), np.array(after.mask_instances[name])) for name in
            before.mask_instances]  # fmt: skip
    maps.append((before.instances_of(embeddings).ids.numpy(), after.instances_of(embeddings).ids.numpy()))
    for old, new in maps:
        assert np.array_equal(np.where(new == new_id, instance, new), old)
    assert torch.equal(before.instances_of(embeddings).confidence, after.instances_of(embeddings).confidence)
    pixels = [after.instance(number).pixels for number in (instance, new_id)]
    assert sum(pixels) == before.instance(instance).pixels


def two_things_in_one(seed: int) -> tuple[SegmentedScene, Tensor]:
    """A member whose masks and Gaussians are plainly of two kinds, and the kind of each Gaussian."""
    scene = random_scene(seed, 3, views=6)
    generator = torch.Generator().manual_seed(seed)
    kind = torch.arange(len(scene.masks.member)) % 2
    features = torch.eye(DIM)[scene.masks.member.long() + 2 * kind] + 0.1 * torch.randn(
        scene.masks.features.shape, generator=generator
    )
    member = torch.where(scene.masks.member == 3, 1, scene.masks.member)
    return replace(scene, masks=replace(scene.masks, features=features, member=member)), kind


@given(seeds)
@settings(max_examples=20)
def test_a_member_of_two_kinds_of_masks_is_split_into_these(seed: int) -> None:
    scene, _ = two_things_in_one(seed)
    assert scene.gaussians is not None
    mine = scene.masks.member == 1
    side = scene.masks.features[mine].argmax(dim=1)
    kinds = side.unique()
    assume(len(kinds) >= 2)
    clicks = torch.eye(DIM)[kinds[:2]] + 0.1
    embeddings = torch.eye(DIM)[kinds[torch.arange(60) % 2]]
    assume(scene.recognise(clicks, torch.ones(2))[0].tolist() == [1, 1])  # else nobody could have clicked there
    after, new_id = split(scene, 1, clicks, embeddings)
    of_mask = after.cut_masks.member[mine]
    for kind, number in ((kinds[0], 1), (kinds[1], new_id)):
        assert bool((of_mask[side == kind] == number).all())
    assert after.gaussians is not None
    owned = scene.gaussians.ids == 1
    expected = torch.where(torch.arange(60) % 2 == 0, 1, new_id)
    assert torch.equal(after.gaussians.ids[owned], expected[owned].int())
    assert torch.equal(after.gaussians.ids[~owned], scene.gaussians.ids[~owned])


def test_split_and_merged_again_looks_as_before_to_everybody_but_the_new_prototype() -> None:
    scene = random_scene(3, PARTS)
    pair = scene.masks.features[scene.masks.member == 2][:2]
    after, new_id = split(scene, 2, pair, EMBEDDINGS)
    again = merged(after, (2, new_id))
    (kept,) = {*again.ids} & {2, new_id}
    back = {name: [2 if number == kept else number for number in ids] for name, ids in again.mask_instances.items()}
    assert back == scene.mask_instances
    assert again.instance(kept).pixels == scene.instance(2).pixels


def test_points_that_cannot_be_told_apart_are_refused() -> None:
    scene = random_scene()
    one = scene.prototypes[1]
    for second in (one, 7 * one, one + 1e-4 * one.norm() * torch.eye(DIM)[0]):
        with pytest.raises(ValueError, match="the same"):
            split(scene, 2, torch.stack([one, second]), EMBEDDINGS)
    for nothing in (torch.zeros(DIM), torch.full((DIM,), torch.nan), scene.prototypes[2]):
        with pytest.raises(ValueError, match="something else"):
            split(scene, 2, torch.stack([one, nothing]), EMBEDDINGS)
    with pytest.raises(KeyError):
        split(scene, 99, torch.eye(DIM)[:2], EMBEDDINGS)


def test_other_gaussians_than_were_decided_are_left_alone_by_a_split() -> None:
    scene = random_scene()
    pair = scene.masks.features[scene.masks.member == 2][:2]
    for known in (scene, replace(scene, gaussians=None)):
        after, _ = split(known, 2, pair, EMBEDDINGS[:50])
        assert after.gaussians is known.gaussians
