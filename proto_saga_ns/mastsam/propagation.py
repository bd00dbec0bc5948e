"""Instances for the masks that a new frame brings along, by the votes of the points that were carried into them.

This is what the tracker does without a segmenter that takes prompts: any source of masks will do. Votes of all
earlier frames of the window count, so that one frame with a bad mask does not decide. In what follows
``instance_of_mask`` has an entry a mask, 0 for those without an instance; entry 0, of the unlabelled pixels, is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from jaxtyping import Int, Int32

from proto_saga_ns.mastsam.carried import CarriedPoints, TrackedFrame
from proto_saga_ns.mastsam.matches import Matches, pixels_of

# Masks of the same thing in views side by side differ in area by less than this factor.
_ALIKE = 4.0


@dataclass(frozen=True)
class Votes:
    """How many points of each instance were carried into each mask.

    Attributes:
        instances: the I ids that occur, ascending.
        counts: column l is mask l; column 0, the unlabelled pixels, is empty.
    """

    instances: Int[np.ndarray, " I"]
    counts: Int[np.ndarray, "I labels"]

    def winners(self, min_points: int, min_share: float) -> Int32[np.ndarray, " labels"]:
        """The instance with the most points in each mask; 0 if these are fewer than ``min_points``, or than
        ``min_share`` of all points in the mask. Of equals the older instance wins."""
        if len(self.instances) == 0:
            return np.zeros(self.counts.shape[1], np.int32)
        best = self.counts.max(axis=0)
        is_clear = (best >= min_points) & (best >= min_share * self.counts.sum(axis=0))
        return np.where(is_clear, self.instances[self.counts.argmax(axis=0)], 0).astype(np.int32)

    def without(self, row: int, label: int) -> Votes:
        """The same, but for what one instance has in one mask."""
        counts = self.counts.copy()
        counts[row, label] = 0
        return Votes(self.instances, counts)


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
    instance_of_mask: Int32[np.ndarray, " labels"],
    votes: Votes,
    points: CarriedPoints,
    masks: Int[np.ndarray, "H W"],
    min_points: int,
    min_share: float,
) -> Int32[np.ndarray, " labels"]:
    """Take an instance from masks that most earlier frames knew as masks of their own.

    Where one frame has merged two objects, both masks of the next one win the same instance. The mask with more of
    its points keeps it. The other keeps it too if most frames that saw points of both had them in one mask; if not,
    it takes its second best, by the rules of ``winners``, or none, to found an instance of its own.
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
                result[label] = votes.without(row, label).winners(min_points, min_share)[label]
    return result


def guess_by_position(
    instance_of_mask: Int32[np.ndarray, " labels"],
    guesses: CarriedPoints,
    masks: Int[np.ndarray, "H W"],
    areas: Mapping[int, float],
    min_share: float,
) -> Int32[np.ndarray, " labels"]:
    """Instances for masks that have none, by where their surroundings went (``carried.interpolate``).

    An instance that no mask has won may be in a mask that holds enough of its guessed points, as seen from an earlier
    frame, and is about as large. The mask takes the one that most earlier frames say this of; each instance is
    guessed once.

    Args:
        guesses: points of all instances.
        areas: number of pixels of each instance in the earlier frames, on average.
        min_share: what is enough.
    """
    sizes = np.bincount(masks.reshape(-1))
    under = masks_under(guesses, masks)
    supporters: Counter[tuple[int, int]] = Counter()
    for frame in np.unique(guesses.frames):
        here = guesses.frames == frame
        counts = Counter(zip(guesses.instances[here].tolist(), under[here].tolist(), strict=True))
        totals = Counter(guesses.instances[here].tolist())
        supporters.update(
            (instance, label)
            for (instance, label), count in counts.items()
            if label and count >= min_share * totals[instance] and _alike(sizes[label], areas[instance])
        )
    result = instance_of_mask.copy()
    taken = set(result.tolist())
    for (instance, label), _ in sorted(supporters.items(), key=lambda item: (-item[1], item[0])):
        if result[label] == 0 and instance not in taken:
            result[label] = instance
            taken.add(instance)
    return result


def with_unlabelled_regions(masks: Int32[np.ndarray, "H W"], min_area: int) -> Int32[np.ndarray, "H W"]:
    """Connected unlabelled regions as further masks: the segmenter may have missed an instance that the points know."""
    from skimage import measure

    regions = cast(Any, measure.label(masks == 0, connectivity=1))
    is_large = np.bincount(regions.reshape(-1)) >= min_area
    is_large[0] = False
    number = np.where(is_large, np.cumsum(is_large) + int(masks.max(initial=0)), 0)
    return np.where(masks == 0, number[regions], masks).astype(np.int32)


def without_empty_regions(
    masks: Int32[np.ndarray, "H W"], own: int, matches: Sequence[Matches], earlier: Sequence[TrackedFrame]
) -> Int32[np.ndarray, "H W"]:
    """Drop unlabelled regions of which most points were in no instance before: there is none to be found.

    Where masks cover a few objects alone, what lies around these is one region, and the few points that stray from an
    object into it are not outvoted by anything.

    Args:
        masks: as ``with_unlabelled_regions`` gives them.
        own: number of the frame's own masks; what has a higher label is a region.
        matches: between each earlier frame and this one.
        earlier: those frames.
    """
    counts = np.zeros((2, int(masks.max(initial=0)) + 1), np.int64)
    for found, old in zip(matches, earlier, strict=True):
        in_instance = old.instances[tuple(pixels_of(found.xy_a).T)] > 0
        np.add.at(counts, (in_instance.astype(int), masks[tuple(pixels_of(found.xy_b).T)]), 1)
    is_empty = counts[0] > counts[1]
    is_empty[: own + 1] = False
    return np.where(is_empty[masks], 0, masks).astype(np.int32)


def _alike(size: Any, other: float) -> bool:
    return size < _ALIKE * other and other < _ALIKE * size


def _main_sources(points: CarriedPoints, masks: Int[np.ndarray, "H W"], num_masks: int) -> Int[np.ndarray, "F labels"]:
    """For each earlier frame the mask that most points of each mask came from; 0 = none."""
    under = masks_under(points, masks)
    result = np.zeros((int(points.frames.max(initial=-1)) + 1, num_masks), np.int64)
    for frame in range(len(result)):
        here = points.frames == frame
        counts = np.zeros((int(points.sources[here].max(initial=0)) + 1, num_masks), np.int64)
        np.add.at(counts, (points.sources[here], under[here]), 1)
        result[frame] = np.where(counts.any(axis=0), counts.argmax(axis=0), 0)
    return result
