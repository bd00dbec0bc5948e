"""What is said of groups and parts: one entry for each id that is shown, and nothing new at the level of objects."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.recognition.levels import Joins, Levels
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.corrections import merged, renamed
from proto_saga_ns.scene.shown import (
    at_granularity,
    count_shown,
    group_heads,
    shown_gaussians,
    shown_instances,
    table_at_level,
)
from tests.scene.scenes import scene_with_levels

SEEDS = st.integers(0, 10**6)


def of_gaussians(scene: SegmentedScene) -> Tensor:
    """What the scene's own Gaussians are shown as."""
    assert scene.gaussians is not None
    return shown_gaussians(scene, scene.gaussians.ids)


@settings(max_examples=60)
@given(SEEDS, st.floats(0, 1) | st.sampled_from([0.0, OBJECTS, 1.0]), st.booleans())
def test_every_shown_id_is_one_thing(seed: int, granularity: float, with_merge: bool) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    scene = merged(scene, scene.ids[:2]) if with_merge else scene
    things = shown_instances(scene, of_gaussians(scene))
    ids = [thing.id for thing in things]
    assert sorted({*ids}) == ids and len(ids) == count_shown(scene)
    assert len({thing.name for thing in things}) == len(ids)
    shown = of_gaussians(scene)
    assert {*shown.unique().tolist()} <= {0, *ids}
    assert [thing.n_gaussians for thing in things] == [int((shown == number).sum()) for number in ids]


@settings(max_examples=40)
@given(SEEDS, st.floats(0, 1))
def test_things_name_their_objects(seed: int, granularity: float) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    heads, things = group_heads(scene), shown_instances(scene, of_gaussians(scene))
    assert {number for thing in things for number in thing.objects} == {*scene.ids}
    for thing in things:
        if granularity < OBJECTS:
            assert thing.objects == tuple(number for number in scene.ids if heads[number] == thing.id)
            assert thing.pixels == sum(scene.instance(number).pixels for number in thing.objects)
        else:
            (number,) = thing.objects
            assert (thing.pixels is None) == (sum(number in other.objects for other in things) > 1)
            assert thing.name.startswith(scene.instance(number).name)


def test_names_of_groups_and_parts() -> None:
    scene = scene_with_levels(0)
    assert scene.levels is not None
    joins = Joins.of([(6, 3, 0.9), (7, 3, 0.6)]), Joins.of([(2, 1, 0.3)])
    scene = replace(scene, levels=Levels(*joins, scene.levels.part_of_gaussian, theta=0.5))
    scene = renamed(renamed(scene, 3, "red chair"), min((1, 2), key=lambda n: scene.instance(n).pixels), "desk")

    def names(granularity: float) -> dict[int, str]:
        looked = at_granularity(scene, granularity)
        return {thing.id: thing.name for thing in shown_instances(looked, of_gaussians(looked))}

    head = max((1, 2), key=lambda n: scene.instance(n).pixels)
    assert names(0.0) == {head: "desk", 3: "red chair", 4: "instance 4", 5: "instance 5"}
    parts = {number: name for number, name in names(1.0).items() if number in (3, 6, 7)}
    assert parts == {3: "red chair part 1", 6: "red chair part 2", 7: "red chair part 3"}
    parts = {number: name for number, name in names(0.7).items() if number in (3, 6, 7)}
    assert parts == {3: "red chair part 1", 7: "red chair part 2"}, "6 has joined 3, and the name counts what is left"


def test_the_table_of_the_objects_is_the_one_that_it_was() -> None:
    scene = scene_with_levels(1)
    assert table_at_level(scene, of_gaussians(scene)) == scene.to_json()
    for granularity, level in ((0.1, "groups"), (0.9, "parts")):
        looked = at_granularity(scene, granularity)
        table = json.loads(json.dumps(table_at_level(looked, of_gaussians(looked))))
        assert (table["level"], table["granularity"]) == (level, granularity)
        assert {*table} == {*scene.to_json(), "level", "granularity"}
        assert {*table["instances"][0]} == {*scene.to_json()["instances"][0], "objects"}
