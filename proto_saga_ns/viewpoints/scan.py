"""What of a splat is solid, which way is up, and whether one stands in it or walks around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from proto_saga_ns.export.videos.turntable import weighted_quantile
from proto_saga_ns.rasterize.reference import quaternion_rotation
from proto_saga_ns.splats.splat import Splat

BOX_SHARE = 0.02
"""Of the opacity, on each side of each axis, that may lie outside of the box: floaters, and a far background."""
BOX_MARGIN = 0.05
FINE_SHARE = 0.25
"""The same of opacity by area, for what is fine."""
VOXELS = 64
"""Along the longest side of the box."""
SOLID = 0.3
"""Opacity times area of the Gaussians in a voxel, against the area of its side."""
STEPS_ACROSS = np.linspace(-1, 1, 5)
"""In standard deviations: where a Gaussian that is larger than a voxel is solid."""
DIRECTIONS = 1024
LOOKED_AT = 20_000
"""Gaussians whose normals are compared with all of these."""
NEAR_NORMAL = np.cos(np.deg2rad(10))
STRONG_NORMALS = 0.3
"""Of what has its normal along the best axis: as much has it along others that may be up."""
RAYS = 16
ENCLOSED = 0.7
"""Share of level rays that meet something before they leave the box, where one stands inside."""
MOST_PLACES = 1000
EYE_HEIGHT = (0.3, 0.75)
"""Between floor and ceiling."""


@dataclass(frozen=True)
class Solid:
    """The Gaussians that something can be seen of, as surfaces.

    Attributes:
        means: centres, world frame.
        axes: columns are the own axes, the shortest one last: the normal of a flat Gaussian.
        scales: standard deviations along these.
        opacities: in [0, 1].
    """

    means: Float[np.ndarray, "M 3"]
    axes: Float[np.ndarray, "M 3 3"]
    scales: Float[np.ndarray, "M 3"]
    opacities: Float[np.ndarray, " M"]

    @classmethod
    def of(cls, splat: Splat) -> Solid:
        """Those of a splat that are finite."""
        whole = splat.select(splat.is_finite())
        scales = whole.log_scales.exp().numpy().astype(np.float64)
        order = np.argsort(-scales, axis=1)
        rotations = quaternion_rotation(whole.quats.double()).numpy()
        return cls(
            whole.means.numpy().astype(np.float64),
            np.take_along_axis(rotations, order[:, None, :], axis=2),
            np.take_along_axis(scales, order, axis=1),
            whole.opacity_logits.sigmoid().numpy().astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.means)

    def select(self, chosen: Bool[np.ndarray, " M"]) -> Solid:
        """Where a mask is true."""
        return Solid(self.means[chosen], self.axes[chosen], self.scales[chosen], self.opacities[chosen])

    def seen_from(self, frame: Float[np.ndarray, "3 3"]) -> Solid:
        """The same in other axes, the columns of ``frame``."""
        return Solid(self.means @ frame, frame.T @ self.axes, self.scales, self.opacities)

    def areas(self) -> Float[np.ndarray, " M"]:
        """Opacity times the area of an ellipse of one standard deviation."""
        return self.opacities * np.pi * self.scales[:, 0] * self.scales[:, 1]


@dataclass(frozen=True)
class Scan:
    """A splat as a box of voxels that stands upright, along the walls if there are any.

    Attributes:
        frame: columns are the axes of the box in the world; the last one is up, away from the floor.
        low: corner of the box with the smallest coordinates, in its own axes.
        edge: of a voxel, world units.
        solid: whether light does not pass.
        middle: of what is fine: where photos were taken from near, Gaussians are small; world frame.
        reach: from there to the corners of what is fine, world units.
    """

    frame: Float[np.ndarray, "3 3"]
    low: Float[np.ndarray, " 3"]
    edge: float
    solid: Bool[np.ndarray, "X Y Z"]
    middle: Float[np.ndarray, " 3"]
    reach: float

    @property
    def up(self) -> Float[np.ndarray, " 3"]:
        """Unit vector, world frame."""
        return self.frame[:, 2]

    @property
    def diagonal(self) -> float:
        """Of the box, world units."""
        return float(np.linalg.norm(self.solid.shape)) * self.edge

    @cached_property
    def clearance(self) -> Float[np.ndarray, "X Y Z"]:
        """Distance from each voxel to the nearest solid one, world units."""
        if not self.solid.any():
            return np.full(self.solid.shape, np.inf)
        return np.asarray(distance_transform_edt(~self.solid)) * self.edge

    def centers(self, voxels: Int[np.ndarray, "V 3"]) -> Float[np.ndarray, "V 3"]:
        """Of voxels, world frame."""
        return (self.low + (voxels + 0.5) * self.edge) @ self.frame.T

    def heights(self, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, " P"]:
        """0 at the floor of the box, 1 at its ceiling."""
        return (points @ self.up - self.low[2]) / (self.solid.shape[2] * self.edge)

    def enclosed(self, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, " P"]:
        """Share of the level rays from a point that meet something solid before they leave the box."""
        angles = np.arange(RAYS) * 2 * np.pi / RAYS
        rays = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ self.frame[:, :2].T
        reach = np.arange(1, int(np.linalg.norm(self.solid.shape[:2])) + 1) * self.edge
        hit = np.zeros(len(points))
        for ray in rays:
            hit += self.is_solid(points[:, None] + reach[:, None] * ray).any(axis=1)
        return hit / RAYS

    def is_solid(self, points: Float[np.ndarray, "*shape 3"]) -> Bool[np.ndarray, "*shape"]:
        """False outside of the box."""
        voxels = np.floor((points @ self.frame - self.low) / self.edge).astype(int)
        inside = ((voxels >= 0) & (voxels < self.solid.shape)).all(axis=-1)
        return self.solid[tuple(np.moveaxis(np.where(inside[..., None], voxels, 0), -1, 0))] & inside

    def places(self, least: float) -> Float[np.ndarray, "P 3"]:
        """Voxels at eye height with so much clearance, that stand inside if the scene has an inside; else none."""
        free = self.centers(np.argwhere(self.clearance >= least))
        heights = self.heights(free)
        free = free[(heights > EYE_HEIGHT[0]) & (heights < EYE_HEIGHT[1])]
        free = free[:: 1 + len(free) // MOST_PLACES]
        if len(free) == 0:
            return free
        enclosed = self.enclosed(free)
        return free[enclosed >= ENCLOSED] if np.median(enclosed) >= ENCLOSED else free[:0]


def scan(solid: Solid, up: Float[np.ndarray, " 3"] | None = None) -> Scan:
    """Look at the surfaces of a splat.

    Args:
        solid: at least one Gaussian.
        up: away from the floor; None finds it.
    """
    frame = _frame(solid, upwards(solid) if up is None else up / np.linalg.norm(up))
    upright = solid.seen_from(frame)
    low, high = box(upright)
    edge = float((high - low).max()) / VOXELS
    shape = np.maximum(np.ceil((high - low) / edge).astype(int), 1)
    inside = upright.select(((upright.means >= low) & (upright.means <= high)).all(axis=1))
    points, weights = _samples(inside, edge)
    voxels = np.floor((points - low) / edge).astype(int)
    kept = ((voxels >= 0) & (voxels < shape)).all(axis=1)
    places = np.ravel_multi_index(tuple(voxels[kept].T), tuple(shape))
    covered = np.bincount(places, weights[kept], int(shape.prod())).reshape(shape) / edge**2
    first, last = box(inside, inside.opacities / (inside.scales[:, 0] * inside.scales[:, 1]), FINE_SHARE)
    middle, reach = frame @ (first + last) / 2, float(np.linalg.norm(last - first)) / 2
    return Scan(frame, low, edge, covered >= SOLID, middle, reach)


def _frame(solid: Solid, up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """Axes with ``up`` as the last one; the others as walls stand, whose normals repeat with a quarter turn."""
    one = across(up)
    other = np.cross(up, one)
    walls = solid.select(np.abs(solid.axes[:, :, 2] @ up) < np.sin(np.deg2rad(10)))
    x, y = walls.axes[:, :, 2] @ one, walls.axes[:, :, 2] @ other
    angle = np.angle((walls.areas() * (x + 1j * y) ** 4).sum()) / 4 if len(walls) else 0.0
    first = np.cos(angle) * one + np.sin(angle) * other
    return np.stack([first, np.cross(up, first), up], axis=1)


def across(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """Some level direction, a unit vector."""
    one = np.cross(up, np.eye(3)[int(np.argmin(np.abs(up)))])
    return one / np.linalg.norm(one)


def box(
    solid: Solid, weights: Float[np.ndarray, " M"] | None = None, outside: float = BOX_SHARE
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Corners of what holds nearly all of the opacity, and is no smaller than the Gaussians themselves.

    Args:
        solid: at least one Gaussian.
        weights: in place of opacities.
        outside: share of the weight, on each side of each axis, that may lie outside.
    """
    weights = solid.opacities if weights is None else weights
    ends = np.array([weighted_quantile(solid.means, weights, share) for share in (outside, 1 - outside)])
    size = np.maximum(ends[1] - ends[0], 6 * float(np.median(solid.scales[:, 0])))
    size = np.maximum(size, 0.02 * size.max()) * (1 + 2 * BOX_MARGIN)
    return ends.mean(axis=0) - size / 2, ends.mean(axis=0) + size / 2


