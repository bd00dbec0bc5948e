"""Rendering and the walk: exact against a slow reference, and the same surface in all views."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.cameras import RoomPath, View, lens_of, look_at, walk
from proto_saga_ns.evaluation.standins.render import Picture, Renderer, pixel_rays
from proto_saga_ns.evaluation.standins.room import NUM_SHELL, make_room
from proto_saga_ns.evaluation.standins.world import World

SEED = 1
LENS = lens_of(80, 60)


@pytest.fixture(scope="module")
def room() -> World:
    return make_room(SEED)


@pytest.fixture(scope="module")
def views(room: World) -> list[View]:
    return walk(RoomPath(SEED, room.size), 20, 4)


@pytest.fixture(scope="module")
def pictures(room: World, views: list[View]) -> list[Picture]:
    renderer = Renderer(room, samples=1)
    return [renderer.render(LENS, view.pose) for view in views]


def test_ids_and_depth_equal_those_of_a_slow_reference(room: World, views: list[View]) -> None:
    lens = lens_of(10, 8)
    picture = Renderer(room, samples=1).render(lens, views[3].pose)
    faces, depth = slow_hits(room, views[3].pose[:3, 3], pixel_rays(lens, views[3].pose, 0.5, 0.5))
    np.testing.assert_allclose(picture.depth.ravel(), depth, atol=1e-5)
    np.testing.assert_array_equal(picture.parts.ravel(), room.part_of_face[faces])


def slow_hits(room: World, origin: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest triangle of each ray and its distance, by solving for every pair."""
    first, second, third = np.moveaxis(room.triangles, 1, 0)
    nearest = []
    for direction in directions:
        u, v = second - first, third - first
        normal = np.cross(u, v)
        along = normal @ direction
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (normal * (first - origin)).sum(-1) / along
            at = origin + distance[:, None] * direction - first
            b = (np.cross(at, v) * normal).sum(-1) / (normal**2).sum(-1)
            c = (np.cross(u, at) * normal).sum(-1) / (normal**2).sum(-1)
            hit = (b >= 0) & (c >= 0) & (b + c <= 1) & (distance > 0)
        nearest.append(np.where(hit, distance, np.inf))
    table = np.array(nearest)
    return table.argmin(-1), table.min(-1)


def test_every_ray_meets_a_surface_and_no_camera_is_inside_of_one(pictures: list[Picture]) -> None:
    for picture in pictures:
        assert (picture.instances > 0).all() and picture.depth.min() > 0.2


def test_the_instance_is_that_of_the_part(room: World, pictures: list[Picture]) -> None:
    for picture in pictures:
        np.testing.assert_array_equal(room.instance_of_part[picture.parts], picture.instances)


def test_points_lie_at_their_depth(views: list[View], pictures: list[Picture]) -> None:
    for view, picture in zip(views, pictures, strict=True):
        x, y, depth = project(picture.points.reshape(-1, 3), view.pose)
        np.testing.assert_allclose(depth, picture.depth.ravel(), atol=1e-9)
        columns, rows = np.meshgrid(np.arange(LENS.width) + 0.5, np.arange(LENS.height) + 0.5)
        np.testing.assert_allclose([x, y], [columns.ravel(), rows.ravel()], atol=1e-6)


