"""Points that are carried from earlier frames into a new one, and know which instance they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32
from scipy import ndimage

from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches, pixels_of


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
        sources: the mask that each lies in, in its old frame, above 0.
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


def carry(matches: Matches, old: TrackedFrame, border: int) -> CarriedPoints:
    """The points of the old frame that matches carry into the new one.

    Args:
        matches: from the old frame to the new one.
        border: points that are no further than this from the edge of their instance are left out (pixels): a match
            that is a little off would carry them into the neighbour.
    """
    rows, columns = pixels_of(matches.xy_a).T
    instances, sources = old.instances[rows, columns], old.masks[rows, columns]
    kept = (instances > 0) & (sources > 0) & interior(old.instances, border)[rows, columns]
    return CarriedPoints(matches.xy_b, instances, sources, np.zeros_like(instances)).select(kept)


def interior(labels: Int[np.ndarray, "H W"], border: int) -> Bool[np.ndarray, "H W"]:
    """Pixels that have no other label within ``border`` pixels (a square around them)."""
    size = 2 * border + 1
    return ndimage.minimum_filter(labels, size) == ndimage.maximum_filter(labels, size)
