"""Matches from poses and depth maps: exact where those are, which real captures seldom have and renders always do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.mastsam.frames import Camera, Frame
from proto_saga_ns.mastsam.matches import Matches, pixels_of

# Raised when the same settings begin to give other matches.
_ALGORITHM = 1


@dataclass(frozen=True)
class DepthSettings:
    """How many matches, and when two depths are the same."""

    stride: int = 8
    """one match every so many pixels, along both axes"""
    tolerance: float = 0.02
    """largest difference between the two depths of a match, as a share of the depth"""

    def __post_init__(self) -> None:
        if self.stride < 1 or not self.tolerance > 0:
            raise ValueError("stride must be at least 1, and tolerance positive")


class DepthMatcher:
    """Carries a grid of pixels from a to b by their depth, and keeps what b sees at the same depth.

    The confidence is 1 where the depths are equal and 0 at the tolerance.
    """

    name = "poses+depth"

    def __init__(self, settings: DepthSettings | None = None) -> None:
        self._settings = settings or DepthSettings()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self._settings), "algorithm": _ALGORITHM}

    def match(self, a: Frame, b: Frame) -> Matches:
        camera_a, depth_a = _camera_and_depth(a)
        camera_b, depth_b = _camera_and_depth(b)
        xy_a, z_a = _grid(depth_a, self._settings.stride)
        xy_b, z_b = carry(xy_a, z_a, camera_a, camera_b)
        seen = (z_b > 0) & inside(xy_b, b.size)
        xy_a, xy_b, z_b = xy_a[seen], xy_b[seen], z_b[seen]
        rows, columns = pixels_of(xy_b).T
        found = depth_b[rows, columns]
        error = np.abs(np.where(np.isfinite(found), found, np.inf) - z_b) / (self._settings.tolerance * z_b)
        keep = (found > 0) & (error <= 1)
        confidence = (1 - np.minimum(error, 1)).astype(np.float32)
        return Matches(xy_a, xy_b, confidence).select(keep)


def carry(
    xy: Float[np.ndarray, "N 2"], z: Float[np.ndarray, " N"], source: Camera, target: Camera
) -> tuple[Float32[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
    """Where points of one camera, at depths along its z axis, are in another: (image coordinates, depths).

    Coordinates of points at depths of 0 or less mean nothing.
    """
    rays = np.column_stack([xy, np.ones(len(xy))]).astype(np.float64) @ np.linalg.inv(source.intrinsics).T
    target_from_source = target.world_to_camera.astype(np.float64) @ np.linalg.inv(source.world_to_camera)
    points = (rays * z[:, None]) @ target_from_source[:3, :3].T + target_from_source[:3, 3]
    image = points @ target.intrinsics.T
    return (image[:, :2] / np.where(points[:, 2] > 0, points[:, 2], 1.0)[:, None]).astype(np.float32), points[:, 2]


def inside(xy: Float[np.ndarray, "N 2"], size: tuple[int, int]) -> Bool[np.ndarray, " N"]:
    """Which points lie in an image of (height, width)."""
    return ((xy >= 0) & (xy < size[::-1])).all(axis=1)


def _grid(depth: Float[np.ndarray, "H W"], stride: int) -> tuple[Float32[np.ndarray, "N 2"], Float[np.ndarray, " N"]]:
    """Centres of every stride-th pixel along both axes that has a depth, and those depths."""
    rows, columns = np.mgrid[stride // 2 : depth.shape[0] : stride, stride // 2 : depth.shape[1] : stride].reshape(
        2, -1
    )
    z = depth[rows, columns].astype(np.float64)
    known = np.isfinite(z) & (z > 0)
    return (np.column_stack([columns, rows])[known] + 0.5).astype(np.float32), z[known]


def _camera_and_depth(frame: Frame) -> tuple[Camera, Float[np.ndarray, "H W"]]:
    if frame.camera is None or frame.depth is None:
        missing = "pose" if frame.camera is None else "depth map"
        raise ProtoSagaError(
            f"Frame {frame.name} has no {missing}: --matcher poses+depth needs a pose and a depth map of each frame. "
            "Use a matcher that needs the images alone: --matcher sift or --matcher mast3r."
        )
    if frame.depth.shape != frame.size:
        raise ProtoSagaError(
            f"The depth map of frame {frame.name} has {frame.depth.shape[1]} x {frame.depth.shape[0]} pixels, its "
            f"image {frame.size[1]} x {frame.size[0]}: expected the same. Resize one of them."
        )
    return frame.camera, frame.depth
