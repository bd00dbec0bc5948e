"""The images of a data folder, as nerfstudio's data parsers find them, and their pixels, as the eye sees them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, UInt8
from PIL import ExifTags, Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead
from proto_saga_ns.labels.folder import full_size_image
from proto_saga_ns.labels.view_names import unique_names

MAX_16_BITS = 65535
UPRIGHT = 1
"""The EXIF orientation of pixels that are stored as they are to be seen."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"})
UNREADABLE = frozenset({".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".exr"})
"""Photos that Pillow does not read, or not as colours."""
REMEDY = "Expected images with poses: ns-process-data makes them from photos."
PATHS = ("file_path", "mask_path", "depth_file_path")
"""Entries of a frame that name files."""
LISTS = ("train_filenames", "val_filenames", "test_filenames")
"""Lists of frames, by their file_path."""
STRAIGHT = 0.01
"""How far the axes of a camera may be from unit length and from right angles: programs write few digits."""


def data_folder(data: Path) -> Path:
    """The folder of the data; nerfstudio's parser also takes the path of the JSON file in it."""
    return data.parent if data.suffix == ".json" else data


def find_images(data: Path) -> list[Path]:
    """All images of a data folder that training may ask masks for, at full size, in file-name order.

    The first of these that is there: the frames of transforms.json (or of the JSON file that ``data`` is), those of
    transforms_train.json (Blender's other splits have the same file names, and need no masks), the folder images/
    (COLMAP), the images in the folder itself. Frames whose file is gone are left out.

    Raises:
        ProtoSagaError: there is no such folder, its JSON is unreadable, no image exists, or two views share a name.
    """
    if not data.exists():
        raise ProtoSagaError(f"The data folder {data} does not exist. Give a folder of posed images.")
    folder = data_folder(data)
    named = [data] if data.is_file() else [folder / "transforms.json", folder / "transforms_train.json"]
    for file in named:
        if file.is_file():
            return _checked([path for path in _frames(file) if path.is_file()], file)
    if (folder / "images").is_dir():
        _check_readable(folder / "images")
        return _checked(_images_below(folder / "images"), folder / "images")
    return _checked([path for path in folder.iterdir() if _is_image(path)], folder)


def _check_readable(folder: Path) -> None:
    """Raise a ``ProtoSagaError`` for photos of other kinds, which would be left out without a word."""
    others = sorted(path for path in folder.rglob("*") if path.suffix.lower() in UNREADABLE and _is_visible(path))
    if others:
        raise ProtoSagaError(
            f"{folder} holds {len(others)} photos that are not read here, first {others[0].name}. Convert all to JPEG "
            "or PNG at their full size, before their poses are found."
        )


def full_size(path: Path, data_dir: Path) -> Path:
    """The image that masks are made from: the original of nerfstudio's images_2/a.jpg, or the image itself.

    One cache serves all downscale factors then. An original outside the data folder is another scene's.
    """
    original = full_size_image(path)
    return original if original is not None and original.is_relative_to(data_dir) else path


def _frames(file: Path) -> list[Path]:
    try:
        names = [Path(frame["file_path"]) for frame in read_pose_file(file)["frames"]]
    except (KeyError, TypeError) as error:
        raise ProtoSagaError(f"{file} has no readable list of frames ({error!r}). {REMEDY}") from error
    return [with_suffix(file.parent / name) for name in names]


def with_suffix(path: Path) -> Path:
    """The image of a frame that is named without a suffix, as Blender's are: the one that is there, else a PNG."""
    if path.suffix.lower() in SUFFIXES or path.is_file():
        return path
    there = (path.with_name(f"{path.name}{suffix}") for suffix in sorted(SUFFIXES))
    return next((file for file in there if file.is_file()), path.with_name(f"{path.name}.png"))


def _images_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and _is_visible(path)


def _is_visible(path: Path) -> bool:
    return not path.name.startswith(".") and path.is_file()


def _checked(paths: Sequence[Path], source: Path) -> list[Path]:
    if not paths:
        raise ProtoSagaError(
            f"No images: {source} names or holds none that exists. Expected transforms.json with frames, or a "
            "folder images/ of JPEG or PNG files."
        )
    # A frame may be listed twice.
    found = sorted(set(paths))
    unique_names(found)
    return found


def read_rgb(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    """An image as RGB, on white where it is transparent, in the orientation in which its pixels are stored.

    Raises:
        ProtoSagaError: see ``decode_image``; or the file cannot be read.
    """
    return on_white(decode_image(read_bytes(path), path))


def on_white(image: Image.Image) -> UInt8[np.ndarray, "H W 3"]:
    """The pixels of what ``decode_image`` gives, as RGB."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def read_bytes(path: Path) -> bytes:
    """The content of an image file.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProtoSagaError(f"Cannot read the image {path}: {error.strerror}. Restore or remove it.") from error


def size_and_orientation(path: Path) -> tuple[tuple[int, int], int]:
    """Width and height of the pixels as they are stored, and the orientation that EXIF gives them.

    Raises:
        ProtoSagaError: it is unreadable.
    """
    try:
        with Image.open(path) as image:
            return image.size, image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        remedy = what_it_is_instead(path) or "Restore or remove it."
        raise ProtoSagaError(f"Cannot read the image {path}: {error}. {remedy}") from error


def decode_image(content: bytes, path: Path) -> Image.Image:
    """An image of any mode as RGB, or as RGBA where it has transparency.

    Inks and luminances become the colours that they stand for, palettes their entries, 16 bits their upper 8. A
    rotation in EXIF is not applied: COLMAP and nerfstudio, whose poses belong to the stored pixels, do not either.

    Args:
        content: of the file.
        path: its name, for messages.

    Raises:
        ProtoSagaError: it is damaged, too large for Pillow's limit, or of a mode that says no colours.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            shallow = _with_8_bits(image)
            has_alpha = shallow.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info
            return shallow.convert("RGBA" if has_alpha else "RGB")
    except Image.DecompressionBombError as error:
        raise ProtoSagaError(
            f"The image {path} is too large ({error}). Make it smaller, or give a folder of downscaled images."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        remedy = what_it_is_instead(path) or "Restore or remove it."
        raise ProtoSagaError(f"Cannot read the image {path}: {error}. {remedy}") from error


def _with_8_bits(image: Image.Image) -> Image.Image:
    """The same image; grey ones of 16 bits scaled.

    Raises:
        ValueError: its numbers have no largest one.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, not colours; save it as PNG or JPEG")
    if not image.mode.startswith("I"):
        return image
    numbers = np.asarray(image).astype(np.int64)
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > MAX_16_BITS:
        raise ValueError("its pixels have 32 bits, more than colours have; save it as PNG or JPEG")
    return Image.fromarray((numbers >> 8).astype(np.uint8))


def read_pose_file(path: Path) -> dict[str, Any]:
    """A transforms.json as people have it.

    With a byte order mark; with the backslashes of Windows, the escapes of web addresses or the accents of macOS in its
    paths; with cameras that are scaled, as those of a modelling program are, whose axes get unit length. Paths to files
    that are there as they are written are left alone.

    Raises:
        ProtoSagaError: it cannot be read, or has no list of frames.
    """
    content = _read(path)
    if "applied_transform" in content:
        content["applied_transform"] = content["applied_transform"][:3]  # some write its last row, 0 0 0 1, too
    for frame in content["frames"]:
        if _is_scaled(frame):
            frame["transform_matrix"] = _unscaled(frame["transform_matrix"])
    return content


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        frames = content["frames"]
        for frame in frames:
            frame.update({key: _as_path(frame[key], path.parent) for key in PATHS if key in frame})
        for key in LISTS:
            if key in content:
                content[key] = [_as_path(name, path.parent) for name in content[key]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = what_it_is_instead(path) or REMEDY
        raise ProtoSagaError(f"No poses: {path} has no readable list of frames ({error!r}). {remedy}") from error
    return content


def _as_path(name: str, folder: Path) -> str:
    slashed = name.replace("\\", "/")
    # Escapes of addresses, and the two ways of Unicode to write an accent, of which macOS takes the other one.
    ways = (name, slashed, unquote(slashed), normalize("NFC", slashed), normalize("NFD", slashed))
    return next((way for way in ways if (folder / way).exists()), slashed)


def check_pose_file(path: Path) -> list[str]:
    """Every frame of a transforms.json has a finite 4x4 pose, whose axes are at right angles and right-handed.

    Nerfstudio centres all poses together, so one NaN becomes NaN in all of them: only here has it a name.

    Returns:
        The frames whose axes are not of unit length, which ``read_pose_file`` gives it.

    Raises:
        ProtoSagaError: the file is missing or unreadable, has no frames, or a frame has no pose or no rotation in it.
    """
    if not path.is_file():
        raise ProtoSagaError(f"No poses: {path} does not exist. {REMEDY}")
    frames = _read(path)["frames"]
    if not frames:
        raise ProtoSagaError(f"No poses: the list of frames in {path} is empty. {REMEDY}")
    for frame in frames:
        _check_frame(frame, path)
    return [str(frame.get("file_path")) for frame in frames if _is_scaled(frame)]


def _check_frame(frame: dict[str, Any], path: Path) -> None:
    name = frame.get("file_path", "a frame without file_path")
    if "transform_matrix" not in frame:
        raise ProtoSagaError(f"No pose for {name} in {path}. Add its transform_matrix, or remove the frame.")
    try:
        pose = np.array(frame["transform_matrix"], dtype=float)
    except (ValueError, TypeError):
        pose = np.zeros(())
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise ProtoSagaError(
            f"The pose of {name} in {path} is not a 4x4 matrix of finite numbers. Correct its "
            "transform_matrix, or remove the frame."
        )
    _check_rotation(pose[:3, :3], f"The pose of {name} in {path}")


def _check_rotation(axes: Float[np.ndarray, "3 3"], what: str) -> None:
    lengths = np.linalg.norm(axes, axis=0)
    unit = axes / np.maximum(lengths, np.finfo(float).tiny)
    if not lengths.all() or abs(unit.T @ unit - np.eye(3)).max() > STRAIGHT:
        raise ProtoSagaError(
            f"{what} is no rotation: the first three columns of its transform_matrix are not at right angles. Expected "
            "camera-to-world, each column an axis of the camera (right, up, backwards)."
        )
    if np.linalg.det(unit) < 0:
        raise ProtoSagaError(
            f"{what} is mirrored (its determinant is negative), as left-handed programs such as Unity and Unreal write "
            "them. Expected a right-handed camera-to-world matrix: right, up, backwards. Turn the sign of one axis of "
            "the world (a row) or of the camera (a column), whichever the program has the other way round."
        )


def _is_scaled(frame: dict[str, Any]) -> bool:
    axes = _axes(frame)
    return axes is not None and bool(abs(np.linalg.norm(axes, axis=0) - 1).max() > STRAIGHT)


def _axes(frame: dict[str, Any]) -> Float[np.ndarray, "3 3"] | None:
    """The axes of a camera in the columns; None if it has no pose, or an axis of no length."""
    try:
        axes = np.array(frame["transform_matrix"], float)[:3, :3]
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return axes if axes.shape == (3, 3) and np.linalg.norm(axes, axis=0).all() else None


def _unscaled(matrix: list[list[float]]) -> list[list[float]]:
    pose = np.array(matrix, float)
    pose[:3, :3] /= np.linalg.norm(pose[:3, :3], axis=0)
    return pose.tolist()
