"""Circles around objects: what they look at, from where, and that the object is in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.export.videos.turntable import (
    FAINT,
    FILL,
    SIGMAS,
    STRETCH,
    PinholeLens,
    convex_corners,
    ends_of_gaussians,
    framing_distance,
    middle,
    object_core,
    orbit_poses,
    orbit_rotations,
    weighted_quantile,
)

counts, elevations = st.integers(1, 40), st.floats(-90, 90)
seeds = st.integers(0, 2**32 - 1)


def project(points: np.ndarray, pose: np.ndarray, lens: PinholeLens) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depths by the pinhole model, point by point."""
    local = (points - pose[:, 3]) @ pose[:, :3]
    depth = -local[:, 2]
    x = lens.width / 2 + lens.focal * local[:, 0] / depth
    y = lens.height / 2 - lens.focal * local[:, 1] / depth
    return np.stack([x, y], -1), depth


@given(counts, elevations, st.floats(0.1, 100), seeds)
def test_every_pose_looks_at_the_centre_from_the_same_distance_with_up_up(
    count: int, elevation: float, distance: float, seed: int
) -> None:
    center = np.random.default_rng(seed).normal(size=3)
    rotations = orbit_rotations(count, elevation)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (count, 3, 3)),
                               atol=1e-12)  # fmt: skip
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    for pose in orbit_poses(rotations, center, distance):
        right, up, back, place = pose.T
        np.testing.assert_allclose(place - distance * back, center, atol=1e-9)
        assert right[2] == 0 and up[2] >= -1e-12
        assert (place - center)[2] == pytest.approx(distance * np.sin(np.deg2rad(elevation)), abs=1e-9)


@given(counts, elevations)
def test_one_more_step_closes_the_circle(count: int, elevation: float) -> None:
    rotations = orbit_rotations(count, elevation)
    angle = 2 * np.pi / count
    step = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    np.testing.assert_allclose(step @ rotations, np.roll(rotations, -1, axis=0), atol=1e-12)


@given(seeds, counts, st.floats(-80, 80), st.floats(10, 100), st.integers(16, 500), st.integers(16, 500))
def test_the_framed_points_fill_the_picture_and_are_inside(
    seed: int, count: int, elevation: float, fov: float, width: int, height: int
) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(50, 3)) * rng.uniform(0.1, 3, 3) + rng.normal(size=3)
    lens, center = PinholeLens.from_fov(width, height, fov), middle(points)
    rotations = orbit_rotations(count, elevation)
    distance = framing_distance(points, center, rotations, lens)
    half = np.array([width, height]) / 2
    reach = []
    for pose in orbit_poses(rotations, center, distance):
        pixels, depth = project(points, pose, lens)
        assert (depth > 0).all()
        reach.append((np.abs(pixels - half) / half).max())
    assert max(reach) == pytest.approx(FILL, rel=1e-6)


def test_the_field_of_view_is_from_top_to_bottom() -> None:
    lens = PinholeLens.from_fov(300, 200, 90)
    pixels, _ = project(np.array([[0.0, 1.0, -1.0]]), np.eye(3, 4), lens)
    np.testing.assert_allclose(pixels, [[150, 0]], atol=1e-9)


