"""One object, shown in one view, is found in all others: how NVOS and SPIn-NeRF are measured.

In the reference view a mask or some points show an object. They choose instances; in every other view the pixels of
these are compared with the true mask there. The reference view itself never counts. What the peers do, and where they
differ, stands in ``docs/protocols.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from proto_saga_ns.evaluation.lerf_mask import iou
from proto_saga_ns.masks.phrases.find import covered_instances

MIN_SHARE = 0.5
"""An instance is chosen if more than this share of it lies on the mask of the reference view."""
MIN_STROKE = 0.05
"""Less than this share of a scribble lies on an instance by accident, at its ends."""


@dataclass(frozen=True)
class Choice:
    """What was chosen in the reference view.

    Attributes:
        granularity: of the level that was taken (``recognition/granularity.py``).
        ids: in label maps of that level, ascending; none if nothing was found.
        iou: of their union with the mask of the reference view, in [0, 1]; None if points chose them.
    """

    granularity: float
    ids: tuple[int, ...]
    iou: float | None = None


def chosen_by_mask(levels: Mapping[float, Int[np.ndarray, "H W"]], mask: Bool[np.ndarray, "H W"]) -> Choice:
    """The instances of which more than half lies on a mask, at the level at which their union fits it best.

    Args:
        levels: label maps of the reference view by granularity. Of levels that fit equally well the coarsest is taken.
        mask: of the object in the same view.

    Raises:
        ValueError: there is no level, or sizes differ.
    """
    choices = []
    for granularity, labels in sorted(levels.items()):
        ids = covered_instances(labels, mask, MIN_SHARE)
        choices.append(Choice(granularity, ids, iou(np.isin(labels, ids), mask)))
    return max(choices, key=lambda choice: choice.iou or 0.0)


def chosen_by_points(
    positive: Int[np.ndarray, " P"], negative: Int[np.ndarray, " Q"], min_share: float = 0.0
) -> tuple[int, ...]:
    """The instances on which more positive than negative points lie, ascending.

    Args:
        positive: ids at the points that lie on the object; 0 is no instance and is never chosen.
        negative: ids at the points that do not.
        min_share: of the positive points that have to lie on an instance.
    """
    counts = np.bincount(positive, minlength=negative.max(initial=0) + 1)
    against = np.bincount(negative, minlength=len(counts))
    chosen = (counts > against) & (counts >= min_share * len(positive))
    return tuple(int(number) for number in np.flatnonzero(chosen) if number)


@dataclass(frozen=True)
class MaskScores:
    """Agreement of a mask with the truth in one view, both in [0, 1].

    Attributes:
        iou: intersection over union; 1 for two empty masks.
        accuracy: share of the pixels that are right.
    """

    iou: float
    accuracy: float


class ReferenceMaskProtocol:
    """Collects the masks of the views but the reference; every view counts the same.

    Args:
        reference: name of the reference view.
        choice: made in it. If it is of nothing, every view scores 0: an empty mask is right in most pixels.
    """

    def __init__(self, reference: str, choice: Choice) -> None:
        self.reference, self.choice = reference, choice
        self._views: dict[str, MaskScores] = {}
        self._intersection = self._union = 0

    def add(self, view: str, truth: Bool[np.ndarray, "H W"], labels: Int[np.ndarray, "H W"]) -> None:
        """Take one view.

        Args:
            view: its name.
            truth: of the object.
            labels: ids of the level of the choice.

        Raises:
            ValueError: it is the reference view, or sizes differ.
        """
        if view == self.reference:
            raise ValueError(f"{view} is the reference view")
        own = np.isin(labels, self.choice.ids)
        scores = MaskScores(iou(truth, own), float((truth == own).mean()))
        self._views[view] = scores if self.choice.ids else MaskScores(0.0, 0.0)
        self._intersection += np.count_nonzero(truth & own)
        self._union += np.count_nonzero(truth | own)

    def by_view(self) -> dict[str, MaskScores]:
        """In the order in which the views came."""
        return dict(self._views)

    def figures(self) -> dict[str, float | int]:
        """IoU and accuracy, means over the views in percent, and the IoU of the pixels of all views together.

        Raises:
            ValueError: there was no view.
        """
        if not self._views:
            raise ValueError("no view was added")
        scores = self._views.values()
        return {
            "IoU": 100 * float(np.mean([score.iou for score in scores])),
            "accuracy": 100 * float(np.mean([score.accuracy for score in scores])),
            "IoU of all pixels": 100 * self._intersection / max(self._union, 1),
            "views": len(scores),
        }
