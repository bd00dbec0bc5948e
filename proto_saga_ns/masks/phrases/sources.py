"""Where masks of phrases come from: files, boxes that are given, or the text model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, UnidentifiedImageError

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.masks.phrases.find import TextFinder

TextMasks = Callable[[UInt8[np.ndarray, "H W 3"], str], Bool[np.ndarray, "H W"]]
"""From an image and a phrase to the phrase's mask."""


def masks_in_folder(folder: Path) -> TextMasks:
    """``<phrase>.png``; an empty mask where there is none.

    Raises:
        ProtoSagaError: no such folder, or no PNG in it; later: a mask cannot be read or is not of the image's size.
    """
    if not any(folder.glob("*.png")):
        raise ProtoSagaError(f"{folder} holds no mask; expected <phrase>.png for the first test view.")

    def read(rgb: UInt8[np.ndarray, "H W 3"], phrase: str) -> Bool[np.ndarray, "H W"]:
        file = folder / f"{phrase}.png"
        if not file.is_file():
            return np.zeros(rgb.shape[:2], bool)
        mask = read_mask(file)
        if mask.shape != rgb.shape[:2]:
            sizes = (f"{width} x {height}" for height, width in (mask.shape, rgb.shape[:2]))
            raise ProtoSagaError(f"The mask {file} is {' pixels, the rendered view '.join(sizes)}. Expected one size.")
        return mask

    return read


def masks_in_boxes(file: Path, finder: TextFinder) -> TextMasks:
    """Masks of the boxes in a JSON file; empty for a phrase without boxes.

    Raises:
        ProtoSagaError: the file is not of this form, or the weights are missing; later: a box covers nothing.
    """
    boxes = _read_boxes(file)
    finder.load(with_text=False)

    def find(rgb: UInt8[np.ndarray, "H W 3"], phrase: str) -> Bool[np.ndarray, "H W"]:
        return finder.find_in_boxes(rgb, boxes.get(phrase, np.zeros((0, 4)))).mask

    return find


def masks_by_model(finder: TextFinder) -> TextMasks:
    """Masks of what the text model finds.

    Raises:
        ProtoSagaError: an extra is not installed, or weights are missing or bad.
    """
    finder.load()
    return lambda rgb, phrase: finder.find(rgb, phrase).mask


def _read_boxes(file: Path) -> dict[str, Float[np.ndarray, "_B 4"]]:
    try:
        content = json.loads(file.read_text())
        found = {str(phrase): np.array(boxes, np.float64).reshape(len(boxes), 4) for phrase, boxes in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ProtoSagaError(
            f'{file} cannot be read ({error}). Expected JSON such as {{"red chair": [[12, 30, 90, 120]]}}.'
        ) from error
    return found


ON = 128
"""Masks are grey images; values from here on are inside."""


def read_mask(file: Path) -> Bool[np.ndarray, "H W"]:
    """A grey image as a mask.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    try:
        with Image.open(file) as image:
            return np.asarray(image.convert("L")) >= ON
    except (OSError, UnidentifiedImageError) as error:
        raise ProtoSagaError(f"The mask {file} cannot be read ({error}). Expected a grey PNG, 255 inside.") from error
