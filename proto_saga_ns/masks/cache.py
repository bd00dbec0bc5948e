"""The mask cache: label maps made by a segmenter, kept beside the images or in the user's cache folder.

A cache folder is ``ROOT/<backend>-<settings hash>/`` with ``<image stem>.png`` and ``manifest.json``. Every
label map carries the fingerprint of its image in a PNG text chunk, so it can be trusted on its own: whatever
order label maps are written in, by however many writers, and whenever one is killed, what lies there is whole
and up to date or is made again. The manifest says to people and tools what the folder holds.

Label maps are made from the images at full size, also when nerfstudio trains on downscaled ones. A label map
whose image is gone stays where it is (masks are dear, and the image may come back), but leaves the manifest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Int32, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_json
from proto_saga_ns.labels.formats.sam_json import read_about, write_patches
from proto_saga_ns.labels.images import decode_image, full_size, on_white, read_bytes
from proto_saga_ns.labels.label_map import is_whole, read_text, write_label_map
from proto_saga_ns.labels.view_names import unique_names, view_name
from proto_saga_ns.progress import Progress, unseen

if TYPE_CHECKING:
    from proto_saga_ns.masks.segmenters.base import OverlappingSegmenter, Segmenter


MANIFEST = "manifest.json"
OVERLAPPING = "overlapping"

RECORDED = ("numpy", "pillow", "scikit-image", "torch", "segment-anything", "transformers")
"""Packages whose versions the manifest names."""

_FINGERPRINT = "proto-saga image"
# Files that a killed process left half-written; a live writer needs seconds.
_DEBRIS_AGE = 3600.0


@dataclass(frozen=True)
class MaskJob:
    """One label map to make. Small and picklable, for workers in other processes."""

    image: Path
    target: Path
    """the PNG to write"""
    overlapping: Path | None = None
    """the JSON to write the masks to as they were before they were flattened; None writes none"""

    def run(self, segmenter: Segmenter) -> str:
        """Read the image, segment it, write the label map atomically; returns the image's fingerprint.

        The fingerprint is of the very bytes that were segmented, even if the file changes meanwhile.

        Args:
            segmenter: an ``OverlappingSegmenter`` if overlapping masks are asked for.

        Raises:
            ProtoSagaError: the image is unreadable, or the label map cannot be written.
            ValueError: the segmenter made a label map of another size.
        """
        content = read_bytes(self.image)
        fingerprint = _hash(content)
        image = on_white(decode_image(content, self.image))
        labels = segmenter(image) if self.overlapping is None else self._keep(image, fingerprint, segmenter)
        if labels.shape != image.shape[:2]:
            raise ValueError(f"{segmenter.name} made a label map of {labels.shape} for an image of {image.shape[:2]}")
        write_label_map(self.target, labels, {_FINGERPRINT: fingerprint})
        return fingerprint

    def current_fingerprint(self) -> str | None:
        """The image's fingerprint if whole results of the image as it is now lie there, else None."""
        fingerprint = _hash(read_bytes(self.image))
        return fingerprint if is_current(self.target, fingerprint) and self.has_overlapping(fingerprint) else None

    def has_overlapping(self, fingerprint: str) -> bool:
        """Whether the overlapping masks of the image with this fingerprint lie there, if they are asked for."""
        return self.overlapping is None or read_about(self.overlapping).get(_FINGERPRINT) == fingerprint

    def _keep(
        self, image: UInt8[np.ndarray, "H W 3"], fingerprint: str, segmenter: Segmenter
    ) -> Int32[np.ndarray, "H W"]:
        assert self.overlapping is not None
        finder = cast("OverlappingSegmenter", segmenter)
        height, width = image.shape[:2]
        masks = finder.find_masks(image)
        write_patches(self.overlapping, self.image, masks, height, width, **{_FINGERPRINT: fingerprint})
        return finder.flatten(masks, height, width)


def cache_folder(root: Path, segmenter: Segmenter) -> Path:
    """Where the label maps of this segmenter with these settings lie under ``root``."""
    settings = json.dumps(segmenter.settings, sort_keys=True, default=str).encode()
    return root / f"{segmenter.name}-{hashlib.sha256(settings).hexdigest()[:12]}"


