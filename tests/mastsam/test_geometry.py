"""Distances by known cameras against a slow reference; RANSAC on scenes whose true matches are known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.geometry import (
    FilterOptions,
    epipolar_distance,
    filter_matches,
    keep_epipolar,
    keep_ransac,
)
from proto_saga_ns.mastsam.matches import Matches
from tests.mastsam.scenes import INTRINSICS, SIZE, blank, camera, cloud, matches_of, project

OTHER_INTRINSICS = np.array([[250.0, 2, 150], [0, 240, 130], [0, 0, 1]])
angles = st.tuples(*[st.floats(-0.3, 0.3)] * 3)
centres = st.tuples(*[st.floats(-0.5, 0.5)] * 3)


def distance_to_line_slow(xy_a, xy_b, a: Camera, b: Camera) -> float:
    """Of a point of b from the image of the ray of a point of a, by two points on the ray."""
    to_world = np.linalg.inv(a.world_to_camera)
    ray = np.linalg.inv(a.intrinsics) @ [*xy_a, 1]
    start, end = project(np.stack([(to_world @ [*(ray * z), 1])[:3] for z in (3.0, 5.0)]), b)
    along = (end - start) / np.linalg.norm(end - start)
    offset = xy_b - start
    return abs(along[0] * offset[1] - along[1] * offset[0])


@given(turn=angles, centre=centres)
@settings(max_examples=40)
def test_true_matches_have_no_distance_whether_the_camera_moves_or_turns(turn, centre):
    a, b = camera(), camera(turn, centre, OTHER_INTRINSICS)
    points = cloud(50)
    matches = matches_of(project(points, a), project(points, b))
    if np.linalg.norm(centre) > 1e-3 or not any(centre):
        assert epipolar_distance(matches, a, b).max() < 0.05


@given(turn=angles, seed=st.integers(0, 99))
@settings(max_examples=20)
def test_distance_is_the_larger_one_of_both_lines_in_pixels(turn, seed):
    a, b = camera(), camera(turn, (0.4, -0.3, 0.1), OTHER_INTRINSICS)
    noise = np.random.default_rng(seed).normal(0, 5, (2, 20, 2))
    points = cloud(20, seed)
    matches = matches_of(project(points, a) + noise[0], project(points, b) + noise[1])
    slow = [
        max(distance_to_line_slow(x, y, a, b), distance_to_line_slow(y, x, b, a))
        for x, y in zip(matches.xy_a, matches.xy_b, strict=True)
    ]
    np.testing.assert_allclose(epipolar_distance(matches, a, b), slow, rtol=1e-6, atol=1e-6)


@given(turn=angles, centre=st.sampled_from([(0.0, 0, 0), (0.3, 0.1, -0.2)]), scale=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=30)
def test_distance_is_symmetric_and_does_not_know_the_units_of_the_world(turn, centre, scale):
    a, b = camera((0, 0.1, 0), (1, 2, 3)), camera(turn, np.add((1, 2, 3), centre))
    rng = np.random.default_rng(0)
    matches = matches_of(rng.uniform(0, 240, (30, 2)), rng.uniform(0, 240, (30, 2)))
    distance = epipolar_distance(matches, a, b)
    np.testing.assert_allclose(epipolar_distance(matches.reversed(), b, a), distance, rtol=1e-5, atol=1e-5)
    scaled = [camera_with_centre_scaled(view, scale) for view in (a, b)]
    np.testing.assert_allclose(epipolar_distance(matches, *scaled), distance, rtol=1e-4, atol=1e-4)


def camera_with_centre_scaled(view: Camera, scale: float) -> Camera:
    moved = view.world_to_camera.copy()
    moved[:3, 3] *= scale
    return Camera(view.intrinsics, moved)


def test_cameras_that_only_turn_are_judged_by_where_points_go():
    a, b = camera((0, 0, 0), (1, 2, 3)), camera((0, 0.2, 0), (1, 2, 3))
    points = cloud(30) + np.array((1, 2, 3))
    xy_a, xy_b = project(points, a), project(points, b)
    assert epipolar_distance(matches_of(xy_a, xy_b), a, b).max() < 1e-3
    assert epipolar_distance(matches_of(xy_a, xy_b + np.array((30, 0))), a, b).min() > 20
    same = epipolar_distance(matches_of(xy_a, xy_a + np.array((3, 4))), a, a)
    np.testing.assert_allclose(same, 5, atol=1e-3)
    jitter = camera((0, 0.2, 0), (1, 2, 3 + 1e-12))
    assert epipolar_distance(matches_of(xy_a, xy_b + np.array((30, 0))), a, jitter).min() > 20
    behind = camera((0, np.pi, 0), (1, 2, 3))
    assert np.isinf(epipolar_distance(matches_of(xy_a, xy_a), a, behind)).all()


def test_a_point_at_the_epipole_may_match_any():
    a, b = camera(), camera(centre=(0, 0, 1))
    principal = INTRINSICS[:2, 2][None]
    assert epipolar_distance(matches_of(principal, np.array([[10.0, 20.0]])), a, b) < 1e-6


def test_no_matches():
    for views in ((camera(), camera()), (camera(), camera(centre=(1, 0, 0)))):
        assert len(epipolar_distance(Matches.none(), *views)) == 0
    assert len(keep_ransac(Matches.none())) == 0


def with_wrong_ones(xy_a, xy_b, wrong: int, noise: float = 0.3, seed: int = 0) -> Matches:
    """True matches with noise, then wrong ones anywhere."""
    rng = np.random.default_rng(seed)
    somewhere = rng.uniform(0, SIZE[::-1], (2, wrong, 2))
    return matches_of(
        np.concatenate([xy_a + rng.normal(0, noise, xy_a.shape), somewhere[0]]),
        np.concatenate([xy_b + rng.normal(0, noise, xy_b.shape), somewhere[1]]),
    )


def moved():
    points = cloud(100)
    return project(points, camera()), project(points, camera((0.05, 0.1, 0), (0.4, 0.1, 0)))


def turned():
    points = cloud(100)
    return project(points, camera()), project(points, camera((0.05, 0.1, 0)))


def planar():
    xy = np.random.default_rng(1).uniform(20, 220, (100, 2))
    homography = np.array([[1.1, 0.05, -10], [-0.04, 0.95, 5], [1e-4, 2e-4, 1]])
    return xy, cv2.perspectiveTransform(xy[:, None], homography)[:, 0]


@pytest.mark.parametrize("scene", [moved, turned, planar])
def test_ransac_keeps_the_true_matches_and_drops_the_wrong_ones_the_same_each_time(scene):
    matches = with_wrong_ones(*scene(), wrong=60)
    kept = keep_ransac(matches, 2.0, seed=3)
    again = keep_ransac(matches, 2.0, seed=3)
    np.testing.assert_array_equal(kept.xy_a, again.xy_a)
    true = np.isin(kept.xy_a[:, 0], matches.xy_a[:100, 0])
    assert true.sum() >= 95
    assert (~true).sum() <= 8  # some lie on their epipolar line by chance


@pytest.mark.parametrize("count", [0, 3, 4, 7, 14])
def test_few_matches_say_nothing(count):
    assert len(keep_ransac(matches_of(*(xy[:count] for xy in moved())))) == 0


def test_few_matches_may_be_asked_for():
    matches = matches_of(*(xy[:6] for xy in planar()))
    assert len(keep_ransac(matches, min_inliers=5)) == 6


@pytest.mark.parametrize("spread", [0.0, 1e-6])
def test_points_that_coincide_or_lie_on_a_line_end_without_an_error(spread):
    rng = np.random.default_rng(0)
    point = np.full((30, 2), 50.0) + spread * rng.normal(size=(30, 2))
    keep_ransac(matches_of(point, point))
    line = np.linspace(0, 200, 30)[:, None] * [1.0, 0.5]
    keep_ransac(matches_of(line, line))


def test_unrelated_points_have_no_geometry():
    rng = np.random.default_rng(0)
    for count in (15, 40, 100):
        assert len(keep_ransac(matches_of(*rng.uniform(0, SIZE[::-1], (2, count, 2))))) <= 0.25 * count


def test_poses_are_used_where_both_are_known():
    points = cloud(8)
    a, b = (blank(view=view) for view in (camera(), camera(centre=(0.3, 0, 0))))
    assert a.camera and b.camera
    matches = matches_of(project(points, a.camera), project(points, b.camera) + np.eye(8)[:, [0, 7]] * 9)
    assert len(filter_matches(matches, a, b)) == len(keep_epipolar(matches, a, b)) == 7
    assert len(filter_matches(matches, a, b, FilterOptions(max_distance=10))) == 8
    assert len(filter_matches(matches, a, b, FilterOptions(use_poses=False))) == 0, "fewer than fifteen agree"
    assert len(filter_matches(matches, a, blank())) == 0
    with pytest.raises(ValueError, match="blank has no camera"):
        keep_epipolar(matches, a, blank())


@pytest.mark.parametrize("bad", [{"max_distance": 0.0}, {"max_distance": float("nan")}, {"min_inliers": 3}])
def test_bad_options(bad):
    with pytest.raises(ValueError):
        FilterOptions(**bad)
