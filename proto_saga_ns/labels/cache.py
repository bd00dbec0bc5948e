"""The mask cache: label maps made by a segmenter, kept beside the images or in the user's cache folder.

A cache folder is ``ROOT/<backend>-<settings hash>/`` with ``<image stem>.png`` and ``manifest.json``. Every
label map carries the fingerprint of its image in a PNG text chunk, so it can be trusted on its own: whatever
order label maps are written in, by however many writers, and whenever one is killed, what lies there is whole
and up to date or is made again. The manifest says to people and tools what the folder holds.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from proto_saga_ns import __version__
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_json
from proto_saga_ns.labels.folder import unique_stems
from proto_saga_ns.labels.png import read_text, write_label_map

if TYPE_CHECKING:
    from proto_saga_ns.segmenters.base import Segmenter

Progress = Callable[[Iterable[Path]], Iterable[Path]]

_FINGERPRINT = "proto-saga image"


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
    for root in cache_roots(data_dir):
        folder = cache_folder(root, segmenter)
        if folder.is_dir() and not _missing(folder, image_paths, _fingerprints(image_paths)):
            return folder
    return None


def ensure_masks(
    image_paths: Sequence[Path], segmenter: Segmenter, data_dir: Path, progress: Progress | None = None
) -> Path:
    """Make the label maps that are missing or out of date, one by one, and return their folder.

    Killed at any moment, the next call goes on where this one stopped. A data folder that cannot be written
    to is replaced by a folder in the user's cache.

    Args:
        progress: wraps the images still to do, for a progress bar.

    Raises:
        ProtoSagaError: two images share a stem, an image is unreadable, or nothing can be written.
    """
    unique_stems(image_paths, "images")
    fingerprints = _fingerprints(image_paths)
    if complete := find_cached_masks(image_paths, segmenter, data_dir):
        return complete
    folder = cache_folder(_first_writable(cache_roots(data_dir)), segmenter)
    todo = _missing(folder, image_paths, fingerprints)
    for path in (progress or iter)(todo):
        labels = segmenter(read_rgb(path))
        write_label_map(folder / f"{path.stem}.png", labels, {_FINGERPRINT: fingerprints[path]})
    _write_manifest(folder, segmenter, fingerprints)
    return folder


def read_rgb(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """An image as nerfstudio sees it (no EXIF rotation), transparent parts over white.

    Raises:
        ProtoSagaError: the file is unreadable.
    """
    try:
        with Image.open(path) as image:
            if image.mode in ("RGBA", "LA", "PA"):
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image.convert("RGBA"))
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise ProtoSagaError(f"Cannot read the image {path}: {error}. Restore or remove it.") from error


def _missing(folder: Path, image_paths: Sequence[Path], fingerprints: dict[Path, str]) -> list[Path]:
    def is_current(path: Path) -> bool:
        return read_text(folder / f"{path.stem}.png").get(_FINGERPRINT) == fingerprints[path]

    return [path for path in image_paths if not is_current(path)]


def _fingerprints(image_paths: Sequence[Path]) -> dict[Path, str]:
    """Hash of every image's file."""
    try:
        return {path: hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in image_paths}
    except OSError as error:
        raise ProtoSagaError(f"Cannot read the image {error.filename}: {error.strerror}.") from error


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


def _write_manifest(folder: Path, segmenter: Segmenter, fingerprints: dict[Path, str]) -> None:
    content: dict[str, Any] = {
        "format": 1,
        "backend": segmenter.name,
        "settings": segmenter.settings,
        "versions": {"proto_saga_ns": __version__, **_versions("numpy", "pillow", "scikit-image")},
        "images": {path.name: fingerprint for path, fingerprint in fingerprints.items()},
    }
    write_json(folder / "manifest.json", content)


def _versions(*packages: str) -> dict[str, str | None]:
    def version(package: str) -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return {package: version(package) for package in packages}
