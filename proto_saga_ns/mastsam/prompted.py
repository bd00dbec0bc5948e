"""Instances in a new frame by prompting: each instance's carried points ask a segmenter for its mask."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.mastsam.carried import CarriedPoints
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.prompts import PromptedMask, Prompter
from proto_saga_ns.mastsam.representatives import representatives


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
