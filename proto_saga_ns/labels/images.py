"""The images of a data folder, as nerfstudio's data parsers find them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import full_size_image, unique_stems

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def data_folder(data: Path) -> Path:
    """The folder of the data; nerfstudio's parser also takes the path of the JSON file in it."""
    return data.parent if data.suffix == ".json" else data


def find_images(data: Path) -> list[Path]:
    """All images of a data folder that training may ask masks for, at full size, in file-name order.

    The first of these that is there: the frames of transforms.json (or of the JSON file that ``data`` is), those of
    transforms_train.json (Blender's other splits have the same file names, and need no masks), the folder images/
    (COLMAP), the images in the folder itself. Frames whose file is gone are left out.

    Raises:
        ProtoSagaError: there is no such folder, its JSON is unreadable, no image exists, or two share a stem.
    """
    if not data.exists():
        raise ProtoSagaError(f"The data folder {data} does not exist. Give a folder of posed images.")
    folder = data_folder(data)
    named = [data] if data.is_file() else [folder / "transforms.json", folder / "transforms_train.json"]
    for file in named:
        if file.is_file():
            return _checked([path for path in _frames(file) if path.is_file()], file)
    if (folder / "images").is_dir():
        return _checked(_images_below(folder / "images"), folder / "images")
    return _checked([path for path in folder.iterdir() if _is_image(path)], folder)


def full_size(path: Path, data_dir: Path) -> Path:
    """The image that masks are made from: the original of nerfstudio's images_2/a.jpg, or the image itself.

    One cache serves all downscale factors then. An original outside the data folder is another scene's.
    """
    original = full_size_image(path)
    return original if original is not None and original.is_relative_to(data_dir) else path


def _frames(file: Path) -> list[Path]:
    try:
        frames: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["frames"]
        names = [Path(frame["file_path"]) for frame in frames]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProtoSagaError(
            f"{file} has no readable list of frames ({error!r}). Expected nerfstudio's transforms.json: "
            "ns-process-data makes one from photos."
        ) from error
    # Blender's frames are named without a suffix.
    return [file.parent / (name if name.suffix.lower() in SUFFIXES else f"{name}.png") for name in names]


def _images_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _checked(paths: Sequence[Path], source: Path) -> list[Path]:
    if not paths:
        raise ProtoSagaError(
            f"No images: {source} names or holds none that exists. Expected transforms.json with frames, or a "
            "folder images/ of JPEG or PNG files."
        )
    # A frame may be listed twice.
    found = sorted(set(paths))
    unique_stems(found, "images")
    return found
