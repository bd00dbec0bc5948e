"""A video of frames with their label maps laid over them.

By the ffmpeg program of imageio-ffmpeg: OpenCV's wheels have no encoder for H.264, which every browser plays.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import Bool, Int, UInt8

from proto_saga_ns.colors import color_table, overlay
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_path

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
    with atomic_path(path) as temporary, _Encoder(temporary, fps or DEFAULT_FPS) as encoder:
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


class _Encoder:
    """An ffmpeg process that makes a video of raw frames; it starts with the first, whose size it needs."""

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._shape: tuple[int, ...] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  (closed by __exit__)

    def __enter__(self) -> _Encoder:
        return self

    def add(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        if self._process is None:
            self._shape = image.shape
            command = _command(self._path, self._fps, _even(image).shape[:2])
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._messages)
        if image.shape != self._shape:
            raise ValueError(f"a frame of shape {image.shape} in a video of shape {self._shape}")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(_even(image)).data)
        except OSError as error:
            self._process.wait()
            raise self._failure() from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._messages:
            if kind is not None:
                self._abandon()
            elif self._process is None:
                raise ValueError("a video needs at least one frame")
            elif self._finish() != 0:
                raise self._failure()

    def _finish(self) -> int:
        assert self._process is not None
        # Also closes the input, which ends the video.
        self._process.communicate()
        return self._process.returncode

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):
                self._process.communicate()

    def _failure(self) -> OSError:
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").split("\n")
        return OSError(next((line.strip() for line in lines if line.strip()), "ffmpeg failed"))


def _command(path: Path, fps: float, size: tuple[int, ...]) -> list[str]:
    """For ffmpeg: raw RGB frames of (height, width) from standard input, H.264 to the file."""
    height, width = size
    given = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:.6f}", "-i", "-"]
    wanted = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    # The temporary name does not tell the format; the index in front lets browsers play while they load.
    container = ["-f", "mp4", "-movflags", "+faststart", str(path)]
    return [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *given, *wanted, *container]


def _even(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """The last row and column repeated where their number is odd."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image
