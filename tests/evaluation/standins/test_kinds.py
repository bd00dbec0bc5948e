"""A house, a place outdoors, shelves: as many instances as asked for, each seen, look-alikes apart, a free way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.cameras import View, lens_of, walk
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.options import PRESETS, Kind, StandinOptions
from proto_saga_ns.evaluation.standins.render import Picture, Renderer
from proto_saga_ns.evaluation.standins.things import Placed
from proto_saga_ns.evaluation.standins.world import World
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.labels import read_label_map

Scene = tuple[World, list[View], list[Picture]]
HOUSE = StandinOptions(seed=1, kind="house", rooms=3, views=45, test_views=0, width=128, height=96, samples=1)
OPTIONS: dict[Kind, StandinOptions] = {
    "house": HOUSE,
    "outdoor": replace(HOUSE, kind="outdoor", rooms=None, views=16),
    "shelves": replace(HOUSE, kind="shelves", rooms=None, views=20, width=256, height=192),
}


@pytest.fixture(scope="module")
def scenes() -> dict[Kind, Scene]:
    return {kind: scene_of(options) for kind, options in OPTIONS.items()}


def scene_of(options: StandinOptions) -> Scene:
    world, path = make_world(options)
    views = walk(path, options.views, options.test_views)
    renderer, lens = Renderer(world, options.samples), lens_of(options.width, options.height)
    return world, views, [renderer.render(lens, view.pose) for view in views]


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_seed_is_a_scene_with_as_many_instances_as_asked_for(kind: Kind, scenes: dict[Kind, Scene]) -> None:
    world, views, _ = scenes[kind]
    again, path = make_world(OPTIONS[kind])
    np.testing.assert_array_equal(again.triangles, world.triangles)
    np.testing.assert_array_equal([view.pose for view in walk(path, len(views), 0)], [view.pose for view in views])
    assert world.num_instances == OPTIONS[kind].object_count == len(set(world.names.values()))
    other, _ = make_world(replace(OPTIONS[kind], seed=2))
    assert other.triangles.tobytes() != world.triangles.tobytes()


@pytest.mark.parametrize("kind", OPTIONS)
def test_every_instance_is_seen_in_three_views(kind: Kind, scenes: dict[Kind, Scene]) -> None:
    world, _, pictures = scenes[kind]
    seen = sum(np.bincount(p.instances.ravel(), minlength=world.num_instances + 1) > 0 for p in pictures)
    assert [name for i, name in world.names.items() if seen[i] < 3] == []


@pytest.mark.parametrize("kind", OPTIONS)
def test_no_camera_is_inside_of_anything(kind: Kind, scenes: dict[Kind, Scene]) -> None:
    for picture in scenes[kind][2]:
        assert picture.depth[picture.instances > 0].min() > 0.15


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_walk_is_a_video(kind: Kind, scenes: dict[Kind, Scene]) -> None:
    places = np.array([view.pose[:3, 3] for view in scenes[kind][1]])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    assert steps.max() < 2.5 * np.median(steps)


def look_alikes(world: World) -> list[list[Placed]]:
    """Objects of one shape and paint."""
    found: dict[int, list[Placed]] = defaultdict(list)
    for placed in world.objects[world.num_shell :]:
        found[id(placed.thing)].append(placed)
    return [group for group in found.values() if len(group) > 1]


def test_look_alikes_stand_in_different_rooms_of_a_house(scenes: dict[Kind, Scene]) -> None:
    world = scenes["house"][0]
    lamps = np.array(world.light.lamps)
    rooms = [world.light.nearest(np.array([placed.position for placed in group])) for group in look_alikes(world)]
    assert len(lamps) == 3 and sum(len(set(room.tolist())) > 1 for room in rooms) >= 5
    # Floor, ceiling and walls of each room.
    assert world.num_shell == 18


def test_the_rooms_of_a_house_are_joined_by_doors_and_no_light_comes_from_outside(scenes: dict[Kind, Scene]) -> None:
    world, views, pictures = scenes["house"]
    assert [name.split(" #")[0] for name in world.names.values()].count("door") == 2
    assert all((picture.instances > 0).all() for picture in pictures)
    rooms = world.light.nearest(np.array([view.pose[:3, 3] for view in views]))
    assert sorted(set(rooms.tolist())) == [0, 1, 2] and (np.diff(rooms) >= 0).all()
    # Through a door one sees things of another room.
    of_object = world.light.nearest(np.array([placed.position for placed in world.objects]))
    ids = [np.unique(picture.instances) for picture in pictures]
    shared = [(of_object[i[i > world.num_shell] - 1] != room).any() for i, room in zip(ids, rooms, strict=True)]
    assert sum(shared) > 3


@pytest.mark.parametrize(("rooms", "objects"), [(1, 50), (1, 20), (9, 400), (4, 200)])
def test_a_house_holds_what_its_rooms_have_places_for(rooms: int, objects: int) -> None:
    for seed in range(3):
        options = replace(HOUSE, seed=seed, rooms=rooms, objects=objects)
        options.check()
        world, _ = make_world(options)
        assert world.num_instances == objects and len(world.light.lamps) == rooms


def test_outdoor_the_sky_is_nothing_and_hills_are_far(scenes: dict[Kind, Scene]) -> None:
    world, _, pictures = scenes["outdoor"]
    for picture in pictures:
        sky = picture.instances == 0
        assert 0.03 < sky.mean() < 0.7 and (picture.depth[sky] == 0).all() and picture.rgb[sky].mean() > 120
        hills = picture.depth[picture.instances == 2]
        assert len(hills) == 0 or hills.min() > 30
    assert list(world.names.values())[:2] == ["ground", "hills"]


def test_shelves_show_over_150_instances_at_once_and_have_ids_past_255(
    scenes: dict[Kind, Scene], tmp_path: Path
) -> None:
    world, _, pictures = scenes["shelves"]
    counts = [len(np.unique(picture.instances)) for picture in pictures]
    assert max(counts) > 150 and world.num_instances > 255
    # Neighbours of one kind touch.
    near = [np.abs(np.diff([p.position[0] for p in group])) - group[0].thing.size[0] for group in look_alikes(world)]
    assert np.median(np.concatenate(near)) < 0.003
    options = replace(OPTIONS["shelves"], views=2)
    write_standin(tmp_path / "shop", options, PRESETS["default"], "default")
    assert max(read_label_map(path).max() for path in (tmp_path / "shop" / "instances").iterdir()) > 255


def test_the_sky_has_a_mask_and_no_points(tmp_path: Path) -> None:
    options = replace(OPTIONS["outdoor"], views=3, points=300, depth=True)
    write_standin(tmp_path / "place", options, PRESETS["perfect"], "perfect")
    for path in (tmp_path / "place" / "instances").iterdir():
        sky = read_label_map(path) == 0
        masks = read_label_map(tmp_path / "place" / "masks" / path.name)
        assert len(np.unique(masks[sky])) == 1 and masks[sky].min() > 0
        assert not np.isin(masks[~sky], masks[sky]).any()


@pytest.mark.parametrize("layout", ["replica", "lerf-mask", "davis"])
def test_other_kinds_have_every_layout(layout, tmp_path: Path) -> None:
    options = replace(HOUSE, layout=layout, rooms=1, views=2, test_views=1, width=24, height=18, points=20)
    assert write_standin(tmp_path / "scene", options, PRESETS["correlated"], "correlated")


@pytest.mark.parametrize(
    "change",
    [
        {"rooms": 2},
        {"objects": 100},
        {"kind": "house", "rooms": 0},
        {"kind": "house", "rooms": 2, "objects": 101},
        {"kind": "outdoor", "objects": 3},
        {"kind": "outdoor", "rooms": 2},
        {"kind": "shelves", "layout": "davis"},
        {"pose_noise": -0.1},
        {"pose_noise": 0.2, "layout": "davis"},
        {"blurred_share": 1.2},
    ],
)
def test_options_that_do_not_fit_the_kind_are_refused(change: dict) -> None:
    with pytest.raises(ProtoSagaError, match="--"):
        replace(StandinOptions(), **change).check()
