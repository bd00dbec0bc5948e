"""Smooth paths through poses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.videos.interpolation import smooth_path, travel_times
from proto_saga_ns.export.videos.turntable import orbit_poses, orbit_rotations

seeds = st.integers(0, 2**32 - 1)


def random_poses(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rotations = Rotation.from_rotvec(rng.uniform(-1, 1, (count, 3))).as_matrix()
    return np.concatenate([rotations, rng.normal(size=(count, 3, 1))], axis=-1)


@settings(max_examples=20)
@given(seeds, st.integers(2, 8))
def test_the_path_goes_through_every_pose(seed: int, count: int) -> None:
    poses = random_poses(seed, count)
    times = travel_times(poses)
    assert times[0] == 0 and (np.diff(times) > 0).all()
    fine = 4_001
    path = smooth_path(poses, fine)
    nearest = (times / times[-1] * (fine - 1)).round().astype(int)
    np.testing.assert_allclose(path[nearest], poses, atol=2e-2)
    np.testing.assert_allclose(path[[0, -1]], poses[[0, -1]], atol=1e-9)
    rotations = path[:, :, :3]
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.broadcast_to(np.eye(3), (fine, 3, 3)),
                               atol=1e-9)  # fmt: skip
    steps = np.linalg.norm(np.diff(path[:, :, 3], axis=0), axis=-1)
    assert steps.max() < 5e-2


@given(seeds, st.integers(1, 6))
def test_views_of_one_place_are_a_path_too(seed: int, count: int) -> None:
    pose = random_poses(seed, 1)
    np.testing.assert_allclose(smooth_path(np.repeat(pose, count, 0), 7), np.repeat(pose, 7, 0), atol=1e-9)


def test_even_views_give_an_even_path() -> None:
    views = orbit_poses(orbit_rotations(24, 20.0), np.zeros(3), 2.0)
    path = smooth_path(views, 24 * 5)
    speeds = np.linalg.norm(np.diff(path[:, :, 3], axis=0), axis=-1)
    assert speeds.max() < 1.2 * speeds.mean() and speeds.min() > 0.8 * speeds.mean()