@given(seeds, st.floats(0.05, 0.3))
def test_the_core_is_the_object_and_not_the_strays(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(0.2, 1, 3)
    chair = rng.uniform(-1, 1, (400, 3)) * sizes
    strays = rng.normal(size=(int(400 * share), 3))
    strays *= rng.uniform(20, 100, (len(strays), 1)) / np.linalg.norm(strays, axis=-1, keepdims=True)
    core = object_core(np.concatenate([chair, strays]), np.ones(400 + len(strays)))
    assert not core[400:].any()
    assert core[:400].all()


@given(seeds, counts, st.floats(-80, 80), st.integers(16, 500), st.integers(16, 500), st.integers(0, 40))
def test_boxes_are_inside_of_every_picture_to_their_last_point(
    seed: int, count: int, elevation: float, width: int, height: int, strays: int
) -> None:
    rng = np.random.default_rng(seed)
    box = rng.uniform(-1, 1, (300, 3)) * rng.uniform(0.2, 1, 3) + rng.normal(size=3)
    faint = rng.uniform(-200, 200, (strays, 3))
    points = np.concatenate([box, faint])
    weights = np.concatenate([rng.uniform(0.2, 1, 300), rng.uniform(0, 0.2 * FAINT, strays)])
    core = object_core(points, weights)
    assert core[:300].all() and not core[300:].any()
    ends = ends_of_gaussians(points[core], rng.normal(size=(300, 3, 3)) * 0.05)
    lens, rotations, center = PinholeLens.from_fov(width, height, 40), orbit_rotations(count, elevation), middle(ends)
    for pose in orbit_poses(rotations, center, framing_distance(ends, center, rotations, lens)):
        pixels, depth = project(np.concatenate([box, ends]), pose, lens)
        assert (depth > 0).all()
        margin = (1 - FILL) / 2 * np.array([width, height])
        assert (pixels >= margin - 1e-6).all() and (pixels <= [width, height] - margin + 1e-6).all()


def test_few_points_of_feet_are_part_of_a_chair() -> None:
    rng = np.random.default_rng(0)
    back = rng.uniform([-1, -0.1, 0.5], [1, 0.1, 1], (2000, 3))
    corners = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-0.1, 1.9)])
    legs = np.concatenate([corners + np.array([0, 0, height]) for height in np.linspace(0.4, -3, 20)])
    strays = rng.uniform(30, 40, (20, 3))
    core = object_core(np.concatenate([back, legs, strays]), np.ones(2000 + 80 + 20))
    assert core[:2080].all() and not core[2080:].any()


@given(seeds)
def test_the_ends_of_a_gaussian_are_on_its_axes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, axes = rng.uniform(-1, 1, (30, 3)), rng.normal(size=(30, 3, 3)) * 0.01
    ends = ends_of_gaussians(means, axes)
    wanted = [mean + sign * SIGMAS * axis for mean, rows in zip(means, axes, strict=True) for sign in (1, -1)
              for axis in rows]  # fmt: skip
    np.testing.assert_allclose(ends, wanted)
    np.testing.assert_allclose(ends_of_gaussians(means[:1], axes[:1] * 1e4), means[:1] + (ends[:6] - means[:1]) * 1e4)


def test_a_gaussian_larger_than_the_scene_is_framed_as_far_as_the_scene_stretches() -> None:
    means, axes = np.array([[-1.0, 0, 0], [1, 0, 0], [0, 0.5, 0]]), np.zeros((3, 3, 3))
    axes[2, 0] = 0, 0, 1000
    distances = np.linalg.norm(ends_of_gaussians(means, axes) - middle(means), axis=-1)
    radius = np.linalg.norm(means - middle(means), axis=-1).max()
    assert distances.max() == pytest.approx(STRETCH * radius)


@given(seeds, st.integers(1, 200), st.booleans())
def test_the_corners_are_the_furthest_in_every_direction(seed: int, count: int, is_flat: bool) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3)) * [1, 1, not is_flat]
    directions = rng.normal(size=(20, 3))
    np.testing.assert_allclose((convex_corners(points) @ directions.T).max(0), (points @ directions.T).max(0))


def test_what_weighs_nothing_does_not_matter() -> None:
    points = np.concatenate([np.random.default_rng(0).uniform(-1, 1, (50, 3)), np.full((200, 3), 9.0)])
    core = object_core(points, np.repeat([1.0, 0.0], [50, 200]))
    assert core[:50].any() and not core[50:].any()


@given(st.integers(1, 4), st.booleans())
def test_a_core_is_never_empty(count: int, weightless: bool) -> None:
    points = np.random.default_rng(count).normal(size=(count, 3))
    assert object_core(points, np.full(count, 0.0 if weightless else 1.0)).any()


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4)), min_size=1, max_size=20), st.floats(0, 1))
def test_weighted_quantiles_are_those_of_repeated_values(rows: list[tuple[float, int]], share: float) -> None:
    values, weights = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    repeats = weights.astype(int) if weights.sum() > 0 else np.ones(len(values), int)
    expected = np.quantile(values.repeat(repeats), share, method="inverted_cdf")
    ours = weighted_quantile(values[:, None], weights, share)
    if share > 0:
        assert ours == expected
    assert ours in values