def project(points: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel position and depth of world points."""
    x, y, back = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    return LENS.focal * x / -back + LENS.width / 2, LENS.height / 2 - LENS.focal * y / -back, -back


def test_a_surface_point_has_the_same_id_in_every_view_that_shows_it(
    views: list[View], pictures: list[Picture]
) -> None:
    shared, equal = 0, 0
    for i, j in ((0, 1), (2, 5), (4, 14), (7, 8), (10, 20), (3, 17)):
        x, y, depth = project(pictures[i].points.reshape(-1, 3), views[j].pose)
        inside = (depth > 0.1) & (x >= 0) & (x < LENS.width) & (y >= 0) & (y < LENS.height)
        rows, columns = y[inside].astype(int), x[inside].astype(int)
        other = pictures[j]
        is_inner = maximum_filter(other.parts, 3) == minimum_filter(other.parts, 3)
        # A pixel of a slanted surface spans depths, so the margin grows with distance.
        seen = np.abs(other.depth[rows, columns] - depth[inside]) < 0.01 * depth[inside]
        seen &= is_inner[rows, columns]
        shared += seen.sum()
        equal += (pictures[i].parts.ravel()[inside] == other.parts[rows, columns])[seen].sum()
    assert shared > 3000 and equal > 0.99 * shared


def test_colours_are_those_of_the_surface_in_every_view(room: World) -> None:
    """Textures and shadows do not move with the camera: two cameras see the same colour in one point."""
    renderer, target = Renderer(room, samples=1), np.array([0.4, 0.3, room.size[2]])
    lens = lens_of(33, 25, 2.0)
    middles = []
    for x in (-0.8, 0.9):
        pose = look_at(np.array([x, 1.0, 1.6]), target)
        middles.append(renderer.render(lens, pose).rgb[12, 16].astype(int))
    assert np.abs(middles[0] - middles[1]).max() <= 2


def test_every_instance_is_seen_in_several_training_views(
    room: World, views: list[View], pictures: list[Picture]
) -> None:
    training = [picture for view, picture in zip(views, pictures, strict=True) if not view.is_test]
    seen = sum(np.bincount(p.instances.ravel(), minlength=room.num_instances + 1) > 0 for p in training)
    assert (seen[1:] >= 3).all()


def test_some_objects_are_small_and_some_are_half_hidden(
    room: World, views: list[View], pictures: list[Picture]
) -> None:
    small_pixels = 100 * LENS.width * LENS.height / (256 * 192)
    sizes = [np.bincount(p.instances.ravel(), minlength=room.num_instances + 1)[1:] for p in pictures]
    share = np.mean([np.mean(size[size > 0] < small_pixels) for size in sizes])
    assert share > 0.05
    # Much of some chair is seen only when everything else is taken out of the room.
    chairs = [i for i, name in room.names.items() if name.startswith("chair")]
    assert any(0 < sizes[k][i - 1] < 0.5 * alone(room, views[k], i) for k in range(len(views)) for i in chairs)


def alone(room: World, view: View, instance: int) -> int:
    """Pixels of an instance in an empty room."""
    empty = replace(room, objects=(*room.objects[:NUM_SHELL], room.objects[instance - 1]))
    return int((Renderer(empty, samples=1).render(LENS, view.pose).instances == NUM_SHELL + 1).sum())


def test_without_embree_the_error_says_what_to_install(room: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(ProtoSagaError, match="pip install embreex"):
        Renderer(room)


def test_poses_are_upright_rotations(views: list[View]) -> None:
    for view in views:
        rotation = view.pose[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0 and rotation[2, 0] == pytest.approx(0) and rotation[2, 1] > 0


@pytest.mark.parametrize(("views", "test_views"), [(60, 12), (7, 7), (5, 0), (1, 1)])
def test_test_views_lie_between_training_views(views: int, test_views: int) -> None:
    way = walk(RoomPath(0, (5.0, 5.0, 2.6)), views, test_views)
    assert [view.is_test for view in way].count(True) == test_views and len(way) == views + test_views
    frames = [view.frame for view in way]
    assert frames == sorted(set(frames))
    assert all(view.frame % 5 == (2 if view.is_test else 0) for view in way)


def test_the_walk_is_a_video() -> None:
    """Neighbouring frames are much closer to each other than views of the room are on the whole."""
    places = np.array([view.pose[:3, 3] for view in walk(RoomPath(4, (5.6, 5.0, 2.6)), 60, 12)])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=-1)
    assert steps.max() < 0.2 * np.linalg.norm(places[:, None] - places[None], axis=-1).max()


@pytest.mark.parametrize("numbers", [(0, 0), (3, 4), (3, -1)])
def test_impossible_numbers_of_views_are_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="test views"):
        walk(RoomPath(0, (5.0, 5.0, 2.6)), *numbers)
