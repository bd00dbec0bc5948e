"""A picture of how a phrase became instances, to see where it went wrong if it did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw

from proto_saga_ns.labels.colors import overlay

BOX_COLOR = (255, 0, 0)
DIMMED = 0.3


def picture(
    rgb: UInt8[np.ndarray, "H W 3"],
    boxes: Float[np.ndarray, "B 4"],
    mask: Bool[np.ndarray, "H W"],
    labels: Int[np.ndarray, "H W"],
    chosen: Sequence[int],
) -> UInt8[np.ndarray, "H 3*W 3"]:
    """Side by side: the view with the boxes, the mask (all else dimmed), the chosen instances in their colours.

    Args:
        rgb: the view.
        boxes: left, top, right, bottom in pixels.
        mask: what lies on the thing.
        labels: instance ids of the view.
        chosen: ids of the chosen instances.
    """
    only_chosen = np.where(np.isin(labels, np.asarray(chosen, labels.dtype)), labels, 0)
    return np.concatenate(
        [_boxed(rgb, boxes), _lit(rgb, mask), overlay(_lit(rgb, only_chosen > 0), only_chosen)], axis=1
    )


def _boxed(rgb: UInt8[np.ndarray, "H W 3"], boxes: Float[np.ndarray, "B 4"]) -> UInt8[np.ndarray, "H W 3"]:
    image = Image.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    for box in boxes:
        # A box ends where its last pixel ends.
        x0, y0, x1, y1 = (float(value) for value in box)
        draw.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=BOX_COLOR)
    return np.asarray(image)


def _lit(rgb: UInt8[np.ndarray, "H W 3"], where: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    return np.where(where[..., None], rgb, (rgb * DIMMED).astype(np.uint8))
