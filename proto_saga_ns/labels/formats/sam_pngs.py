"""A folder of binary PNGs for each image, as Segment Anything's ``scripts/amg.py`` writes them without options.

``<image stem>/0.png``, ``1.png``, ... are masks, black and white, which overlap; ``metadata.csv`` beside them has the
predicted IoU of each, by which they are flattened. Without it the smaller ones lie on top.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.formats.base import Flatten, Views, by_image, check_shape, entries
from proto_saga_ns.labels.label_map import label_ids
from proto_saga_ns.labels.view_names import view_name

METADATA = "metadata.csv"


def read_sam_pngs(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """One folder an image in ``path``; a folder without PNGs is an image without masks.

    Raises:
        ProtoSagaError: a file cannot be read, or masks have another size than their image.
    """
    folders = {place.relative_to(path).as_posix(): place for place in entries(path, images) if place.is_dir()}
    for image, folder in by_image(folders, images, path, "a folder of PNGs an image, such as {stem}/"):
        files = sorted(folder.glob("*.png"), key=lambda file: (len(file.stem), file.stem))
        masks = [_read_mask(file, image) for file in files]
        width, height = image_size(image)
        stack = np.stack(masks) if masks else np.zeros((0, height, width), bool)
        yield image, flatten(stack, _scores(folder, files, stack))


def write_sam_pngs(path: Path, views: Views) -> None:
    """``<image stem>/<number>.png``, a mask a label, and ``metadata.csv`` with predicted IoUs of 1."""
    for image, labels in views:
        rows = ["id,area,predicted_iou"]
        for number, label in enumerate(label_ids(labels)):
            buffer = io.BytesIO()
            Image.fromarray(np.where(labels == label, 255, 0).astype(np.uint8)).save(buffer, format="PNG")
            write_atomically(path / view_name(image) / f"{number}.png", buffer.getvalue())
            rows.append(f"{number},{int((labels == label).sum())},1.0")
        write_atomically(path / view_name(image) / METADATA, ("\n".join(rows) + "\n").encode())


def _read_mask(file: Path, image: Path) -> np.ndarray:
    try:
        with Image.open(file) as opened:
            mask = np.asarray(opened.convert("L")) > 0
    except (OSError, ValueError, SyntaxError) as error:
        raise ProtoSagaError(f"Cannot read the mask {file}: {error}. Restore or remove it.") from error
    check_shape(file, mask, image)
    return mask


def _scores(folder: Path, files: Sequence[Path], masks: np.ndarray) -> np.ndarray:
    file = folder / METADATA
    if not file.is_file():
        return -masks.sum(axis=(1, 2), dtype=float)
    try:
        with file.open(encoding="utf-8", newline="") as content:
            scores = {row["id"]: float(row["predicted_iou"]) for row in csv.DictReader(content)}
        return np.array([scores[png.stem] for png in files], float)
    except (OSError, ValueError, KeyError) as error:
        raise ProtoSagaError(
            f"{file} has no predicted_iou of a mask beside it ({error!r}). Restore it, or remove it to let smaller "
            "masks lie on top."
        ) from error
