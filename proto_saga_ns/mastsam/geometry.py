"""Which matches agree with how the cameras stand, or, where that is not known, with each other.

Image coordinates are those of ``frames``. Two-view geometry as in Hartley and Zisserman, Multiple View Geometry
(2nd edition): the fundamental matrix, 9.2.4 and eq. 9.12; the homography of a rotation, 8.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from proto_saga_ns.mastsam.frames import Camera, Frame
from proto_saga_ns.mastsam.matches import Matches

# Camera centres are the same up to rounding if they are closer than this share of their distance to the origin; the
# share is small because georeferenced scenes lie far from it.
_SAME_CENTRE = 1e-9
# Sums whose terms cancel to less than this share of them are 0.
_ROUNDING = 1e-12
_RANSAC_ITERATIONS = 10_000
_RANSAC_CONFIDENCE = 0.9999


@dataclass(frozen=True)
class FilterOptions:
    """Which matches are kept."""

    max_distance: float = 2.0
    """matches further than this from where the geometry of the two views puts them are dropped, in pixels"""
    min_inliers: int = 15
    """without poses: pairs of frames of which fewer matches than this agree have no match at all"""
    use_poses: bool = True
    """judge matches by the poses where these are known; else by what most matches agree on, as without poses"""
    seed: int = 0
    """of the random samples, which are drawn without poses only"""

    def __post_init__(self) -> None:
        if not self.max_distance > 0:
            raise ValueError("max_distance must be positive")
        if self.min_inliers < 4:
            raise ValueError("min_inliers must be at least 4: any three matches agree")


def filter_matches(matches: Matches, a: Frame, b: Frame, options: FilterOptions | None = None) -> Matches:
    """The matches that fit the poses of both frames or, if one of them is not known, a geometry most agree on."""
    options = options or FilterOptions()
    if options.use_poses and a.camera is not None and b.camera is not None:
        return keep_epipolar(matches, a, b, options.max_distance)
    return keep_ransac(matches, options.max_distance, options.seed, options.min_inliers)


def keep_epipolar(matches: Matches, a: Frame, b: Frame, max_distance: float = 2.0) -> Matches:
    """The matches within ``max_distance`` pixels by ``epipolar_distance``.

    Raises:
        ValueError: a frame has no camera.
    """
    if a.camera is None or b.camera is None:
        raise ValueError(f"Frame {a.name if a.camera is None else b.name} has no camera.")
    return matches.select(epipolar_distance(matches, a.camera, b.camera) <= max_distance)


def epipolar_distance(matches: Matches, camera_a: Camera, camera_b: Camera) -> Float[np.ndarray, " N"]:
    """How far matches are from what two known cameras allow, in pixels.

    That is the larger of two distances: of each point from the epipolar line of the other. Cameras with the same
    centre have no epipolar lines, but each point has one place in the other image then: the larger of the two
    distances from those places counts, infinity for places behind a camera. Points at the epipole may match any point.
    """
    fundamental = fundamental_matrix(camera_a, camera_b)
    if fundamental is not None:
        return _line_distance(matches, fundamental)
    rotation = _relative_pose(camera_a, camera_b)[:3, :3]
    k_a, k_b = camera_a.intrinsics.astype(np.float64), camera_b.intrinsics.astype(np.float64)
    return _transfer_distance(matches, k_b @ rotation @ np.linalg.inv(k_a))


def fundamental_matrix(camera_a: Camera, camera_b: Camera) -> Float[np.ndarray, "3 3"] | None:
    """F with b^T F a = 0 for homogeneous points of the same place; None if the cameras have the same centre."""
    if _same_centre(camera_a, camera_b):
        return None
    pose = _relative_pose(camera_a, camera_b)
    k_a, k_b = camera_a.intrinsics.astype(np.float64), camera_b.intrinsics.astype(np.float64)
    x, y, z = pose[:3, 3] / np.linalg.norm(pose[:3, 3])
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.linalg.inv(k_b).T @ cross @ pose[:3, :3] @ np.linalg.inv(k_a)


def keep_ransac(matches: Matches, max_distance: float = 2.0, seed: int = 0, min_inliers: int = 15) -> Matches:
    """The most matches that agree on one geometry of two views, to ``max_distance`` pixels; the same at every call.

    A fundamental matrix and a homography are both fitted (MAGSAC++, Barath et al., CVPR 2020), and the one wins on
    which more matches agree, because a plane or a camera that only turns leave the fundamental matrix open.

    Args:
        matches: candidates, with wrong ones among them.
        max_distance: see ``epipolar_distance``; with a homography, the larger distance from the point's image.
        seed: of the random samples.
        min_inliers: where fewer agree, there is no match at all: a few agree by chance (the default is that of
            COLMAP's verification of pairs). A fundamental matrix fits any seven matches, a homography any four.
    """
    if len(matches) < min_inliers:
        return Matches.none()
    params = _magsac(max_distance, seed)
    best = np.zeros(len(matches), dtype=bool)
    for fit, needed, distance in (
        (cv2.findHomography, 4, _transfer_distance),
        (cv2.findFundamentalMat, 8, _line_distance),
    ):
        model = _fit(fit, matches, params) if len(matches) >= needed else None
        if model is not None:
            agree = distance(matches, model) <= max_distance
            best = agree if agree.sum() > best.sum() else best
    return matches.select(best) if best.sum() >= min_inliers else Matches.none()


def _relative_pose(camera_a: Camera, camera_b: Camera) -> Float[np.ndarray, "4 4"]:
    """From the frame of camera a to that of camera b."""
    return camera_b.world_to_camera.astype(np.float64) @ np.linalg.inv(camera_a.world_to_camera.astype(np.float64))


def _same_centre(camera_a: Camera, camera_b: Camera) -> bool:
    centres = [-c.world_to_camera[:3, :3].T.astype(np.float64) @ c.world_to_camera[:3, 3] for c in (camera_a, camera_b)]
    size = max(float(np.linalg.norm(centre)) for centre in centres)
    return float(np.linalg.norm(centres[0] - centres[1])) <= _SAME_CENTRE * size + _ROUNDING


def _magsac(max_distance: float, seed: int) -> cv2.UsacParams:
    params = cv2.UsacParams()
    params.score = cv2.SCORE_METHOD_MAGSAC
    params.loMethod = cv2.LOCAL_OPTIM_SIGMA
    params.final_polisher = cv2.MAGSAC
    params.threshold = max_distance
    params.confidence = _RANSAC_CONFIDENCE
    params.maxIterations = _RANSAC_ITERATIONS
    params.randomGeneratorState = seed
    params.isParallel = False
    return params


def _fit(fit: Callable[..., Any], matches: Matches, params: cv2.UsacParams) -> Float[np.ndarray, "3 3"] | None:
    """The model that OpenCV finds; None if there is none, as for points that all coincide."""
    try:
        model, _ = fit(matches.xy_a.astype(np.float64), matches.xy_b.astype(np.float64), params)
    except cv2.error:
        return None
    if model is None or model.shape != (3, 3) or not np.isfinite(model).all():
        return None
    # The sign of a fitted homography is open: most points are in front of the camera.
    return -model if np.median(_homogeneous(matches.xy_a) @ model[2]) < 0 else model


def _line_distance(matches: Matches, fundamental: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " N"]:
    """The larger distance of a point from the other's epipolar line; 0 where there is no line."""
    a, b = _homogeneous(matches.xy_a), _homogeneous(matches.xy_b)
    residual = np.abs(((a @ fundamental.T) * b).sum(axis=1))
    return np.maximum(_over_normal(residual, a, fundamental), _over_normal(residual, b, fundamental.T))


def _over_normal(
    residual: Float[np.ndarray, " N"], points: Float[np.ndarray, "N 3"], fundamental: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, " N"]:
    """Residuals as distances from the lines of points; 0 where the line's normal is no more than rounding."""
    normal = np.linalg.norm(points @ fundamental[:2].T, axis=1)
    rounding = _ROUNDING * np.linalg.norm(np.abs(points) @ np.abs(fundamental[:2]).T, axis=1)
    return np.divide(residual, normal, out=np.zeros_like(residual), where=normal > rounding)


def _transfer_distance(matches: Matches, b_from_a: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " N"]:
    """The larger distance of a point from the other's place under a homography; infinity behind the camera."""
    if abs(np.linalg.det(b_from_a)) < np.finfo(np.float64).tiny:
        return np.full(len(matches), np.inf)
    forward = _distance_to_image(matches.xy_a, matches.xy_b, b_from_a)
    return np.maximum(forward, _distance_to_image(matches.xy_b, matches.xy_a, np.linalg.inv(b_from_a)))


def _distance_to_image(
    xy: Float[np.ndarray, "N 2"], target: Float[np.ndarray, "N 2"], homography: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, " N"]:
    """Of targets from the places of points under a homography; infinity behind the camera."""
    mapped = _homogeneous(xy) @ homography.T
    front = mapped[:, 2] > 0
    place = mapped[:, :2] / np.where(front, mapped[:, 2], 1.0)[:, None]
    return np.where(front, np.linalg.norm(place - target, axis=1), np.inf)


def _homogeneous(xy: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 3"]:
    return np.column_stack([xy.astype(np.float64), np.ones(len(xy))])
