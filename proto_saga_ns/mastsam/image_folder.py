"""A folder of images as a sequence of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_rgb
from proto_saga_ns.labels.folder import image_size, unique_stems
from proto_saga_ns.labels.images import find_images
from proto_saga_ns.mastsam.frame_source import FrameSelection, FrameSource
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.names import natural_key


def open_image_folder(data: Path, selection: FrameSelection | None = None) -> FrameSource:
    """The images of a data folder (see ``find_images``) in natural order of their paths: view2 before view10.

    Frames are named by the stems of their files. Reads all headers at once, and the pixels when iterated.

    Raises:
        ProtoSagaError: no such folder, no images, one that is unreadable, or of another size than the first.
    """
    paths = sorted(find_images(data), key=lambda path: natural_key(path.as_posix()))
    unique_stems(paths, "images")
    chosen = list((selection or FrameSelection()).of(paths))
    width, height = _common_size(chosen)
    return FrameSource(len(chosen), (height, width), None, lambda: _frames(chosen))


def _frames(paths: Sequence[Path]) -> Iterator[Frame]:
    return (Frame(path.stem, read_rgb(path)) for path in paths)


def _common_size(paths: Sequence[Path]) -> tuple[int, int]:
    """(width, height) of all images.

    Raises:
        ProtoSagaError: naming the first that has another.
    """
    first = image_size(paths[0])
    for path in paths[1:]:
        if (size := image_size(path)) != first:
            raise ProtoSagaError(
                f"The image {path} is {size[0]}x{size[1]}, but {paths[0].name}, the first of the sequence, is "
                f"{first[0]}x{first[1]}. A sequence needs images of one size: resize it or take it out of the folder."
            )
    return first
