"""Points that are carried from earlier frames into a new one, and know which instance they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches, pixels_of

_NEIGHBOURS = 4
# Pixels: so near a match its displacement is taken as it is.
_SOFTNESS = 3.0


@dataclass(frozen=True)
class TrackedFrame:
    """A frame whose instances are known.

    Attributes:
        frame: image, and pose if there is one.
        masks: its own label map, as it came; 0 = unlabelled.
        instances: its consistent label map; 0 = in no instance.
    """

    frame: Frame
    masks: Int32[np.ndarray, "H W"]
    instances: Int32[np.ndarray, "H W"]


@dataclass(frozen=True)
class CarriedPoints:
    """Points in a new frame, one below the other.

    Attributes:
        xy: where they are in the new frame.
        instances: which instance each belongs to, above 0.
        sources: the mask that each lies in, in its old frame; 0 = none, where a prompt or the votes found more than
            the frame's own masks.
        frames: which old frame each comes from, from 0.
    """

    xy: Float32[np.ndarray, "N 2"]
    instances: Int32[np.ndarray, " N"]
    sources: Int32[np.ndarray, " N"]
    frames: Int32[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.xy)

    def select(self, which: Int[np.ndarray, " K"] | Bool[np.ndarray, " N"]) -> CarriedPoints:
        """Some of the points, by mask or index."""
        return CarriedPoints(self.xy[which], self.instances[which], self.sources[which], self.frames[which])

    @classmethod
    def joined(cls, parts: Sequence[CarriedPoints]) -> CarriedPoints:
        """Points carried from several frames, which are numbered in this order."""
        nothing = cls.none()
        frames = [np.full(len(part), number, np.int32) for number, part in enumerate(parts)]
        return cls(
            np.concatenate([nothing.xy, *(part.xy for part in parts)]),
            np.concatenate([nothing.instances, *(part.instances for part in parts)]),
            np.concatenate([nothing.sources, *(part.sources for part in parts)]),
            np.concatenate([nothing.frames, *frames]),
        )

    @classmethod
    def none(cls) -> CarriedPoints:
        """No point at all."""
        ids = np.zeros(0, np.int32)
        return cls(np.zeros((0, 2), np.float32), ids, ids, ids)


def carry(matches: Matches, old: TrackedFrame) -> CarriedPoints:
    """The points of the old frame that matches carry into the new one."""
    rows, columns = pixels_of(matches.xy_a).T
    instances, sources = old.instances[rows, columns], old.masks[rows, columns]
    points = CarriedPoints(matches.xy_b, instances, sources, np.zeros_like(instances))
    return points.select(instances > 0)


def interpolate(
    matches: Matches, old: TrackedFrame, per_instance: int, reach: float, size: tuple[int, int]
) -> CarriedPoints:
    """Where pixels of every instance of the old frame probably are in the new one, textured or not.

    Each moves as the matches next to it do: the mean of their displacements, weighted by the inverse square of the
    distance. A guess that is good for small things that stand on a textured one.

    Args:
        per_instance: pixels of each instance, spread over it.
        reach: pixels without a match within this distance are left out (pixels).
        size: (height, width) of the new frame; what leaves it is left out.
    """
    from scipy.spatial import KDTree

    if len(matches) < _NEIGHBOURS:
        return CarriedPoints.none()
    pixels = _spread(old.instances, per_instance)
    rows, columns = pixels.T
    xy = pixels[:, ::-1] + 0.5
    distance, nearest = KDTree(matches.xy_a).query(xy, k=_NEIGHBOURS)
    weight = 1 / (distance + _SOFTNESS) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    moved = xy + ((matches.xy_b - matches.xy_a)[nearest] * weight[..., None]).sum(axis=1)
    # Rounded before it is looked at: 63.9999999 becomes 64, which is outside.
    moved = moved.astype(np.float32)
    is_inside = (moved >= 0).all(axis=1) & (moved[:, 1] < size[0]) & (moved[:, 0] < size[1])
    instances = old.instances[rows, columns]
    points = CarriedPoints(moved, instances, old.masks[rows, columns], np.zeros_like(instances))
    return points.select(is_inside & (distance[:, 0] <= reach))


def _spread(instances: Int32[np.ndarray, "H W"], per_instance: int) -> Int[np.ndarray, "N 2"]:
    """(row, column) of up to so many pixels of every instance, at equal steps through its pixels."""
    flat = instances.reshape(-1)
    pixels = np.flatnonzero(flat)
    # Numbers of 16 bits are sorted ten times as fast.
    ids = flat[pixels] if flat.max(initial=0) > np.iinfo(np.uint16).max else flat[pixels].astype(np.uint16)
    order = np.argsort(ids, kind="stable")
    counts = np.bincount(ids)
    counts = counts[counts > 0]
    taken = np.minimum(counts, per_instance)
    number = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
    steps = (number * np.repeat((counts - 1) / np.maximum(taken - 1, 1), taken)).astype(np.int64)
    # Not left to rounding.
    steps[np.cumsum(taken) - 1] = np.where(taken > 1, counts - 1, 0)
    chosen = pixels[order[np.repeat(np.cumsum(counts) - counts, taken) + steps]]
    return np.stack(np.unravel_index(chosen, instances.shape), axis=1)
