"""The images of a data folder, as nerfstudio's data parsers find them, and their pixels, as the eye sees them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead
from proto_saga_ns.labels.folder import full_size_image
from proto_saga_ns.labels.view_names import unique_names
from proto_saga_ns.pose_file import REMEDY, read_pose_file

MAX_16_BITS = 65535
UPRIGHT = 1
"""The EXIF orientation of pixels that are stored as they are to be seen."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"})
UNREADABLE = frozenset({".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".exr"})
"""Photos that Pillow does not read, or not as colours."""


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
