"""The points tracker (MastSAM, Sec. IV.D): which instance the pixels of a new frame belong to.

Points of earlier frames are carried into the new one by matches. With a segmenter that takes prompts they prompt a mask
for every instance (``prompted``); without one they vote for the masks that the new frame brings along
(``propagation``). What is left of the frame's own masks founds new instances (unmasked region initialisation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int32

from proto_saga_ns.mastsam.carried import CarriedPoints, TrackedFrame, carry, interpolate
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.prompts import PromptedMask, Prompter
from proto_saga_ns.mastsam.propagation import (
    count_votes,
    guess_by_position,
    masks_under,
    tell_apart,
    with_unlabelled_regions,
    without_empty_regions,
)
from proto_saga_ns.mastsam.representatives import representatives

FindMatches = Callable[[Frame, Frame], Matches]
"""Filtered matches between an earlier frame and the new one."""


@dataclass(frozen=True)
class TrackerOptions:
    """How instances are followed from frame to frame."""

    points_per_mask: int = 16
    """representative points of each mask that vote, and of each instance that make up a prompt (K of K-Means)"""
    min_points: int = 2
    """a mask joins an instance with at least this many of its points"""
    min_share: float = 0.3
    """and at least this share of all points that were carried into the mask"""
    initialise: bool = True
    """found new instances in what the known ones leave uncovered (unmasked region initialisation); otherwise only those
    of the first frame are followed"""
    min_area: int = 60
    """uncovered or unlabelled regions of fewer pixels than this are left alone"""
    reach: float = 40.0
    """instances without matches are looked for where their surroundings went, if there is a match within this distance
    (pixels); 0 does not"""
    min_overlap: float = 0.3
    """and are found in a mask that holds at least this share of them"""
    min_visible: float = 0.2
    """with prompts: masks of which no more than this share is left uncovered by better ones are dropped"""

    def __post_init__(self) -> None:
        if self.points_per_mask < 1 or self.min_points < 1 or self.min_area < 1:
            raise ValueError("points_per_mask, min_points and min_area must be at least 1")


def place_frame(
    frame: Frame,
    masks: Int32[np.ndarray, "H W"],
    earlier: Sequence[TrackedFrame],
    find_matches: FindMatches,
    next_instance: int,
    options: TrackerOptions,
    prompter: Prompter | None = None,
) -> TrackedFrame:
    """Find the instances of a frame.

    Args:
        masks: label map of the frame itself, from any segmenter; 0 = unlabelled.
        earlier: frames to compare with, the most telling first.
        next_instance: the first free id; new instances take it and those that follow.
        prompter: a segmenter that takes prompts; None lets the frame's own masks take the instances.
    """
    # One set of matches a pair serves points and guesses.
    matches = [find_matches(old.frame, frame) for old in earlier]
    points = CarriedPoints.joined([carry(found, old) for found, old in zip(matches, earlier, strict=True)])
    if prompter is None:
        guesses = _guesses(matches, earlier, frame, options)
        instances = _vote(masks, points, guesses, matches, earlier, options)
    else:
        instances = prompt_instances(
            frame, points, prompter, options.min_points, options.points_per_mask, options.min_visible
        )
    if options.initialise or next_instance == 1:
        instances = initialise(instances, masks, next_instance, options.min_area)
    return TrackedFrame(frame, masks, instances)


def initialise(
    instances: Int32[np.ndarray, "H W"], masks: Int32[np.ndarray, "H W"], next_instance: int, min_area: int
) -> Int32[np.ndarray, "H W"]:
    """Unmasked region initialisation: masks that the known instances leave uncovered for the most part found new ones.

    Args:
        instances: consistent label map so far; 0 = uncovered.
        masks: label map of the frame itself.
        next_instance: the first free id.
        min_area: masks with fewer uncovered pixels than this found nothing.
    """
    uncovered = np.bincount(masks[instances == 0], minlength=int(masks.max(initial=0)) + 1)
    area = np.bincount(masks.reshape(-1), minlength=len(uncovered))
    is_new = (uncovered >= min_area) & (2 * uncovered > area)
    is_new[0] = False
    ids = np.where(is_new, next_instance + np.cumsum(is_new) - 1, 0)
    return np.where(instances == 0, ids[masks], instances).astype(np.int32)


def _vote(
    own_masks: Int32[np.ndarray, "H W"],
    points: CarriedPoints,
    guesses: CarriedPoints,
    matches: Sequence[Matches],
    earlier: Sequence[TrackedFrame],
    options: TrackerOptions,
) -> Int32[np.ndarray, "H W"]:
    if not own_masks.any():
        # Nothing that could be voted for: one region over everything is no mask.
        return np.zeros_like(own_masks)
    masks = with_unlabelled_regions(own_masks, options.min_area)
    masks = without_empty_regions(masks, int(own_masks.max()), matches, earlier)
    # Masks found these instances, regions without one only took them over.
    points = points.select(points.sources > 0)
    points = points.select(_voters(points, masks, options.points_per_mask))
    votes = count_votes(points, masks)
    winners = votes.winners(options.min_points, options.min_share)
    placed = tell_apart(winners, votes, points, masks, options.min_points, options.min_share)
    if len(guesses):
        placed = guess_by_position(placed, guesses, masks, _mean_areas(earlier), options.min_overlap)
    return placed[masks]


def _voters(points: CarriedPoints, masks: Int32[np.ndarray, "H W"], per_mask: int) -> Int[np.ndarray, " K"]:
    """Representatives of each mask among the points of each earlier frame."""
    under = masks_under(points, masks)
    return representatives(points.xy, points.frames * (int(masks.max(initial=0)) + 1) + under, per_mask)


def _guesses(
    matches: Sequence[Matches], earlier: Sequence[TrackedFrame], frame: Frame, options: TrackerOptions
) -> CarriedPoints:
    if options.reach <= 0:
        return CarriedPoints.none()
    pairs = zip(matches, earlier, strict=True)
    return CarriedPoints.joined(
        [interpolate(found, old, options.points_per_mask, options.reach, frame.size) for found, old in pairs]
    )


def _mean_areas(frames: Sequence[TrackedFrame]) -> dict[int, float]:
    """Pixels of each instance in the frames that show it, on average."""
    areas: dict[int, list[int]] = {}
    for tracked in frames:
        counts = np.bincount(tracked.instances.reshape(-1))
        for instance in np.flatnonzero(counts).tolist():
            areas.setdefault(instance, []).append(int(counts[instance]))
    return {instance: sum(found) / len(found) for instance, found in areas.items()}


def prompt_instances(
    frame: Frame, points: CarriedPoints, prompter: Prompter, min_points: int, per_instance: int, min_visible: float
) -> Int32[np.ndarray, "H W"]:
    """The consistent label map of the instances that were carried into a frame.

    Args:
        points: carried from the earlier frames.
        min_points: instances with fewer points are not looked for.
        per_instance: representative points that make up a prompt.
        min_visible: see ``paint``.
    """
    ids, counts = np.unique(points.instances, return_counts=True)
    ids = ids[counts >= min_points]
    if len(ids) == 0:
        return np.zeros(frame.size, np.int32)
    chosen = points.select(representatives(points.xy, points.instances, per_instance))
    prompter.set_frame(frame)
    found = prompter.masks_of([chosen.xy[chosen.instances == instance] for instance in ids])
    return paint(dict(zip(ids.tolist(), found, strict=True)), frame.size, min_visible)


def paint(found: dict[int, PromptedMask], size: tuple[int, int], min_visible: float) -> Int32[np.ndarray, "H W"]:
    """Overlap filter (Sec. IV.D): the best mask lies on top, and one that is mostly covered is dropped.

    Args:
        found: mask and score of each instance; of equal scores the older instance, with the lower id, is better.
        size: (height, width).
        min_visible: a mask of which no more than this share is uncovered is dropped.
    """
    labels = np.zeros(size, np.int32)
    for instance, prompted in sorted(found.items(), key=lambda item: (-item[1].score, item[0])):
        visible = prompted.mask & (labels == 0)
        if visible.sum() > min_visible * prompted.mask.sum():
            labels[visible] = instance
    return labels
