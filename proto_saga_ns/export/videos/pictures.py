"""From float images to the 8-bit pictures that are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

Output = Literal["rgb", "segmentation", "segmentation_overlay", "object", "confidence", "embedding"]
"""What the model shows of a segmented scene."""


def to_uint8(image: Float[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "H W C"]:
    """An image in [0, 1] (clipped) in 8 bits, rounded."""
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def straight_alpha(
    premultiplied: Float[np.ndarray, "H W 3"], alpha: Float[np.ndarray, "H W 1"]
) -> Float[np.ndarray, "H W 4"]:
    """RGBA as PNG and video want it, from colours rendered over black.

    Colours are divided by alpha, so that ``alpha * rgb`` is the render again; black where alpha is 0.
    """
    rgb = np.divide(premultiplied, alpha, out=np.zeros_like(premultiplied), where=alpha > 0)
    return np.concatenate([rgb.clip(0, 1), alpha], axis=-1)


def side_by_side(pictures: Sequence[UInt8[np.ndarray, "H _ _"]]) -> UInt8[np.ndarray, "H W C"]:
    """Pictures of one height from left to right; RGBA if any of them is, RGB among them opaque.

    Raises:
        ValueError: none at all, or of several heights.
    """
    channels = max(picture.shape[-1] for picture in pictures)
    return np.concatenate([_with_channels(picture, channels) for picture in pictures], axis=1)


def _with_channels(picture: UInt8[np.ndarray, "H W _"], channels: int) -> UInt8[np.ndarray, "H W C"]:
    if picture.shape[-1] == channels:
        return picture
    return np.concatenate([picture, np.full_like(picture[..., :1], 255)], axis=-1)
