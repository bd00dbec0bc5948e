"""Videos and animated GIFs from raw frames, by the ffmpeg program of imageio-ffmpeg.

OpenCV's wheels have no encoder for H.264, which every browser plays.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from proto_saga_ns.errors import ProtoSagaError


@dataclass(frozen=True)
class VideoFormat:
    """What ffmpeg shall make of the frames.

    Attributes:
        opaque: arguments for frames without alpha.
        transparent: arguments for frames with straight alpha; empty where the format has none.
        needs_even_sizes: whether frames of odd height or width must be extended, as 4:2:0 colours ask for.
    """

    opaque: tuple[str, ...]
    transparent: tuple[str, ...] = ()
    needs_even_sizes: bool = False


def _gif(palette: str, use: str) -> tuple[str, ...]:
    """One palette for all frames, so that colours do not flicker; ordered dither moves less than others, and packs."""
    graph = f"[0:v]split[a][b];[a]palettegen={palette}[p];[b][p]paletteuse=dither=bayer:bayer_scale=5{use}"
    return ("-filter_complex", graph, "-f", "gif")


_H264 = ("-c:v", "libx264", "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p")
_VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-cpu-used", "4", "-row-mt", "1", "-f", "webm")
_PRORES = ("-c:v", "prores_ks", "-profile:v", "4444", "-vendor", "apl0", "-f", "mov")
# The temporary name does not tell the format, so each names it; the index in front lets browsers play while they load.
MP4 = VideoFormat((*_H264, "-f", "mp4", "-movflags", "+faststart"), needs_even_sizes=True)
FORMATS = {
    ".mp4": MP4,
    ".webm": VideoFormat(
        (*_VP9, "-pix_fmt", "yuv420p"),
        # libvpx refuses alternate reference frames together with alpha.
        (*_VP9, "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"),
        needs_even_sizes=True,
    ),
    ".mov": VideoFormat((*_PRORES, "-pix_fmt", "yuv444p10le"), (*_PRORES, "-pix_fmt", "yuva444p10le")),
    ".gif": VideoFormat(
        _gif("reserve_transparent=0", ":diff_mode=rectangle"), _gif("reserve_transparent=1", ":alpha_threshold=128")
    ),
}
"""By the suffix of the file: H.264, VP9, ProRes 4444, and GIF, whose transparency is all or nothing."""


def find_ffmpeg() -> str:
    """The ffmpeg program that imageio-ffmpeg brings, or that the variable IMAGEIO_FFMPEG_EXE names.

    Raises:
        ProtoSagaError: there is none.
    """
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ProtoSagaError(_NO_FFMPEG) from error


_NO_FFMPEG = (
    "There is no ffmpeg to write videos with. `pip install --force-reinstall imageio-ffmpeg` brings one, or set "
    "IMAGEIO_FFMPEG_EXE to an ffmpeg that you have. Pictures need none: give an output path without a suffix."
)


class Encoder:
    """An ffmpeg process that makes a video of raw frames; it starts with the first, whose size it needs.

    Args:
        path: where ffmpeg writes, whatever its suffix.
        fps: frames per second.
        video: what to make.
    """

    def __init__(self, path: Path, fps: float, video: VideoFormat = MP4) -> None:
        self._path, self._fps, self._format = path, fps, video
        self._shape: tuple[int, ...] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115  (closed by __exit__)

    def __enter__(self) -> Encoder:
        return self

    def add(self, image: UInt8[np.ndarray, "H W C"]) -> None:
        """Add a frame of RGB or (straight) RGBA.

        Raises:
            ProtoSagaError: there is no ffmpeg.
            OSError: ffmpeg failed; says what it said.
            ValueError: another shape than that of the first frame.
        """
        frame = extended_to_even(image) if self._format.needs_even_sizes else image
        if self._process is None:
            self._shape = image.shape
            self._process = self._start(frame.shape)
        if image.shape != self._shape:
            raise ValueError(f"a frame of shape {image.shape} in a video of shape {self._shape}")
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(np.ascontiguousarray(frame).data)
        except OSError as error:
            self._process.wait()
            raise self._failure() from error

    def _start(self, shape: tuple[int, ...]) -> subprocess.Popen[bytes]:
        height, width, channels = shape
        pixels, wanted = ("rgba", self._format.transparent) if channels == 4 else ("rgb24", self._format.opaque)
        given = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-r", f"{self._fps:.6f}", "-i", "-"]
        # Without a protocol in front, a colon in the name would be taken for the end of one.
        command = [find_ffmpeg(), "-y", "-loglevel", "error", *given, *wanted, f"file:{self._path}"]
        try:
            return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._messages)
        except OSError as error:
            raise ProtoSagaError(f"{command[0]} cannot be run ({error.strerror}). {_NO_FFMPEG}") from error

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


def extended_to_even(image: UInt8[np.ndarray, "H W C"]) -> UInt8[np.ndarray, "H2 W2 C"]:
    """The last row and column repeated where their number is odd."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 or width % 2 else image
