"""Masks as arrays: TIFFs of 8, 16 or 32 bits, and numpy's NPY and NPZ; one file an image.

An array (H, W) of integers is a label map. One (M, H, W) of zeros and ones, or of true and false, holds M masks, which
may overlap; the smaller ones lie on top. In an NPZ it is the array called ``masks`` or ``labels``, or the only one.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels.formats.base import Flatten, Views, by_image, check_shape, find_files
from proto_saga_ns.labels.label_map import MAX_ID, compact_labels
from proto_saga_ns.labels.view_names import view_name

_NAMES = ("masks", "labels")
_EXPECTED = "Expected integers (H, W), 0 = unlabelled, or masks (M, H, W) of zeros and ones."


def read_tiffs(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """``<image stem>.tif`` or ``.tiff`` in ``path``; ids over 65535 are renumbered.

    Raises:
        ProtoSagaError: a file cannot be read, has colours or fractions, or does not fit its image.
    """
    _, files = find_files(path, images, (".tif", ".tiff"))
    for image, file in by_image(files, images, path, "a TIFF an image, such as {stem}.tif"):
        yield image, _labels(_read_tiff(file), file, image, flatten)


def write_tiffs(path: Path, views: Views) -> None:
    """``<image stem>.tif`` of 32 bits in ``path``."""
    for image, labels in views:
        buffer = io.BytesIO()
        Image.fromarray(labels.astype(np.int32)).save(buffer, format="TIFF", compression="tiff_deflate")
        write_atomically(path / f"{view_name(image)}.tif", buffer.getvalue())


def read_arrays(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """``<image stem>.npy`` or ``.npz`` in ``path``; ids over 65535 are renumbered.

    Raises:
        ProtoSagaError: a file cannot be read, holds another kind of array, or does not fit its image.
    """
    _, files = find_files(path, images, (".npy", ".npz"))
    for image, file in by_image(files, images, path, "an array an image, such as {stem}.npy"):
        yield image, _labels(_read_array(file), file, image, flatten)


def write_arrays(path: Path, views: Views) -> None:
    """``<image stem>.npy`` of 32 bits in ``path``."""
    for image, labels in views:
        buffer = io.BytesIO()
        np.save(buffer, labels.astype(np.int32))
        write_atomically(path / f"{view_name(image)}.npy", buffer.getvalue())


def _read_tiff(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError) as error:
        raise ProtoSagaError(f"Cannot read {file}: {error}. {_EXPECTED}") from error


def _read_array(file: Path) -> np.ndarray:
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            names = [name for name in _NAMES if name in content.files] or content.files
            if len(names) != 1 and names[0] not in _NAMES:
                raise ValueError(f"it holds the arrays {', '.join(names)}")
            return content[names[0]]
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise ProtoSagaError(f"Cannot read {file}: {error}. {_EXPECTED}") from error


def _labels(array: np.ndarray, file: Path, image: Path, flatten: Flatten) -> np.ndarray:
    is_whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and bool((array == np.rint(array)).all()))
    if array.ndim == 3 and is_whole and array.size and bool(np.isin(array, (0, 1)).all()):
        labels = flatten(array.astype(bool), -array.sum(axis=(1, 2), dtype=float))
    elif array.ndim == 2 and is_whole and array.min(initial=0) >= 0:
        labels = array.astype(np.int64)
        labels = compact_labels(_ranked(labels))[0] if labels.max(initial=0) > MAX_ID else labels.astype(np.int32)
    else:
        raise ProtoSagaError(f"{file} is an array {array.shape} of {array.dtype}. {_EXPECTED}")
    check_shape(file, labels, image)
    return labels


def _ranked(labels: np.ndarray) -> np.ndarray:
    """Large ids by their rank, 0 staying 0: counting them needs small numbers."""
    ids, ranks = np.unique(labels, return_inverse=True)
    return ranks.reshape(labels.shape) + (ids[0] != 0)
