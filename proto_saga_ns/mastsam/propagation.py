"""Instances for the masks that a new frame brings along, by the votes of the points that were carried into them.

This is what the tracker does without a segmenter that takes prompts: any source of masks will do. Votes of all
earlier frames of the window count, so that one frame with a bad mask does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int32
from scipy.spatial import KDTree

from proto_saga_ns.mastsam.carried import CarriedPoints
from proto_saga_ns.mastsam.matches import pixels_of

_NEIGHBOURS = 5


@dataclass(frozen=True)
class Votes:
    """How many points of each instance were carried into each mask.

    Attributes:
        instances: the I ids that occur, ascending.
        counts: column l is mask l; column 0, the unlabelled pixels, is empty.
    """

    instances: Int[np.ndarray, " I"]
    counts: Int[np.ndarray, "I L+1"]

    def winners(self, min_points: int, min_share: float) -> Int32[np.ndarray, " L+1"]:
        """The instance with the most points in each mask; 0 if these are fewer than ``min_points``, or than
        ``min_share`` of all points in the mask. Of equals the older instance wins."""
        if len(self.instances) == 0:
            return np.zeros(self.counts.shape[1], np.int32)
        best = self.counts.max(axis=0)
        is_clear = (best >= min_points) & (best >= min_share * self.counts.sum(axis=0))
        return np.where(is_clear, self.instances[self.counts.argmax(axis=0)], 0).astype(np.int32)


def count_votes(points: CarriedPoints, masks: Int[np.ndarray, "H W"]) -> Votes:
    """Votes of the points for the masks that they lie in."""
    instances, rows = np.unique(points.instances, return_inverse=True)
    counts = np.zeros((len(instances), int(masks.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (rows, masks_under(points, masks)), 1)
    counts[:, 0] = 0
    return Votes(instances, counts)


def masks_under(points: CarriedPoints, masks: Int[np.ndarray, "H W"]) -> Int[np.ndarray, " N"]:
    """The mask that each point lies in; 0 = none."""
    rows, columns = pixels_of(points.xy).T
    return masks[rows, columns]


def tell_apart(
    instance_of_mask: Int32[np.ndarray, " L+1"], votes: Votes, points: CarriedPoints, masks: Int[np.ndarray, "H W"]
) -> Int32[np.ndarray, " L+1"]:
    """Take an instance from masks that most earlier frames knew as masks of their own.

    Where one frame has merged two objects, both masks of the next one win the same instance. The mask with more of
    its points keeps it. The other keeps it too if most frames that saw points of both had them in one mask; if not,
    it loses it, to found an instance of its own.

    Returns:
        As given, with 0 for masks that lose.
    """
    sources = _main_sources(points, masks, votes.counts.shape[1])
    result = instance_of_mask.copy()
    for row, instance in enumerate(votes.instances):
        labels = np.flatnonzero(instance_of_mask == instance)
        first, *others = labels[np.argsort(-votes.counts[row, labels], kind="stable")] if len(labels) else [0]
        for label in others:
            seen = (sources[:, first] > 0) & (sources[:, label] > 0)
            together = sources[seen, first] == sources[seen, label]
            if 2 * together.sum() < len(together):
                result[label] = 0
    return result


def split_merged(
    instances: Int32[np.ndarray, "H W"],
    masks: Int[np.ndarray, "H W"],
    votes: Votes,
    points: CarriedPoints,
    min_points: int,
    min_share: float,
) -> Int32[np.ndarray, "H W"]:
    """Divide masks that hold points of several instances among them: each pixel goes with the points next to it.

    Args:
        instances: consistent label map of the frame so far.
        min_points, min_share: an instance takes part with at least so many points, and at least this share of the
            points in the mask.
    """
    is_strong = (votes.counts >= min_points) & (votes.counts >= min_share * votes.counts.sum(axis=0))
    under = masks_under(points, masks)
    result = instances.copy()
    for label in np.flatnonzero(is_strong.sum(axis=0) > 1):
        chosen = points.select((under == label) & np.isin(points.instances, votes.instances[is_strong[:, label]]))
        inside = masks == label
        result[inside] = _nearest_instances(chosen, inside)
    return result


def _main_sources(points: CarriedPoints, masks: Int[np.ndarray, "H W"], num_masks: int) -> Int[np.ndarray, "F L+1"]:
    """For each earlier frame the mask that most points of each mask came from; 0 = none."""
    under = masks_under(points, masks)
    result = np.zeros((int(points.frames.max(initial=-1)) + 1, num_masks), np.int64)
    for frame in range(len(result)):
        here = points.frames == frame
        counts = np.zeros((int(points.sources[here].max(initial=0)) + 1, num_masks), np.int64)
        np.add.at(counts, (points.sources[here], under[here]), 1)
        result[frame] = np.where(counts.any(axis=0), counts.argmax(axis=0), 0)
    return result


def _nearest_instances(points: CarriedPoints, inside: Bool[np.ndarray, "H W"]) -> Int32[np.ndarray, " P"]:
    """For each pixel inside, the instance of most of the points nearest to it."""
    rows, columns = np.nonzero(inside)
    count = min(_NEIGHBOURS, len(points))
    _, nearest = KDTree(points.xy).query(np.stack([columns, rows], axis=1) + 0.5, k=[*range(1, count + 1)])
    ids, index = np.unique(points.instances, return_inverse=True)
    votes = np.stack([(index[nearest] == place).sum(axis=1) for place in range(len(ids))])
    return ids[votes.argmax(axis=0)].astype(np.int32)
