"""Folders of PNG label maps: our own, Gaga's ``raw_sam_mask/`` and Gaussian Grouping's ``object_mask/``.

Gaga (mask/get_raw_mask.py, https://github.com/weijielyu/Gaga) and Gaussian Grouping (scene/dataset_readers.py,
https://github.com/lkeab/gaussian-grouping) write and read 8 bits. Gaga's ids are of one view; Gaussian Grouping's are
consistent: the same object has the same id in all views, so they cannot be renumbered to fit.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels.folder import index_masks
from proto_saga_ns.labels.formats.base import Flatten, Views, by_image, check_shape, find_files
from proto_saga_ns.labels.label_map import compact_labels, read_label_map, write_label_map
from proto_saga_ns.labels.view_names import view_name

_MAX_8_BIT = 255


def read_label_maps(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """``<image stem>.png`` in ``path``."""
    del flatten
    for image, file in zip(images, index_masks(path, images), strict=True):
        if file is not None:
            yield image, _read(file, image)


def write_label_maps(path: Path, views: Views) -> None:
    """``<image stem>.png`` of 16 bits in ``path``."""
    for image, labels in views:
        write_label_map(path / f"{view_name(image)}.png", labels)


def read_gaga(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """The folder of PNGs itself, or a scene with ``raw_sam_mask/``, ``raw_entityseg_mask/`` or ``sam_mask/``."""
    del flatten
    yield from _read_pngs(path, images, "raw_sam_mask", "raw_entityseg_mask", "sam_mask")


def write_gaga(path: Path, views: Views) -> None:
    """``path/raw_sam_mask/<name up to the first dot>.png`` of 8 bits, ids 1..L without gaps in every view.

    Raises:
        ProtoSagaError: a view has more than 255 masks.
    """
    for target, labels in _gaga_targets(path / "raw_sam_mask", views):
        _write_8_bits(target, compact_labels(labels)[0], "masks in this view. Leave out small ones first")


def read_gaussian_grouping(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """The folder of PNGs itself, or a scene with ``object_mask/``."""
    del flatten
    yield from _read_pngs(path, images, "object_mask")


def write_gaussian_grouping(path: Path, views: Views) -> None:
    """``path/object_mask/<name up to the first dot>.png`` of 8 bits; ids stay as they are.

    Raises:
        ProtoSagaError: an id over 255.
    """
    for target, labels in _gaga_targets(path / "object_mask", views):
        _write_8_bits(target, labels, "as the largest id. Renumber the objects of the scene first")


def _gaga_targets(folder: Path, views: Views) -> Views:
    """The file of each view, which has no place for sub-folders."""
    written: dict[Path, Path] = {}
    for image, labels in views:
        target = folder / f"{image.name.split('.')[0]}.png"
        if written.setdefault(target, image) != image:
            raise ProtoSagaError(
                f"{written[target]} and {image} would have the same mask {target}: the format has no sub-folders, and "
                "names end at their first dot. Rename one of the images."
            )
        yield target, labels


def _read_pngs(path: Path, images: Sequence[Path], *folders: str) -> Views:
    folder, files = find_files(path, images, (".png",), *folders)
    for image, file in by_image(files, images, folder, "a PNG an image, such as {stem}.png"):
        yield image, _read(file, image)


def _read(file: Path, image: Path) -> np.ndarray:
    labels = read_label_map(file)
    check_shape(file, labels, image)
    return labels


def _write_8_bits(path: Path, labels: np.ndarray, trouble: str) -> None:
    if labels.max(initial=0) > _MAX_8_BIT:
        raise ProtoSagaError(
            f"Cannot write {path}: the format has 8 bits, for ids up to {_MAX_8_BIT}, and there are "
            f"{labels.max()} {trouble}, or use the format label-maps (16 bits)."
        )
    buffer = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8)).save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
