"""A smooth path through given poses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

MIN_STEP = 1e-3
"""Relative time between poses that do not move, so that time goes on."""


def smooth_path(poses: Float[np.ndarray, "N 3 4"], count: int) -> Float[np.ndarray, "count 3 4"]:
    """Poses at equal times on a smooth path through all given ones, in their order.

    Positions by monotone cubic interpolation, which does not overshoot, orientations by a spline of rotations. The time
    between two poses is how far they are apart, so that the speed is even where views are not.

    Args:
        poses: camera to world; at least one.
        count: of new poses; the first and the last are the first and the last of ``poses``.
    """
    if len(poses) == 1:
        return np.repeat(poses, count, axis=0)
    times = travel_times(poses)
    at = np.linspace(0, times[-1], count)
    positions = PchipInterpolator(times, poses[:, :, 3])(at)
    rotations = RotationSpline(times, Rotation.from_matrix(poses[:, :, :3]))(at).as_matrix()
    return np.concatenate([rotations, positions[..., None]], axis=-1)


def travel_times(poses: Float[np.ndarray, "N 3 4"]) -> Float[np.ndarray, " N"]:
    """When each pose is reached: distance in mean distances plus turning in mean turns, from 0, strictly ascending."""
    moves = np.linalg.norm(np.diff(poses[:, :, 3], axis=0), axis=-1)
    turns = Rotation.from_matrix(poses[:-1, :, :3]).inv() * Rotation.from_matrix(poses[1:, :, :3])
    steps = _relative(moves) + _relative(turns.magnitude()) + MIN_STEP
    return np.concatenate([[0.0], steps.cumsum()])


def _relative(sizes: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    mean = sizes.mean()
    return sizes / mean if mean > 0 else sizes
