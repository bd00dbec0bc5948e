"""Levels of a scene: nested in each other, the middle one the objects themselves, and no correction."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.recognition.granularity import NAMED, OBJECTS, granularity_of
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.corrections import merged
from proto_saga_ns.scene.editor import Editor
from proto_saga_ns.scene.shown import (
    at_granularity,
    count_shown,
    group_heads,
    group_of,
    joined_as_shown,
    levels_of,
    part_channels,
    shown_ids,
)
from tests.scene.scenes import GAUSSIANS, corrected, only_merges, random_features, random_scene, scene_with_levels

SEEDS = st.integers(0, 10**6)
GRANULARITIES = st.floats(0, 1) | st.sampled_from([0.0, OBJECTS, 1.0])


def shown_in_view(scene: SegmentedScene, seed: int) -> tuple[Tensor, Tensor]:
    """The labels of a view at the scene's level, and those of its objects; every Gaussian is a pixel."""
    features = random_features(seed, 8, 9)
    assert features.shape[0] * features.shape[1] == GAUSSIANS
    known = scene.votes_of(GAUSSIANS)
    assert known is not None
    votes = known.dense()
    members, _ = scene.recognise(features, torch.ones(8, 9), votes.view(8, 9, -1))
    channels = part_channels(scene, GAUSSIANS)
    parts = None if channels is None else channels.dense().view(8, 9, -1)
    return shown_ids(scene, members, parts), scene.owners_of(members)


@settings(max_examples=60)
@given(SEEDS, st.tuples(GRANULARITIES, GRANULARITIES), st.booleans())
def test_a_coarser_map_only_merges(seed: int, granularities: tuple[float, float], with_corrections: bool) -> None:
    scene = scene_with_levels(seed)
    if with_corrections:
        scene = corrected(scene, seed)
    coarse, fine = (at_granularity(scene, value) for value in sorted(granularities))
    (coarser, objects), (finer, _) = shown_in_view(coarse, seed), shown_in_view(fine, seed)
    assert only_merges(finer, coarser)
    assert count_shown(coarse) <= count_shown(fine)
    assert ((coarser == 0) == (objects == 0)).all()
    assert len(finer.unique()) <= count_shown(fine) + 1


@settings(max_examples=30)
@given(SEEDS, st.booleans())
def test_the_middle_is_the_objects_themselves(seed: int, with_corrections: bool) -> None:
    scene = scene_with_levels(seed)
    if with_corrections:
        scene = corrected(scene, seed)
    assert part_channels(scene, GAUSSIANS) is None
    labels, objects = shown_in_view(scene, seed)
    assert (labels == objects).all() and count_shown(scene) == len(scene.ids)
    assert at_granularity(scene, OBJECTS) is scene


@settings(max_examples=30)
@given(SEEDS)
def test_the_ends_are_all_parts_and_all_groups(seed: int) -> None:
    scene = scene_with_levels(seed)
    levels = levels_of(scene)
    assert count_shown(at_granularity(scene, 1.0)) == len(scene.ids) + len(levels.parts.ids)
    seen = int((levels.groups.share > 0).sum())
    assert count_shown(at_granularity(scene, 0.0)) == len(scene.ids) - seen


@settings(max_examples=30)
@given(SEEDS, GRANULARITIES)
def test_a_group_is_called_by_its_largest_instance(seed: int, granularity: float) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    heads = group_heads(scene)
    for number in scene.ids:
        group = group_of(scene, [number])
        assert number in group and all(group_of(scene, [other]) == group for other in group)
        assert scene.instance(heads[number]).pixels == max(scene.instance(other).pixels for other in group)


@settings(max_examples=40)
@given(SEEDS, GRANULARITIES, st.booleans())
def test_joined_as_shown_the_objects_are_the_groups(seed: int, granularity: float, with_corrections: bool) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    if with_corrections:
        scene = corrected(scene, seed)
    joined = joined_as_shown(scene)
    assert joined_as_shown(joined) is joined
    if granularity >= OBJECTS:
        assert joined is scene
        return
    assert {*joined.ids} == {*group_heads(scene).values()}
    (shown, objects), (again, made) = shown_in_view(scene, seed), shown_in_view(joined, seed)
    assert torch.equal(made, shown) and torch.equal(again, shown) and only_merges(objects, made)


def test_parts_of_other_gaussians_are_refused_where_they_are_asked_for() -> None:
    scene = scene_with_levels(0)
    with pytest.raises(ProtoSagaError, match=r"of 72 Gaussians.*now there are 73.*associate"):
        at_granularity(scene, 0.6, GAUSSIANS + 1)
    assert at_granularity(scene, 0.6, GAUSSIANS).display.granularity == 0.6
    assert at_granularity(scene, 0.4, GAUSSIANS + 1).display.granularity == 0.4
    assert at_granularity(scene, OBJECTS, GAUSSIANS + 1) is scene


def test_what_a_person_cut_is_not_taken_apart_further() -> None:
    found = 0
    for seed in range(20):
        scene = corrected(scene_with_levels(seed), seed)
        levels = levels_of(scene)
        for cut in scene.cuts:
            fine = at_granularity(scene, 1.0)
            assert cut.new_member > levels.largest_id
            found += cut.member in levels.parts.into.tolist()
            channels = part_channels(fine, GAUSSIANS)
            if channels is not None:
                assert not channels.dense()[levels.part_of_gaussian == cut.member].any()
    assert found


def test_looking_is_no_correction_and_undoing_keeps_it() -> None:
    scene = scene_with_levels(3)
    editor = Editor(scene)
    editor.show(granularity=0.2)
    assert not editor.can_undo and editor.unsaved == 0 and editor.display_changed
    editor.correct(lambda scene: merged(scene, scene.ids[:2]))
    editor.undo()
    assert editor.scene.display.granularity == 0.2 and editor.scene.ids == scene.ids


def test_however_many_parts_there_are_a_gaussian_has_one_channel() -> None:
    for seed in range(5):
        channels = part_channels(at_granularity(scene_with_levels(seed), 1.0), GAUSSIANS)
        assert channels is not None and channels.count > 1
        assert channels.labels.shape == channels.values.shape == (GAUSSIANS, 1)


def test_other_gaussians_have_no_parts() -> None:
    scene = at_granularity(scene_with_levels(0), 1.0)
    assert part_channels(scene, GAUSSIANS) is not None
    assert part_channels(scene, GAUSSIANS + 1) is None


def test_a_scene_without_levels_shows_objects_only() -> None:
    scene = random_scene()
    assert at_granularity(scene, OBJECTS) is scene
    for granularity in (0.0, 0.49, 1.0):
        with pytest.raises(ProtoSagaError, match=r"no parts and groups.*consensus"):
            at_granularity(scene, granularity)
    looked = replace(scene, display=replace(scene.display, granularity=0.1))
    assert count_shown(looked) == len(scene.ids) and part_channels(looked, 60) is None


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_granularities_by_name_and_by_number(wrong: float) -> None:
    assert NAMED["group"] < granularity_of("object") == OBJECTS < granularity_of("part") == 1.0
    assert granularity_of(0.3) == 0.3
    with pytest.raises(ProtoSagaError, match="group, object, part"):
        granularity_of(wrong)
