"""A COLMAP model as far as a check needs it: which files it has, and which images have a pose.

Formats: COLMAP's documentation, ``images.bin`` and ``images.txt``. No points are read.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from proto_saga_ns.evaluation.datasets.findings import PHOTOS, Finding, about, check_readable, files_in

PARTS = ("cameras", "images", "points3D")

_POSE_BYTES = 64
"""Number, quaternion, translation and camera of an image: int32, 4 and 3 doubles, int32."""
_POINT_BYTES = 24
"""A 2D point of an image: two doubles and the number of its 3D point."""


def posed_images(sparse: Path) -> tuple[str, ...] | None:
    """File names of the images that a model has poses of, in name order, without folders; None if it cannot be read.

    Args:
        sparse: folder with images.bin or images.txt; the first counts if both are there.
    """
    try:
        if (sparse / "images.bin").is_file():
            names = _names_in_binary(sparse / "images.bin")
        else:
            names = _names_in_text(sparse / "images.txt")
    except (OSError, ValueError, IndexError, struct.error):
        return None
    return tuple(sorted(Path(name).name for name in names))


def check_model(scene: Path, remedy: str) -> list[Finding]:
    """That ``sparse/0`` of a scene has all its parts, as .bin or .txt, and images that can be read.

    Args:
        remedy: where to get a model.
    """
    sparse = scene / "sparse" / "0"
    missing = [sparse / f"{part}.bin" for part in PARTS if not _has(sparse, part)]
    if missing and all(_has(sparse.parent, part) for part in PARTS):
        remedy = f"Move the model from {sparse.parent} to {sparse}."
    findings = about("error", missing, "parts of the COLMAP model are missing or empty (.bin or .txt)", remedy)
    if _has(sparse, "images") and posed_images(sparse) is None:
        file = next(path for path in _forms(sparse, "images") if path.is_file())
        findings.append(Finding("error", file, "the COLMAP model's images cannot be read", remedy))
    return findings


def check_posed_images(scene: Path, images: Path, source: str) -> list[Finding]:
    """That the images of a scene are there, can be read, and are those that its model has poses of.

    Args:
        source: where to get images and model.
    """
    found = files_in(images, PHOTOS)
    if not found:
        return [Finding("error", images, "no JPEG or PNG images in this folder", source)]
    findings = check_readable(found.values(), source)
    names = posed_images(scene / "sparse" / "0")
    if names is None:
        return findings
    stems = {Path(name).stem for name in names}
    gone = [images / name for name in names if Path(name).stem not in found]
    unposed = [path for stem, path in found.items() if stem not in stems]
    findings += about("error", gone, f"{len(gone)} of {len(names)} images with a pose are missing", source)
    return findings + about(
        "warning",
        unposed,
        f"{len(unposed)} of {len(found)} images have no pose in sparse/0, so nothing trains on them or evaluates them",
        "COLMAP did not place them. Figures on fewer views than published do not compare; " + source,
    )


def _has(sparse: Path, part: str) -> bool:
    return any(path.is_file() and path.stat().st_size > 0 for path in _forms(sparse, part))


def _forms(sparse: Path, part: str) -> list[Path]:
    return [sparse / f"{part}.bin", sparse / f"{part}.txt"]


def _names_in_binary(file: Path) -> list[str]:
    with file.open("rb") as stream:
        (count,) = struct.unpack("<Q", stream.read(8))
        names = [_next_name(stream) for _ in range(count)]
        # Seeking goes past the end of a file without a word.
        if stream.tell() > file.stat().st_size:
            raise ValueError("cut off")
        return names


def _next_name(stream: BinaryIO) -> str:
    if len(stream.read(_POSE_BYTES)) < _POSE_BYTES:
        raise ValueError("cut off")
    name = b""
    while (letter := stream.read(1)) != b"\0":
        if not letter:
            raise ValueError("cut off")
        name += letter
    (points,) = struct.unpack("<Q", stream.read(8))
    stream.seek(points * _POINT_BYTES, 1)
    return name.decode()


def _names_in_text(file: Path) -> list[str]:
    # Every image has two lines, of which the second, its points, may be empty.
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [line.split(maxsplit=9)[9] for line in lines[::2] if line]
