"""Which images of a folder are tracked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.images import find_images
from proto_saga_ns.labels.view_names import unique_names
from proto_saga_ns.mastsam.frame_source import FrameSelection
from proto_saga_ns.names import natural_key


def select_images(data: Path, selection: FrameSelection | None = None) -> list[Path]:
    """The images of a data folder (see ``find_images``) in natural order of their paths: view2 before view10.

    Raises:
        ProtoSagaError: no such folder, no images, one that is unreadable, or of another size than the first.
    """
    paths = sorted(find_images(data), key=lambda path: natural_key(path.as_posix()))
    unique_names(paths)
    chosen = list((selection or FrameSelection()).of(paths))
    _check_size(chosen)
    return chosen


def _check_size(paths: Sequence[Path]) -> None:
    first = image_size(paths[0])
    for path in paths[1:]:
        if (size := image_size(path)) != first:
            raise ProtoSagaError(
                f"The image {path} is {size[0]}x{size[1]}, but {paths[0].name}, the first of the sequence, is "
                f"{first[0]}x{first[1]}. A sequence needs images of one size: resize it or take it out of the folder."
            )
