"""A video of frames with their label maps laid over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.encoder import Encoder
from proto_saga_ns.files import atomic_path
from proto_saga_ns.labels.colors import color_table, overlay

DEFAULT_FPS = 10.0
"""For frames that come without time."""

WriteFrame = Callable[[UInt8[np.ndarray, "H W 3"], Int[np.ndarray, "H W"]], None]


@contextmanager
def overlay_video(path: Path, fps: float | None = None, opacity: float = 0.5) -> Iterator[WriteFrame]:
    """Write an MP4 video (H.264, yuv420p) that appears at ``path`` when the block ends well.

    Frames with an odd height or width are extended by one row or column, as yuv420p needs.

    Args:
        path: ends in .mp4; the folders above it are made.
        fps: frames per second; ``DEFAULT_FPS`` if there is none.
        opacity: of the colours inside of masks, in [0, 1]; their borders are opaque.

    Yields:
        A function of an RGB image and its label map, all of one size, that adds a frame.

    Raises:
        ProtoSagaError: the name does not end in .mp4, or the file cannot be written.
        ValueError: no frame was added, or one of another size than the first.
    """
    if path.suffix.lower() != ".mp4":
        raise ProtoSagaError(f"The video {path} must be named .mp4, for example {path.with_suffix('.mp4')}.")
    with atomic_path(path) as temporary, Encoder(temporary, fps or DEFAULT_FPS) as encoder:
        yield lambda image, labels: encoder.add(draw_masks(image, labels, opacity))


def draw_masks(
    rgb: UInt8[np.ndarray, "H W 3"], labels: Int[np.ndarray, "H W"], opacity: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Masks in the colours of their ids: blended inside, opaque on their outermost pixels."""
    drawn = overlay(rgb, labels, opacity)
    border = mask_borders(labels)
    drawn[border] = color_table(labels)[labels[border]]
    return drawn


def mask_borders(labels: Int[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels of masks with a pixel of another label above, below, left or right of them."""
    border = np.zeros(labels.shape, bool)
    rows, columns = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    border[1:] |= rows
    border[:-1] |= rows
    border[:, 1:] |= columns
    border[:, :-1] |= columns
    return border & (labels > 0)
