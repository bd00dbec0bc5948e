"""What a segmenter is: anything that takes an image apart into masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int32, UInt8

from proto_saga_ns.labels.flatten import MaskPatch


class Segmenter(Protocol):
    """Image to label map. The mask cache keeps what it makes, under its name and settings."""

    @property
    def name(self) -> str:
        """Short name of the backend, fit for a folder."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes the result, as JSON values; other settings mean another cache folder."""
        ...

    def __call__(self, image: UInt8[np.ndarray, "H W 3"]) -> Int32[np.ndarray, "H W"]:
        """Label map of an RGB image (HWC, uint8): 0 = unlabelled, 1..L without gaps."""
        ...


@runtime_checkable
class OverlappingSegmenter(Segmenter, Protocol):
    """A segmenter whose masks overlap before it flattens them: calling it is finding, then flattening."""

    def find_masks(self, image: UInt8[np.ndarray, "H W 3"]) -> list[MaskPatch]:
        """The masks of an RGB image, scored by their predicted IoU."""
        ...

    def flatten(self, masks: Sequence[MaskPatch], height: int, width: int) -> Int32[np.ndarray, "height width"]:
        """The label map of masks that were found in an image of this height and width."""
        ...


@runtime_checkable
class ModelSegmenter(Segmenter, Protocol):
    """A segmenter with a model to load, which may take long or fail: weights to download, a GPU to fill."""

    def load(self) -> None:
        """Get ready, unless that was done before; without this the first image does it.

        Raises:
            ProtoSagaError: the model cannot be had.
        """
        ...
