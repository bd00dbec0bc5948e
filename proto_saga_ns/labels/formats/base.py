"""What a format is, and what formats share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import check_size
from proto_saga_ns.labels.view_names import files_by_name, match_views, view_name

Views = Iterator[tuple[Path, Int32[np.ndarray, "H W"]]]
"""Images and their label maps; images without one do not occur."""

Flatten = Callable[[np.ndarray, np.ndarray], Int32[np.ndarray, "H W"]]
"""Overlapping masks (M, H, W) bool and their scores (M,) to one label map, 1..L."""


@dataclass(frozen=True)
class Format:
    """How another program keeps masks."""

    what: str
    """one line for people"""
    read: Callable[[Path, Sequence[Path], Flatten], Views]
    """(file or folder, images, how to flatten overlapping masks) -> views"""
    write: Callable[[Path, Views], None]
    """(file or folder, views); each file is written atomically"""


def entries(folder: Path, images: Sequence[Path]) -> Iterator[Path]:
    """What lies in a folder, and in those sub-folders of it that the views have, in name order."""
    places = {(folder / view_name(image)).parent for image in images} | {folder}
    return (entry for place in sorted(places) if place.is_dir() for entry in sorted(place.iterdir()))


def find_files(
    path: Path, images: Sequence[Path], suffixes: Sequence[str], *names: str
) -> tuple[Path, dict[str, Path]]:
    """The first folder with files that end so, of the sub-folders of these names and ``path``; and the files by name.

    Raises:
        ProtoSagaError: there is no such folder.
    """
    for folder in (*(path / name for name in names), path):
        found = [file for file in entries(folder, images) if file.suffix.lower() in suffixes and file.is_file()]
        if found:
            return folder, files_by_name(folder, found)
    raise ProtoSagaError(
        f"No masks: {path} holds no *{suffixes[0]} file"
        + (f", nor does {' or '.join(names)}/ in it." if names else ".")
    )


def by_image(files: Mapping[str, Path], images: Sequence[Path], place: Path, expected: str) -> list[tuple[Path, Path]]:
    """Pairs (image, its file), matched as ``match_views`` does.

    Raises:
        ProtoSagaError: no image has a file, or one has two.
    """
    found = _pairs(images, match_views(files, images))
    if not found:
        # Gaga and Gaussian Grouping cut names at the first dot: view.rgb.jpg has the mask view.png.
        found = _pairs(images, [files.get(image.name.split(".")[0]) for image in images])
    if not found:
        example = view_name(images[0]) if images else "<image name>"
        raise ProtoSagaError(
            f"None of the {len(images)} images has masks in {place} ({len(files)} files there). Expected "
            f"{expected.format(stem=example)}."
        )
    return found


def _pairs(images: Sequence[Path], found: Sequence[Path | None]) -> list[tuple[Path, Path]]:
    return [(image, file) for image, file in zip(images, found, strict=True) if file is not None]


def check_some_masks(views: Views, source: Path) -> Views:
    """The same views; before the first is given out, it is known that one of them has a mask.

    Raises:
        ProtoSagaError: none has.
    """
    empty: list[tuple[Path, tuple[int, ...]]] = []
    for image, labels in views:
        if labels.any():
            yield from ((earlier, np.zeros(shape, np.int32)) for earlier, shape in empty)
            yield image, labels
            yield from views
            return
        empty.append((image, labels.shape))
    raise ProtoSagaError(
        f"{source} has no mask of any of the {len(empty)} images that it knows; nothing was written. Expected pixels, "
        "run lengths or polygons that have an area; boxes or categories alone are no masks."
    )


def load_json(path: Path, expected: str) -> Any:
    """Content of a JSON file.

    Raises:
        ProtoSagaError: missing or unreadable.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProtoSagaError(f"Cannot read {path}: {error}. Expected {expected}.") from error


def check_shape(file: Path, labels: np.ndarray, image: Path) -> None:
    """A label map fits its image, or the full-size original of a downscaled one.

    Raises:
        ProtoSagaError: it does not.
    """
    check_size(file, (labels.shape[1], labels.shape[0]), image)
