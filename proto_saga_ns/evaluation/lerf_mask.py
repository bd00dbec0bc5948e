"""LERF-Mask: instances that a phrase means, by how much of each lies on the phrase's mask, and how good they are.

The protocol is Gaussian Grouping's (``render_lerf_mask.py`` with ``ext/grounded_sam.py``, then ``eval_lerf_mask.py``).
The phrase's mask comes from ``proto_saga_ns.text``; here stand the rule that chooses instances by it, and the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from proto_saga_ns.evaluation.mask_scores import boundary_iou, iou


def covered_shares(labels: Int[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"]) -> dict[int, float]:
    """For each instance that is seen, in ascending order, the share of its pixels that lie on the mask, in [0, 1].

    Args:
        labels: instance ids of one view; 0 is no instance and takes no part.
        mask: of the same view.

    Raises:
        ValueError: sizes differ, the mask is not boolean, or an id is negative.
    """
    if labels.shape != mask.shape or labels.ndim != 2:
        raise ValueError(f"label map and mask must have one size (H, W), got {labels.shape} and {mask.shape}")
    if mask.dtype != bool:
        raise ValueError(f"the mask must be boolean, got {mask.dtype}")
    if labels.min(initial=0) < 0:
        raise ValueError("ids in label maps are never negative")
    pixels = np.bincount(labels.ravel())
    on_mask = np.bincount(labels[mask], minlength=len(pixels))
    return {int(index): float(on_mask[index] / pixels[index]) for index in np.flatnonzero(pixels) if index != 0}


def covered_instances(
    labels: Int[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], min_share: float = 0.7
) -> tuple[int, ...]:
    """Ids of the instances of which more than a share lies on a mask, ascending; ``covered_shares`` tells how much.

    This is ``select_obj_ioa`` of Gaussian Grouping, with one difference: there class 0, what belongs to no mask of the
    training views, can be chosen as well; here 0 never is.

    Args:
        labels: instance ids of one view.
        mask: of the same view.
        min_share: in [0, 1); the protocol's is 0.7.

    Raises:
        ValueError: see ``covered_shares``; or ``min_share`` is out of its range.
    """
    if not 0 <= min_share < 1:
        raise ValueError(f"min_share must be at least 0 and below 1, got {min_share}")
    return tuple(instance for instance, share in covered_shares(labels, mask).items() if share > min_share)


@dataclass(frozen=True)
class PhraseScores:
    """Agreement of the masks of one phrase with the truth, mean over the views that show it.

    Attributes:
        iou, boundary_iou: in [0, 1].
        num_views: views with a true mask.
    """

    iou: float
    boundary_iou: float
    num_views: int


class PhraseProtocol:
    """Collects the masks of phrases: mean over the views of each, then over phrases (``eval_lerf_mask.py``)."""

    def __init__(self) -> None:
        self._scores: dict[str, list[tuple[float, float]]] = {}

    def add(self, phrase: str, truth: Bool[np.ndarray, "H W"], predicted: Bool[np.ndarray, "H W"]) -> None:
        """Take one mask of one view.

        Raises:
            ValueError: sizes differ.
        """
        self._scores.setdefault(phrase, []).append((iou(truth, predicted), boundary_iou(truth, predicted)))

    def by_phrase(self) -> dict[str, PhraseScores]:
        """In the order of the phrases' names."""
        found = {}
        for phrase, views in sorted(self._scores.items()):
            area, along_border = np.mean(views, axis=0)
            found[phrase] = PhraseScores(float(area), float(along_border), len(views))
        return found

    def figures(self) -> dict[str, float]:
        """mIoU and mBIoU as percentages.

        Raises:
            ValueError: there was no mask.
        """
        scores = list(self.by_phrase().values())
        if not scores:
            raise ValueError("no mask was added")
        return {
            "mIoU": 100 * float(np.mean([score.iou for score in scores])),
            "mBIoU": 100 * float(np.mean([score.boundary_iou for score in scores])),
        }
