"""What a segmenter with habits gets wrong, it gets wrong alike in all views."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.cameras import View, lens_of, walk
from proto_saga_ns.evaluation.standins.habits import Habits, find_supports, form_habits
from proto_saga_ns.evaluation.standins.kinds import make_world
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.render import Picture, Renderer
from proto_saga_ns.evaluation.standins.segmenter import segment
from proto_saga_ns.evaluation.standins.world import World

SEED = 4
LENS = lens_of(160, 120)
OPTIONS = StandinOptions(seed=SEED)
SEAMS = replace(PRESETS["perfect"], seams=1.0)
SUPPORTS = replace(PRESETS["perfect"], supports=1.0)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(OPTIONS)[0]


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(make_world(OPTIONS)[1], 16, 0)


@pytest.fixture(scope="module")
def pictures(world: World, views: list[View]) -> list[Picture]:
    renderer = Renderer(world, samples=1)
    return [renderer.render(LENS, view.pose) for view in views]


def labels_of(world: World, habits: Habits, picture: Picture, name: str) -> np.ndarray:
    return segment(habits.objects(world, picture), picture.parts, PRESETS["perfect"], SEED, name).labels


def is_inner(labels: np.ndarray) -> np.ndarray:
    """Pixels with no other label beside them."""
    return maximum_filter(labels, 3) == minimum_filter(labels, 3)


def seen_from(picture: Picture, points: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which points another view shows, and their rows and columns there."""
    x, y, back = ((points - view.pose[:3, 3]) @ view.pose[:3, :3]).T
    depth = np.where(back < -0.1, -back, np.inf)
    columns, rows = LENS.focal * x / depth + LENS.width / 2, LENS.height / 2 - LENS.focal * y / depth
    inside = np.flatnonzero((columns >= 0) & (columns < LENS.width) & (rows >= 0) & (rows < LENS.height))
    rows, columns = rows[inside].astype(int), columns[inside].astype(int)
    near = np.abs(picture.depth[rows, columns] - depth[inside]) < 0.01 * depth[inside]
    return inside[near], rows[near], columns[near]


def test_a_mask_of_one_view_lies_in_one_mask_of_another(
    world: World, views: list[View], pictures: list[Picture]
) -> None:
    habits = form_habits(world, SEAMS, SEED)
    labels = [labels_of(world, habits, picture, str(index)) for index, picture in enumerate(pictures)]
    compared, split = 0, 0
    for a, b in ((0, 1), (1, 2), (2, 4), (5, 6), (0, 8), (3, 11), (7, 15)):
        points = pictures[a].points.reshape(-1, 3)
        shown, rows, columns = seen_from(pictures[b], points, views[b])
        # A pixel on a seam shows both sides.
        same = pictures[a].instances.ravel()[shown] == pictures[b].instances[rows, columns]
        same &= is_inner(labels[a]).ravel()[shown] & is_inner(labels[b])[rows, columns]
        first, second = labels[a].ravel()[shown][same], labels[b][rows, columns][same]
        owner = pictures[b].instances[rows, columns][same]
        pieces = defaultdict(set)
        for mask in np.unique(first):
            others = np.bincount(second[first == mask])
            if others.sum() >= 20:
                assert others.max() > 0.98 * others.sum()
                compared += 1
                pieces[owner[first == mask][0]].add(int(others.argmax()))
        split += sum(len(found) > 1 for found in pieces.values())
    assert compared > 60 and split > 10


def test_a_share_of_the_objects_has_a_seam_and_both_sides_are_worth_the_name(world: World) -> None:
    for share in (0.0, 0.3, 1.0):
        habits = form_habits(world, replace(SEAMS, seams=share), SEED)
        with_seam = habits.planes.any(-1)
        with_seam[world.instance_of_part[habits.piece_of_part > 0]] = True
        expected = share * world.num_instances
        assert abs(with_seam.sum() - expected) <= 3 * np.sqrt(share * (1 - share) * world.num_instances)
    planes = form_habits(world, replace(SEAMS, along_parts=0.0), SEED).planes
    for instance, placed in enumerate(world.objects, start=1):
        corners = np.concatenate([part.mesh.vertices for part in placed.thing.parts])
        side = corners @ planes[instance, :3] > planes[instance, 3]
        assert side.any() and not side.all()


def test_things_rest_on_what_is_below_them(world: World) -> None:
    supports = find_supports(world)
    below = {world.names[i].split(" #")[0]: world.names[found[0]].split(" #")[0] for i, found in supports.items()}
    assert below["cup"] == "table" and below["pillow"] == "sofa" and below.get("rug", "floor") == "floor"
    # What stands on the floor stands out from it, and what hangs lies on nothing.
    assert {"chair", "table", "sofa", "bookcase", "door"}.isdisjoint(below)


def test_a_pair_is_merged_in_every_view_that_shows_it(world: World, pictures: list[Picture]) -> None:
    habits, supports = form_habits(world, SUPPORTS, SEED), find_supports(world)
    assert len(supports) >= 5
    together = 0
    for index, picture in enumerate(pictures):
        labels = labels_of(world, habits, picture, str(index))
        of_instance = {i: set(labels[picture.instances == i].tolist()) for i in np.unique(picture.instances)}
        # Every instance is in one mask, and in the same as another only when it lies on it.
        assert all(len(found) == 1 for found in of_instance.values())
        for i, (below, _, _) in supports.items():
            if i in of_instance and below in of_instance:
                assert of_instance[i] == of_instance[below]
                together += 1
        alone = [of_instance[i].copy().pop() for i in of_instance if i not in supports]
        assert len(set(alone)) == len(alone)
    assert together > 30


def test_half_of_the_pairs_are_pairs_of_all(world: World) -> None:
    """A larger share adds pairs, and seams of one object do not depend on those of another."""
    few, many = (form_habits(world, replace(SUPPORTS, supports=share), SEED).taken for share in (0.5, 1.0))
    alone = form_habits(world, PRESETS["perfect"], SEED).taken
    joined_few, joined_many = ((taken != alone).any(-1) for taken in (few, many))
    assert 0 < joined_few.sum() < joined_many.sum() and (joined_many | ~joined_few).all()
    smaller = replace(world, objects=world.objects[:10])
    np.testing.assert_array_equal(form_habits(smaller, SEAMS, SEED).planes, form_habits(world, SEAMS, SEED).planes[:11])


def test_without_habits_the_truth_is_what_is_found(world: World, pictures: list[Picture]) -> None:
    found = form_habits(world, PRESETS["default"], SEED).objects(world, pictures[0])
    pairs = set(zip(found.ravel().tolist(), pictures[0].instances.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(found)) == len(np.unique(pictures[0].instances))


@pytest.mark.parametrize("change", [{"seams": 1.5}, {"supports": -0.1}])
def test_shares_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ProtoSagaError, match="--rates"):
        replace(PRESETS["perfect"], **change).check()
