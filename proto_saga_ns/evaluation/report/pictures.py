"""The report's pictures as arrays, and as data URIs. Label maps are resized to the pixels of the picture (nearest)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from PIL import Image

from proto_saga_ns.labels.colors import colorize

WRONG, MISSING = (224, 49, 49), (34, 139, 255)
"""Colours of the error map: another instance than the true one, and no instance."""
LIGHT, DARK = 205, 130
"""Greys of the hatching."""
STRIPE = 4
"""Width of a stripe of the hatching in pixels."""

Picture = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Box:
    """Pixels of a picture: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, the last ones excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, array: np.ndarray) -> np.ndarray:
        """That part of an array (H, W, ...)."""
        return array[self.top : self.bottom, self.left : self.right]


def fitting_size(picture: Picture, longest: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side shall be at most ``longest``; never larger than it is."""
    height, width, _ = picture.shape
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink(picture: Picture, size: tuple[int, int]) -> UInt8[np.ndarray, "{size[0]} {size[1]} 3"]:
    """A picture at another (height, width), averaging."""
    height, width = size
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))


def truth_picture(truth: Int[np.ndarray, "H W"], matched: Mapping[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """True instances in the colours of the predicted ones that they are matched with.

    Args:
        truth: true ids; 0 is black.
        matched: predicted id of each true instance; those that are not in it are hatched in grey.
    """
    table = _match_table(truth, matched)
    hatched = (truth > 0) & (table[truth] == 0)
    picture = colorize(table[truth])
    picture[hatched] = _hatching(*truth.shape)[hatched]
    return picture


def error_picture(
    photo: UInt8[np.ndarray, "H W 3"],
    truth: Int[np.ndarray, "H W"],
    prediction: Int[np.ndarray, "H W"],
    matched: Mapping[int, int],
) -> UInt8[np.ndarray, "H W 3"]:
    """Where the prediction errs, over a dim grey photo: ``WRONG``, ``MISSING``; void is darker than what is right."""
    grey = np.repeat(photo.mean(-1, keepdims=True), 3, -1)
    picture = np.where((truth > 0)[..., None], 0.5 * grey, 0.2 * grey)
    wrong, missing = errors(truth, prediction, matched)
    for where, color in ((wrong, WRONG), (missing, MISSING)):
        picture[where] = 0.25 * grey[where] + 0.75 * np.array(color)
    return picture.round().astype(np.uint8)


def errors(
    truth: Int[np.ndarray, "H W"], prediction: Int[np.ndarray, "H W"], matched: Mapping[int, int]
) -> tuple[Bool[np.ndarray, "H W"], Bool[np.ndarray, "H W"]]:
    """Pixels of true instances that have another instance than the matched one, and those that have none."""
    wanted = _match_table(truth, matched)[truth]
    missing = (truth > 0) & (prediction == 0)
    return (truth > 0) & (prediction > 0) & (prediction != wanted), missing


def box_around(mask: Bool[np.ndarray, "H W"], margin: float = 0.3, least: int = 12) -> Box:
    """The box around the pixels of a mask (there is one at least), with a margin: a share of its longer side."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    pad = max(least, round(margin * longer))
    return Box(
        max(int(rows[0]) - pad, 0),
        min(int(rows[-1]) + pad + 1, mask.shape[0]),
        max(int(columns[0]) - pad, 0),
        min(int(columns[-1]) + pad + 1, mask.shape[1]),
    )


def with_outline(picture: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """A white line inside the edge of a mask, and a black one outside of it: seen on any ground."""
    grown, shrunk = _grow(mask), ~_grow(~mask)
    picture = picture.copy()
    picture[grown & ~mask] = 0
    picture[mask & ~shrunk] = 255
    return picture


def dim_others(picture: UInt8[np.ndarray, "H W 3"], mask: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """A picture that is dark outside of a mask."""
    return np.where(mask[..., None], picture, picture // 4)


def photo_uri(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as a data URI that loses a little: for photos and renderings."""
    return _uri(picture, quality=82, method=4)


def flat_uri(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as a data URI that loses nothing: for areas of one colour."""
    return _uri(picture, lossless=True, method=4)


def _uri(picture: Picture, **options: int | bool) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", **options)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _match_table(truth: Int[np.ndarray, "H W"], matched: Mapping[int, int]) -> Int[np.ndarray, " M"]:
    """Predicted id of every true id up to the largest; 0 without a match."""
    table = np.zeros(int(truth.max(initial=0)) + 1, np.int64)
    for true_id, predicted in matched.items():
        if 0 < true_id < len(table):
            table[true_id] = predicted
    return table


def _hatching(height: int, width: int) -> Picture:
    stripes = np.add.outer(np.arange(height), np.arange(width)) // STRIPE % 2 == 0
    return np.repeat(np.where(stripes, LIGHT, DARK).astype(np.uint8)[..., None], 3, -1)


def _grow(mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """The mask and its four neighbours; nothing comes in over the border."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
