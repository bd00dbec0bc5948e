"""The points tracker (MastSAM, Sec. IV.D): which instance the pixels of a new frame belong to.

Points of earlier frames are carried into the new one by matches. With a segmenter that takes prompts they prompt a mask
for every instance (``prompted``); without one they vote for the masks that the new frame brings along
(``propagation``). What is left of the frame's own masks founds new instances (unmasked region initialisation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.mastsam.carried import CarriedPoints, TrackedFrame, carry, interpolate
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.prompted import prompt_instances
from proto_saga_ns.mastsam.prompts import Prompter
from proto_saga_ns.mastsam.propagation import (
    count_votes,
    fill_by_position,
    masks_under,
    tell_apart,
    with_unlabelled_regions,
)
from proto_saga_ns.mastsam.representatives import representatives

FindMatches = Callable[[Frame, Frame], Matches]
"""Filtered matches between an earlier frame and the new one."""


@dataclass(frozen=True)
class TrackerOptions:
    """How instances are followed from frame to frame."""

    points_per_mask: int = 16
    """representative points of each mask, and of each instance, that are carried on (K of K-Means)"""
    min_points: int = 2
    """a mask joins an instance with at least this many of its points"""
    min_share: float = 0.3
    """and at least this share of all points that were carried into the mask"""
    initialise: bool = True
    """found new instances in what the known ones leave uncovered (unmasked region initialisation)"""
    min_area: int = 60
    """uncovered or unlabelled regions of fewer pixels than this are left alone"""
    reach: float = 40.0
    """instances without matches are looked for where their surroundings went, if there is a match within this distance
    (pixels); 0 does not"""
    overlap: float = 0.3
    """they are found in a mask that holds at least this share of them"""
    max_visible_loss: float = 0.8
    """with prompts: masks of which more than this share is covered by better ones are dropped (overlap filter)"""

    def __post_init__(self) -> None:
        if self.points_per_mask < 1 or self.min_points < 1:
            raise ValueError("points_per_mask and min_points must be at least 1")


@dataclass(frozen=True)
class Placed:
    """A new frame with its instances, and how well they are founded.

    Attributes:
        tracked: the frame.
        num_points: points that were carried into it.
        next_instance: the first id that is still free.
    """

    tracked: TrackedFrame
    num_points: int
    next_instance: int


def place_frame(
    frame: Frame,
    own_masks: Int32[np.ndarray, "H W"],
    near: Sequence[TrackedFrame],
    far: Sequence[TrackedFrame],
    find_matches: FindMatches,
    next_instance: int,
    options: TrackerOptions,
    prompter: Prompter | None = None,
) -> Placed:
    """Find the instances of a frame.

    Args:
        own_masks: label map of the frame itself, from any segmenter; 0 = unlabelled.
        near: earlier frames to compare with.
        far: more of them, that are only asked about what the near ones do not know: an instance that comes back gets
            its old id.
        next_instance: the first free id.
        prompter: a segmenter that takes prompts; None lets the frame's own masks take the instances.
    """
    masks = with_unlabelled_regions(own_masks, options.min_area)
    evidence = _Evidence.gather(frame, masks, near, find_matches, options)
    place = _place_by_votes if prompter is None else _place_by_prompts
    instances = place(frame, masks, own_masks, evidence, options, prompter)
    if far and _unknown(instances, own_masks, options.min_area):
        more = _Evidence.gather(frame, masks, far, find_matches, options)
        more = more.of_unseen(instances)
        ...
    raise NotImplementedError
