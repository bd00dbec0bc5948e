"""A circle around an object, framed so that the object fills the picture.

World frame with z up; poses are camera to world in OpenGL axes (x right, y up, z back), as nerfstudio's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull, QhullError

FILL = 0.9
"""How far towards the borders of the picture the framed points reach."""
FAINT = 0.1
"""Points of less than this share of the largest weight are not framed: they can hardly be seen."""
REACH, STEP = 3.5, 0.5
"""By distance from the median, strays come after the first gap of ``STEP`` median distances that ends beyond ``REACH``
of them. A straight rod ends at 2. Chairs have a back with many small Gaussians, and far below it legs with few, but
without such a gap."""
SIGMAS = 2.0
"""Where a Gaussian ends, in standard deviations; there it has 14 % of its opacity."""
STRETCH = 1.5
"""Ends of Gaussians are framed up to this many times as far from the middle as the furthest centre. Walls have some
that are larger than the scene; those of chairs' legs go on below the floor."""


@dataclass(frozen=True)
class PinholeLens:
    """A lens without distortion whose axis goes through the middle of the picture.

    Attributes:
        width: in pixels.
        height: in pixels.
        focal: in pixels.
    """

    width: int
    height: int
    focal: float

    @classmethod
    def from_fov(cls, width: int, height: int, degrees: float) -> PinholeLens:
        """By the field of view from the upper to the lower border."""
        return cls(width, height, height / 2 / float(np.tan(np.deg2rad(degrees) / 2)))

    @classmethod
    def from_horizontal_fov(cls, width: int, height: int, degrees: float) -> PinholeLens:
        """By the field of view from the left to the right border."""
        return cls(width, height, width / 2 / float(np.tan(np.deg2rad(degrees) / 2)))

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """Intrinsics."""
        return np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1.0]])

    @property
    def slopes(self) -> Float[np.ndarray, " 2"]:
        """Largest |x / depth| and |y / depth| that the picture shows."""
        return np.array([self.width, self.height]) / 2 / self.focal


def orbit_rotations(count: int, elevation: float) -> Float[np.ndarray, "count 3 3"]:
    """Orientations of cameras on a circle that look at its axis, one whole turn, the first from +x.

    Args:
        count: of poses; after the last, one more step leads to the first.
        elevation: degrees above the horizon, in [-90, 90].
    """
    turn, rise = 2 * np.pi * np.arange(count) / count, np.full(count, np.deg2rad(elevation))
    zero = np.zeros(count)
    right = np.stack([-np.sin(turn), np.cos(turn), zero], -1)
    back = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)], -1)
    return np.stack([right, np.cross(back, right), back], -1)


def orbit_poses(
    rotations: Float[np.ndarray, "count 3 3"], center: Float[np.ndarray, " 3"], distance: float
) -> Float[np.ndarray, "count 3 4"]:
    """Poses that look at ``center`` from ``distance``."""
    return np.concatenate([rotations, (center + distance * rotations[..., 2])[..., None]], axis=-1)


def framing_distance(
    points: Float[np.ndarray, "N 3"],
    center: Float[np.ndarray, " 3"],
    rotations: Float[np.ndarray, "count 3 3"],
    lens: PinholeLens,
    fill: float = FILL,
) -> float:
    """The smallest distance from ``center`` at which every camera sees all points inside of its picture.

    A point at (x, y, z) in a camera's axes around the centre has depth ``distance - z``; that it is inside means
    ``|x| <= fill * slope * depth``, and the same for y.

    Args:
        points: to be seen.
        center: that the cameras look at.
        rotations: of the cameras.
        lens: of all of them.
        fill: how far towards the borders points may come; 1 is the very border.
    """
    around = convex_corners(points) - center
    limit = fill * lens.slopes
    needed = [(np.abs(local[:, :2]) / limit).max(-1) + local[:, 2] for local in (around @ axes for axes in rotations)]
    return float(np.max(needed))


def object_core(points: Float[np.ndarray, "N 3"], weights: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Which points make up the object, faint ones and strays apart; never none of them.

    Points too far from the weighted median (``REACH``, ``STEP``) are left out until none is. Of a compact object among
    fewer strays, however far, it finds the object; what hangs together with it stays, however few points it has.
    """
    kept, before = weights >= FAINT * weights.max(), 0
    while kept.sum() != before:
        before = kept.sum()
        distances = np.linalg.norm(points - weighted_quantile(points[kept], weights[kept], 0.5), axis=-1)
        typical = weighted_quantile(distances[kept, None], weights[kept], 0.5).item()
        kept &= distances <= _last_before_gap(distances[kept], REACH * typical, STEP * typical)
    return kept


def _last_before_gap(distances: Float[np.ndarray, " N"], start: float, gap: float) -> float:
    """The last distance before the first gap larger than ``gap`` that ends beyond ``start``."""
    ascending = np.sort(distances)
    gaps = (np.diff(ascending) > gap) & (ascending[1:] > start)
    return float(ascending[gaps.argmax()] if gaps.any() else ascending[-1])


def ends_of_gaussians(
    means: Float[np.ndarray, "N 3"], half_axes: Float[np.ndarray, "N 3 3"]
) -> Float[np.ndarray, "N*6 3"]:
    """Both ends of each axis of each Gaussian, drawn in to ``STRETCH`` times the radius of the centres.

    Args:
        means: centres; at least one. Where all are one point there is no radius, and the ends stay where they are.
        half_axes: in each row of a Gaussian, one axis, as long as a standard deviation.
    """
    center = middle(means)
    radius = np.linalg.norm(means - center, axis=-1).max()
    furthest = STRETCH * radius if radius > 0 else np.inf
    ends = means[:, None, None] + SIGMAS * np.array([1, -1])[:, None, None] * half_axes[:, None]
    outwards = ends.reshape(-1, 3) - center
    lengths = np.linalg.norm(outwards, axis=-1, keepdims=True)
    return center + outwards * np.minimum(1, np.divide(furthest, lengths, out=np.ones_like(lengths), where=lengths > 0))


def convex_corners(points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "M 3"]:
    """Those of the points that are corners of their convex hull: what a camera sees at the borders is among them.

    All of them if they are too few or too flat to have one.
    """
    try:
        return points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return points


def middle(points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " 3"]:
    """Of their bounding box."""
    return (points.min(0) + points.max(0)) / 2


def weighted_quantile(
    values: Float[np.ndarray, "N K"], weights: Float[np.ndarray, " N"], share: float
) -> Float[np.ndarray, " K"]:
    """For each column, the smallest value with at least ``share`` of the weight at or below it.

    Args:
        values: at least one row.
        weights: not negative; all alike if they are all 0.
        share: in [0, 1].
    """
    weights = weights if weights.sum() > 0 else np.ones_like(weights)
    order = values.argsort(0)
    below = weights[order].cumsum(0)
    rows = (below < share * below[-1]).sum(0).clip(max=len(values) - 1)
    columns = np.arange(values.shape[1])
    return values[order[rows, columns], columns]
