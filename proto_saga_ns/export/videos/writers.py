"""Where pictures go: a video, an animated GIF, or a folder of PNG; by the suffix of the path."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.encoder import FORMATS, Encoder, find_ffmpeg
from proto_saga_ns.files import atomic_path

WritePicture = Callable[[str, UInt8[np.ndarray, "H W C"]], None]

_SUFFIXES = "Videos end in .mp4, .webm or .mov, animations in .gif, and a path without a suffix is a folder of PNG"


def is_folder(path: Path) -> bool:
    """Whether pictures go to this path as a folder of PNG."""
    return path.suffix == ""


def check_target(path: Path, has_alpha: bool) -> None:
    """Find out before the long work that a path cannot take what will be written.

    Raises:
        ProtoSagaError: an unknown suffix, a format without alpha, or no ffmpeg.
    """
    if is_folder(path):
        if path.exists() and not path.is_dir():
            raise ProtoSagaError(f"{path} is a file, not a folder for PNG pictures. {_SUFFIXES}.")
        return
    if path.suffix.lower() not in FORMATS:
        raise ProtoSagaError(f"Cannot write {path}: unknown format {path.suffix}. {_SUFFIXES}.")
    if has_alpha and not FORMATS[path.suffix.lower()].transparent:
        raise ProtoSagaError(
            f"{path} cannot be transparent: {path.suffix} has no alpha. Name it {path.with_suffix('.webm').name} or "
            f"{path.with_suffix('.mov').name}, give a path without a suffix for a folder of PNG, or choose "
            "--background white."
        )
    find_ffmpeg()


@contextmanager
def picture_writer(path: Path, fps: float, names: Collection[str]) -> Iterator[WritePicture]:
    """Write pictures to a file or a folder that is there, whole, when the block ends well.

    Args:
        path: see ``check_target``.
        fps: pictures per second; of no meaning for a folder.
        names: of all pictures that will come, without a suffix; the file names in a folder.

    Yields:
        A function of a name and an RGB or (straight) RGBA picture.

    Raises:
        ProtoSagaError: the path cannot be written, or is a folder with other PNG in it.
        ValueError: no picture came, or one of another size than the first.
    """
    if is_folder(path):
        with _png_folder(path, names) as write:
            yield write
        return
    with atomic_path(path) as temporary, Encoder(temporary, fps, FORMATS[path.suffix.lower()]) as encoder:
        yield lambda _, picture: encoder.add(picture)


@contextmanager
def _png_folder(folder: Path, names: Collection[str]) -> Iterator[WritePicture]:
    """Pictures are moved into the folder together, at the end."""
    _check_no_others(folder, names)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield lambda name, picture: Image.fromarray(picture).save(temporary / f"{name}.png", compress_level=3)
        folder.mkdir(exist_ok=True)
        for path in sorted(temporary.iterdir()):
            os.replace(path, folder / path.name)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot write pictures to {folder}: {error.strerror or error}. Free some space or choose a folder that "
            "you may write to, then run the same command again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_no_others(folder: Path, names: Collection[str]) -> None:
    """Pictures of a longer render that stay behind would be taken for the end of this one."""
    others = sorted(path.name for path in folder.glob("*.png") if path.stem not in names)
    if others:
        raise ProtoSagaError(
            f"{folder} holds {len(others)} other PNG files, such as {others[0]}, that would be taken for pictures of "
            "this render. Give a new folder or empty this one."
        )
