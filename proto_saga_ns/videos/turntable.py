"""A circle around an object, framed so that the object fills the picture.

World frame with z up; poses are camera to world in OpenGL axes (x right, y up, z back), as nerfstudio's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

FILL = 0.85
"""How far towards the borders of the picture the framed points reach; Gaussians are wider than their centres."""
REACH = 3.5
"""Points further from the median than this many median distances are strays. A straight rod ends at 2; chairs have a
back with many small Gaussians, and far below it legs with few."""
TRIM = 0.01
"""Share of the weight that is left out at either end of each axis."""
MAX_FRAMED = 20_000
"""More points than this are thinned out before framing, which looks at each of them from every pose."""


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
    around = points[:: -(-len(points) // MAX_FRAMED)] - center
    limit = fill * lens.slopes
    needed = [(np.abs(local[:, :2]) / limit).max(-1) + local[:, 2] for local in (around @ axes for axes in rotations)]
    return float(np.max(needed))


def object_core(points: Float[np.ndarray, "N 3"], weights: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Which points make up the object, strays apart; never none of them.

    Points too far from the weighted median (``REACH``) are left out until none is, then those at the very ends of an
    axis (``TRIM``). Of a compact object among fewer strays, however far, it finds the object.
    """
    kept, before = np.ones(len(points), bool), 0
    while kept.sum() != before:
        before = kept.sum()
        distances = np.linalg.norm(points - weighted_quantile(points[kept], weights[kept], 0.5), axis=-1)
        kept &= distances <= REACH * weighted_quantile(distances[kept, None], weights[kept], 0.5)
    low, high = (weighted_quantile(points[kept], weights[kept], share) for share in (TRIM, 1 - TRIM))
    inside = kept & ((points >= low) & (points <= high)).all(-1)
    return inside if inside.any() else kept


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
