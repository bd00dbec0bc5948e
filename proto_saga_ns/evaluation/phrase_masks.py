"""The true masks of LERF-Mask: ``test_mask/<test view>/<phrase>.png``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image, UnidentifiedImageError

from proto_saga_ns.errors import ProtoSagaError

ON = 128
"""Masks are grey images; values from here on are inside."""


def phrase_masks(test_mask: Path, stems: Sequence[str]) -> list[dict[str, Path]]:
    """The masks of each test view by phrase; empty for a view that has no folder.

    Args:
        test_mask: folder with one folder a test view, called by the view's number from 0 or by its image's stem.
        stems: of the images of the test views, in natural order.

    Raises:
        ProtoSagaError: there is no mask at all, or a folder that belongs to no test view.
    """
    if not test_mask.is_dir():
        raise ProtoSagaError(f"{test_mask} is no folder; expected LERF-Mask's test_mask/, with a folder a test view.")
    number = {name: index for index, stem in enumerate(stems) for name in (str(index), stem)}
    found: list[dict[str, Path]] = [{} for _ in stems]
    for folder in sorted(path for path in test_mask.iterdir() if path.is_dir()):
        if folder.name not in number:
            raise ProtoSagaError(
                f"{folder} belongs to no test view: the run has {len(stems)}, such as {', '.join(stems[:3])}. Expected "
                f"folders that are called 0 to {len(stems) - 1}, or as the images of the test views."
            )
        found[number[folder.name]] |= {path.stem: path for path in sorted(folder.glob("*.png"))}
    if not any(found):
        raise ProtoSagaError(f"{test_mask} holds no mask; expected <test view>/<phrase>.png.")
    return found


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
