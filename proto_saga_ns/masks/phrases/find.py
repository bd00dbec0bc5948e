"""From a phrase to instances: boxes, the mask in them, and the instances that lie on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from proto_saga_ns.masks.phrases.box_masks import check_boxes, make_predictor, masks_of_boxes
from proto_saga_ns.masks.phrases.grounding import FoundBoxes, GroundingDino
from proto_saga_ns.masks.phrases.options import DEFAULT_MIN_SHARE, TextOptions

if TYPE_CHECKING:
    from segment_anything import SamPredictor


class FoundInstance(NamedTuple):
    """An instance that was chosen, and the share of its pixels that lies on the mask."""

    id: int
    share: float


@dataclass(frozen=True)
class TextMask:
    """Where in one image the thing is.

    Attributes:
        boxes: what was found; masks were made of these.
        mask: the union of their masks.
    """

    boxes: FoundBoxes
    mask: Bool[np.ndarray, "H W"]


class Finder(Protocol):
    """Finds in an image what a phrase means."""

    def find(self, rgb: UInt8[np.ndarray, "H W 3"], phrase: str) -> TextMask:
        """Boxes and mask of what a phrase means; nothing found is no box and an empty mask.

        Raises:
            ProtoSagaError: what a person can mend, such as an empty phrase or weights that are missing.
        """
        ...


class TextFinder:
    """Grounding DINO for boxes, Segment Anything for masks. Loads each when first needed, and keeps it."""

    def __init__(self, options: TextOptions | None = None) -> None:
        self._options = options or TextOptions()
        self._grounding = GroundingDino(self._options)
        self._predictor: SamPredictor | None = None

    def load(self, with_text: bool = True) -> None:
        """Load the models before they are needed; without text that for masks alone, enough for boxes that are given.

        Raises:
            ProtoSagaError: an extra is not installed, or weights are missing or bad.
        """
        if with_text:
            self._grounding.load()
        self._sam()

    def find(self, rgb: UInt8[np.ndarray, "H W 3"], phrase: str) -> TextMask:
        """See ``Finder``."""
        boxes = self._grounding.boxes(rgb, phrase)
        return TextMask(boxes, self._mask(rgb, boxes.xyxy))

    def find_in_boxes(self, rgb: UInt8[np.ndarray, "H W 3"], boxes: Float[np.ndarray, "B 4"]) -> TextMask:
        """The mask of boxes that are given, left, top, right, bottom in pixels; no text model takes part.

        Raises:
            ProtoSagaError: a box covers nothing of the image; or the weights are missing.
        """
        check_boxes(boxes, rgb.shape[0], rgb.shape[1])
        given = FoundBoxes(boxes, np.ones(len(boxes)), ("",) * len(boxes))
        return TextMask(given, self._mask(rgb, boxes))

    def _mask(self, rgb: UInt8[np.ndarray, "H W 3"], boxes: Float[np.ndarray, "B 4"]) -> Bool[np.ndarray, "H W"]:
        if len(boxes) == 0:
            return np.zeros(rgb.shape[:2], bool)
        return masks_of_boxes(self._sam(), rgb, boxes).any(axis=0)

    def _sam(self) -> SamPredictor:
        if self._predictor is None:
            self._predictor = make_predictor(self._options.sam)
        return self._predictor


def instances_on(
    labels: Int[np.ndarray, "H W"], mask: Bool[np.ndarray, "H W"], min_share: float = DEFAULT_MIN_SHARE
) -> list[FoundInstance]:
    """The instances of which more than a share lies on a mask, the best covered first (see ``covered_instances``)."""
    shares = covered_shares(labels, mask)
    chosen = [FoundInstance(instance, shares[instance]) for instance in covered_instances(labels, mask, min_share)]
    return sorted(chosen, key=lambda found: (-found.share, found.id))


def find_instances(
    rgb: UInt8[np.ndarray, "H W 3"],
    labels: Int[np.ndarray, "H W"],
    phrase: str,
    finder: Finder,
    min_share: float = DEFAULT_MIN_SHARE,
) -> list[FoundInstance]:
    """The instances that a phrase means, by one view of the scene, the best covered first.

    Args:
        rgb: rendered colours of the view.
        labels: instance ids of the same view, 0 for none.
        phrase: what to look for; several things are parted by dots.
        finder: keeps its models from call to call.
        min_share: an instance is chosen if more than this share of its pixels lies on the mask.

    Raises:
        ProtoSagaError: see ``Finder``.
    """
    return instances_on(labels, finder.find(rgb, phrase).mask, min_share)


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
