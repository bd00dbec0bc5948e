"""What the backends that prompt a model with a grid of points have in common: options, device, failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int32, UInt8

from proto_saga_ns.kernels.device import WITHOUT_GPU, memory_errors_are_explained
from proto_saga_ns.labels.flatten import FlattenOptions, MaskPatch, flatten_patches

if TYPE_CHECKING:
    pass

OTHER_WAYS = (
    "Other ways to masks: a folder of label maps beside the images (masks/) or anywhere (--mask-dir DIR), or "
    "--mask-source superpixel, a stand-in that needs no weights."
)
"""The end of every message that says that weights are missing."""

# Raised when the same settings begin to give other masks, so that caches are made again.
_ALGORITHM = 1


@dataclass(frozen=True)
class MaskGenerationSettings:
    """Automatic mask generation: a grid of points, one prompt each, then filters and flattening.

    The defaults are those of Gaga, with which results are compared.
    """

    points_per_side: int = 64
    """points along each side of the grid; the time grows with the square of it"""
    points_per_batch: int = 64
    """points at a time; fewer need less memory, which grows with the size of the image too"""
    pred_iou_threshold: float = 0.7
    """masks to which the model itself gives a lower IoU are dropped"""
    stability_threshold: float = 0.95
    """masks are dropped whose IoU between a raised and a lowered threshold is below this"""
    stability_offset: float = 1.0
    """how far the threshold is raised and lowered for that, in logits"""
    box_nms_threshold: float = 0.7
    """of masks whose bounding boxes have a higher IoU than this only the best is kept"""
    crop_layers: int = 0
    """also run on crops of the image, 4 for one layer, 16 more for two: finds smaller things"""
    crop_overlap: float = 512 / 1500
    """overlap of the crops, as a share of the image's shorter edge"""
    crop_points_downscale: int = 1
    """points_per_side is divided by this in every further layer of crops"""
    flatten: FlattenOptions = field(default_factory=FlattenOptions)
    """how overlapping masks become one label map"""

    def __post_init__(self) -> None:
        if self.points_per_side < 1 or self.points_per_batch < 1:
            raise ValueError("points_per_side and points_per_batch must be at least 1")

    def fingerprint(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """All that changes the masks, as JSON values: these settings and which weights.

        The batch size is left out: it changes memory and time only.
        """
        settings = asdict(self)
        for name in ("points_per_batch", "model", "checkpoint", "revision"):
            settings.pop(name, None)
        return {**settings, "weights": dict(weights), "algorithm": _ALGORITHM}


class MaskGenerator(ABC):
    """What the backends are: a model, loaded when first needed, that finds masks, which are then flattened."""

    def __init__(self, flatten: FlattenOptions) -> None:
        self._flatten = flatten

    @abstractmethod
    def load(self) -> None:
        """Get the weights and the model, once.

        Raises:
            ProtoSagaError: the extra is not installed, or the weights are missing or bad.
        """

    @abstractmethod
    def find_masks(self, image: UInt8[np.ndarray, "H W 3"]) -> list[MaskPatch]:
        """Overlapping masks of an RGB image (HWC, uint8), scored by their predicted IoU.

        Raises:
            ProtoSagaError: see ``load``; or the GPU has not enough memory.
        """

    def flatten(self, masks: Sequence[MaskPatch], height: int, width: int) -> Int32[np.ndarray, "height width"]:
        """The label map of masks found in an image of this height and width: 0 = in no mask, 1..L."""
        return flatten_patches(masks, height, width, self._flatten)

    def __call__(self, image: UInt8[np.ndarray, "H W 3"]) -> Int32[np.ndarray, "H W"]:
        """Label map of an RGB image: the masks that are found, flattened.

        Raises:
            ProtoSagaError: see ``find_masks``.
        """
        return self.flatten(self.find_masks(image), image.shape[0], image.shape[1])


def out_of_memory_is_explained(flag: str) -> AbstractContextManager[None]:
    """Turn a GPU that is out of memory into advice.

    Args:
        flag: prefix of the backend's options on the command line.

    Raises:
        ProtoSagaError: in place of torch's error.
    """

    def what_now() -> str:
        return (
            f"Try a smaller --{flag}.points-per-batch (64 is the default), or a smaller --{flag}.model. {WITHOUT_GPU}"
        )

    return memory_errors_are_explained("the masks", what_now)