def cache_roots(data_dir: Path) -> list[Path]:
    """Where caches for a data folder may lie, the best first: in it, or in the user's cache folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    where = data_dir.resolve()
    private = f"{where.name}-{hashlib.sha256(str(where).encode()).hexdigest()[:12]}"
    return [data_dir / ".proto_saga" / "masks", base / "proto_saga_ns" / private / "masks"]


def find_cached_masks(image_paths: Sequence[Path], segmenter: Segmenter, data_dir: Path) -> Path | None:
    """A cache folder that has an up-to-date label map for every image, or None; writes nothing."""
    return _find_complete(fingerprints_of(_sources(image_paths, data_dir)), segmenter, data_dir)


def ensure_masks(
    image_paths: Sequence[Path], segmenter: Segmenter, data_dir: Path, progress: Progress = unseen
) -> Path:
    """Make the label maps that are missing or out of date, one by one, and return their folder.

    Killed at any moment, the next call goes on where this one stopped. A data folder that cannot be written
    to is replaced by a folder in the user's cache.

    Args:
        progress: of the images still to do.

    Raises:
        ProtoSagaError: two views share a name, an image is unreadable, or nothing can be written.
    """
    unique_names(image_paths)
    fingerprints = fingerprints_of(_sources(image_paths, data_dir))
    if complete := _find_complete(fingerprints, segmenter, data_dir):
        return complete
    folder = writable_folder(segmenter, data_dir)
    todo = [path for path, fingerprint in fingerprints.items() if not is_current(_target(folder, path), fingerprint)]
    for path in progress(todo, "Making masks"):
        fingerprints[path] = MaskJob(path, _target(folder, path)).run(segmenter)
    update_manifest(folder, segmenter, fingerprints, keep_others=True)
    return folder


def mask_jobs(folder: Path, image_paths: Sequence[Path], *, overlapping: bool = False) -> list[MaskJob]:
    """The label maps of these images in a cache folder.

    Args:
        overlapping: also keep the overlapping masks, in the folder's sub-folder of that name.
    """
    kept = (folder / OVERLAPPING) if overlapping else None
    return [MaskJob(path, _target(folder, path), kept and kept / f"{view_name(path)}.json") for path in image_paths]


def is_current(label_map: Path, fingerprint: str) -> bool:
    """Whether a label map is whole, and of the image with this fingerprint; does not decode its pixels."""
    return is_whole(label_map) and read_text(label_map).get(_FINGERPRINT) == fingerprint


def fingerprints_of(image_paths: Sequence[Path]) -> dict[Path, str]:
    """Hash of every image's file.

    Raises:
        ProtoSagaError: a file cannot be read.
    """
    return {path: _hash(read_bytes(path)) for path in image_paths}


def writable_folder(segmenter: Segmenter, data_dir: Path) -> Path:
    """The cache folder to write to, in the first root that can be written; clears half-written files of the dead.

    Raises:
        ProtoSagaError: neither the data folder nor the user's cache can be written.
    """
    folder = cache_folder(writable_root(data_dir), segmenter)
    for path in folder.glob(".*.tmp"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _DEBRIS_AGE:
                path.unlink()
    return folder


def writable_root(data_dir: Path) -> Path:
    """The first of ``cache_roots`` that can be written.

    Raises:
        ProtoSagaError: there is none.
    """
    return _first_writable(cache_roots(data_dir))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What ``manifest.json`` says; empty if there is none that can be read."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def update_manifest(folder: Path, segmenter: Segmenter, fingerprints: Mapping[Path, str], *, keep_others: bool) -> None:
    """Say in ``manifest.json`` what the folder holds; leaves the file alone if it says so already.

    Args:
        fingerprints: of the images whose label maps are there.
        keep_others: whether images listed before stay listed: a training run asks for its own views only.
    """
    before = read_manifest(folder)
    images: dict[str, Any] = dict(before.get("images") or {}) if keep_others else {}
    images |= {path.name: fingerprint for path, fingerprint in fingerprints.items()}
    content: dict[str, Any] = {
        "format": 1,
        "backend": segmenter.name,
        "settings": segmenter.settings,
        "versions": _versions("proto_saga_ns", *RECORDED),
        "images": dict(sorted(images.items())),
    }
    if content != before:
        write_json(folder / MANIFEST, content)


def _sources(image_paths: Sequence[Path], data_dir: Path) -> list[Path]:
    return [full_size(path, data_dir) for path in image_paths]


def _target(folder: Path, image: Path) -> Path:
    return folder / f"{view_name(image)}.png"


def _find_complete(fingerprints: Mapping[Path, str], segmenter: Segmenter, data_dir: Path) -> Path | None:
    for root in cache_roots(data_dir):
        folder = cache_folder(root, segmenter)
        if folder.is_dir() and all(is_current(_target(folder, path), hashed) for path, hashed in fingerprints.items()):
            return folder
    return None


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _first_writable(roots: Sequence[Path]) -> Path:
    for root in roots:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                return root
        except OSError:
            continue
    raise ProtoSagaError(
        f"No folder for the masks can be written: tried {' and '.join(map(str, roots))}. Make one of them "
        "writable, or set XDG_CACHE_HOME to a folder that is."
    )


def _versions(*packages: str) -> dict[str, str | None]:
    def version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {package: version(package) for package in packages}
