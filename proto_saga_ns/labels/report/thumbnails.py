"""Small pictures of masks over images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from proto_saga_ns.colors import colorize
from proto_saga_ns.labels.images import read_rgb
from proto_saga_ns.labels.maps import resize_label_map

_OPACITY = 0.55


def thumbnail(image_path: Path, labels: Int[np.ndarray, "H W"] | None, width: int) -> UInt8[np.ndarray, "h width 3"]:
    """Masks in their colours over the photo, with bright outlines; the dimmed photo alone where nothing is labelled.

    Raises:
        ProtoSagaError: the image is unreadable.
    """
    photo = Image.fromarray(read_rgb(image_path))
    height = max(1, round(photo.height * width / photo.width))
    small = np.asarray(photo.resize((width, height), Image.Resampling.BOX))
    grey = np.repeat(small.mean(-1, keepdims=True), 3, -1)
    if labels is None:
        return (0.5 * grey).astype(np.uint8)
    map_small = resize_label_map(labels, height, width)
    mixed = (1 - _OPACITY) * small + _OPACITY * colorize(map_small)
    picture = np.where((map_small > 0)[..., None], mixed, 0.5 * grey)
    picture[_outline(map_small)] = 255
    return picture.round().astype(np.uint8)


def jpeg(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A picture as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=82)
    return buffer.getvalue()


def contact_sheet(pictures: list[UInt8[np.ndarray, "h w 3"]], columns: int, gap: int = 4) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures in rows on white, each at the top left of a cell that the largest fits into."""
    height = max(picture.shape[0] for picture in pictures) + gap
    width = max(picture.shape[1] for picture in pictures) + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * height - gap, columns * width - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return sheet


def _outline(labels: Int[np.ndarray, "H W"]) -> np.ndarray:
    """Pixels whose right or lower neighbour has another label."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge
