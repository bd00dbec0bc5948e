"""OmniSeg3D's hierarchy files, ``sam/<image stem>.npz`` (run_sam.py of https://github.com/THU-luvision/OmniSeg3D).

``indices`` (H, W) int16 is the patch of each pixel; patches are the finest regions that SAM's overlapping masks cut the
image into. ``correlation`` (P, P) uint8 counts the masks that hold both patches, on the diagonal those that hold the
patch; a patch of no mask is unlabelled. The folders ``masks/`` and ``patches/`` beside it are pictures for people.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically
from proto_saga_ns.labels.formats.base import Flatten, Views, by_image, check_shape, find_files
from proto_saga_ns.labels.label_map import compact_labels
from proto_saga_ns.labels.view_names import view_name

_MAX_PATCH = 32767


def read_patches(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """Patches as masks: the finest level, nothing is merged."""
    del flatten
    for image, patches, correlation in _read(path, images):
        yield image, patch_labels(patches, correlation)


def read_objects(path: Path, images: Sequence[Path], flatten: Flatten) -> Views:
    """Groups of patches as masks: the coarsest level, see ``object_labels``."""
    del flatten
    for image, patches, correlation in _read(path, images):
        yield image, object_labels(patches, correlation)


def write_patches(path: Path, views: Views) -> None:
    """``path/sam/<image stem>.npz``: every mask is a patch, and no two patches share a mask.

    Raises:
        ProtoSagaError: more masks in a view than its 16 bits hold.
    """
    for image, labels in views:
        target = path / "sam" / f"{view_name(image)}.npz"
        compact, ids = compact_labels(labels)
        if len(ids) > _MAX_PATCH:
            raise ProtoSagaError(f"Cannot write {target}: {len(ids)} masks, but the format holds up to {_MAX_PATCH}.")
        correlation = np.eye(len(ids) + 1, dtype=np.uint8)
        correlation[0, 0] = 0
        buffer = io.BytesIO()
        np.savez_compressed(buffer, indices=compact.astype(np.int16), correlation=correlation)
        write_atomically(target, buffer.getvalue())


def patch_labels(patches: Int[np.ndarray, "H W"], correlation: UInt8[np.ndarray, "P P"]) -> Int32[np.ndarray, "H W"]:
    """Label map 1..L of the patches that lie in a mask."""
    in_a_mask = np.diagonal(correlation) > 0
    return compact_labels(np.where(in_a_mask, np.arange(1, len(in_a_mask) + 1), 0)[patches])[0]


def object_labels(patches: Int[np.ndarray, "H W"], correlation: UInt8[np.ndarray, "P P"]) -> Int32[np.ndarray, "H W"]:
    """Label map 1..L of groups of patches: those that share a mask, or are linked by a chain of such pairs."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    _, group = connected_components(csr_array(correlation > 0), directed=False)
    return compact_labels(np.where(np.diagonal(correlation) > 0, group + 1, 0)[patches])[0]


def _read(path: Path, images: Sequence[Path]):
    folder, files = find_files(path, images, (".npz",), "sam")
    for image, file in by_image(files, images, folder, "an NPZ an image, such as {stem}.npz"):
        patches, correlation = _load(file)
        check_shape(file, patches, image)
        yield image, patches, correlation


def _load(file: Path) -> tuple[np.ndarray, np.ndarray]:
    expected = "Expected OmniSeg3D's arrays indices (H, W) and correlation (P, P): run its run_sam.py again."
    try:
        with np.load(file, allow_pickle=False) as content:
            patches, correlation = content["indices"].astype(np.int64), content["correlation"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ProtoSagaError(f"Cannot read {file}: {error}. {expected}") from error
    count = len(correlation)
    if patches.ndim != 2 or correlation.shape != (count, count) or patches.min() < 0 or patches.max() >= count:
        raise ProtoSagaError(
            f"{file} has indices {patches.shape} from {patches.min()} to {patches.max()} and correlation "
            f"{correlation.shape}, which do not fit together. {expected}"
        )
    return patches, correlation