def upwards(solid: Solid) -> Float[np.ndarray, " 3"]:
    """Away from the floor: of the directions that many surfaces face, the one along which the scene is flattest.

    Which of its two ends is up shows in where things lie: nearer to the floor.
    """
    solid = solid.select(np.arange(len(solid)) % (1 + len(solid) // LOOKED_AT) == 0)
    flat = solid.select(solid.scales[:, 2] < 0.5 * solid.scales[:, 1])
    normals, weights = flat.axes[:, :, 2], flat.areas()
    weights = np.minimum(weights, np.quantile(weights, 0.99)) if len(flat) else weights
    directions = _hemisphere(DIRECTIONS)
    facing = (np.abs(normals @ directions.T) > NEAR_NORMAL).T @ weights
    peaks = directions[_peaks(directions, facing)] if facing.any() else np.eye(3)
    candidates = [_mean_normal(normals, weights, way) for way in peaks]
    heights = solid.means @ np.array(candidates).T
    ends = [weighted_quantile(heights, solid.opacities, share) for share in (BOX_SHARE, 0.5, 1 - BOX_SHARE)]
    flattest = int(np.argmin(ends[2] - ends[0]))
    bottom, middle, top = (end[flattest] for end in ends)
    return candidates[flattest] * (1.0 if middle <= (bottom + top) / 2 else -1.0)


def _mean_normal(
    normals: Float[np.ndarray, "M 3"], weights: Float[np.ndarray, " M"], way: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, " 3"]:
    """Of those that are near a direction; neither end of a normal counts for more than the other."""
    near = normals[np.abs(normals @ way) > NEAR_NORMAL]
    if len(near) == 0:
        return way
    scatter = (near * weights[np.abs(normals @ way) > NEAR_NORMAL, None]).T @ near
    found = np.linalg.eigh(scatter)[1][:, -1]
    return found * np.sign(found @ way)


def _peaks(directions: Float[np.ndarray, "D 3"], facing: Float[np.ndarray, " D"]) -> Int[np.ndarray, " P"]:
    """Directions that more surfaces face than any other near them, the strong ones."""
    left, found = facing.copy(), []
    while left.max() > STRONG_NORMALS * facing.max() and len(found) < 8:
        best = int(left.argmax())
        found.append(best)
        left[np.abs(directions @ directions[best]) > np.cos(np.deg2rad(30))] = 0
    return np.array(found)


def _samples(solid: Solid, edge: float) -> tuple[Float[np.ndarray, "S 3"], Float[np.ndarray, " S"]]:
    """Points on surfaces and the area that each stands for: one of a small Gaussian, a grid of a large one."""
    large = solid.scales[:, 0] > edge / 2
    small, wide = solid.select(~large), solid.select(large)
    across = np.stack(np.meshgrid(STEPS_ACROSS, STEPS_ACROSS), axis=-1).reshape(-1, 2)
    offsets = np.einsum("mij,gj->mgi", wide.axes[:, :, :2] * wide.scales[:, None, :2], across)
    points = (wide.means[:, None] + offsets).reshape(-1, 3)
    weights = np.minimum(wide.areas() / len(across), wide.opacities * edge**2)
    return np.concatenate([small.means, points]), np.append(small.areas(), np.repeat(weights, len(across)))


def _hemisphere(count: int) -> Float[np.ndarray, "D 3"]:
    """Evenly spread directions and the three axes; none stands for both ends of another."""
    index = np.arange(count) + 0.5
    z, angle = index / count, np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - z**2)
    return np.concatenate([np.eye(3), np.stack([level * np.cos(angle), level * np.sin(angle), z], axis=1)])
