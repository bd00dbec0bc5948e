"""A video as a sequence of frames.

By OpenCV's VideoCapture, because nerfstudio pins its version, it needs no program beside it, passes over frames that
are not used without converting them, and turns frames as the video's rotation says.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import write_atomically, write_json
from proto_saga_ns.mastsam.frames import Frame, FrameSelection, FrameSource
from proto_saga_ns.progress import Progress

_REMEDY = "Give a video that ffmpeg can read, such as an MP4 file, or a folder of images."
_DONE = "frames.json"
_QUALITY = 95
_ERRORS_ONLY = 2  # LOG_LEVEL_ERROR of OpenCV, which its Python module does not name


def open_video(path: Path, selection: FrameSelection | None = None) -> FrameSource:
    """The frames of a video as RGB, upright, named frame_00001, frame_00002, ... as they are used.

    With ``every`` = N frame i of the sequence is frame (i - 1) N + 1 of the video. Decodes the first frame at once,
    and all when iterated. The count is what the video's header says: an estimate, at least 1. A video that breaks off
    ends with its last good frame.

    Raises:
        ProtoSagaError: the file is missing, is no video, or no frame of it decodes.
    """
    selection = selection or FrameSelection()
    with _capture(path) as capture:
        if (first := _next_image(capture)) is None:
            raise ProtoSagaError(f"No frame of the video {path} can be decoded: it is empty or damaged. {_REMEDY}")
        # Negative or absurd where the header says nothing.
        total = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 1)
        fps = capture.get(cv2.CAP_PROP_FPS)
    height, width = first.shape[:2]
    used_fps = fps / selection.every if np.isfinite(fps) and fps > 0 else None
    return FrameSource(selection.count_of(total), (height, width), used_fps, lambda: _frames(path, selection))


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    if not path.is_file():
        raise ProtoSagaError(f"The video {path} does not exist. {_REMEDY}")
    # By name, or OpenCV would try the file as a series of images too.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise ProtoSagaError(f"{path} is no video, or is damaged. {_REMEDY}")
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        yield capture
    finally:
        capture.release()


def _frames(path: Path, selection: FrameSelection) -> Iterator[Frame]:
    with _capture(path) as capture:
        for number, _ in enumerate(selection.of(_grabbed(capture)), start=1):
            if (image := _decoded(capture)) is None:
                return
            yield Frame(f"frame_{number:05d}", image)


def _grabbed(capture: cv2.VideoCapture) -> Iterator[None]:
    """Steps from frame to frame until the video ends."""
    while capture.grab():
        yield None


def _next_image(capture: cv2.VideoCapture) -> UInt8[np.ndarray, "H W 3"] | None:
    return _decoded(capture) if capture.grab() else None


def _decoded(capture: cv2.VideoCapture) -> UInt8[np.ndarray, "H W 3"] | None:
    """The frame stepped to, RGB; None if it cannot be had."""
    found, bgr = capture.retrieve()
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False) if found else None


def extract_frames(video: Path, folder: Path, selection: FrameSelection, progress: Progress) -> list[Path]:
    """Write the frames of a video as JPEG files; does nothing if that was done before.

    Raises:
        ProtoSagaError: the file is missing, is no video, or no frame of it decodes; or the disk is full.
    """
    _silence_decoder()
    source = open_video(video, selection)
    stat = video.stat()
    what = {"video": video.name, "bytes": stat.st_size, "modified": stat.st_mtime_ns, "every": selection.every}
    what["max_frames"] = selection.max_frames
    if found := _extracted(folder, what):
        return found
    paths = []
    for frame in progress(source, "Decoding frames", source.count):
        buffer = io.BytesIO()
        Image.fromarray(frame.image).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        paths.append(folder / f"{frame.name}.jpg")
        write_atomically(paths[-1], buffer.getvalue())
    write_json(folder / _DONE, {**what, "fps": source.fps, "frames": [path.name for path in paths]})
    return paths


def frames_per_second(folder: Path) -> float | None:
    """Of extracted frames; None where there is no time."""
    try:
        return json.loads((folder / _DONE).read_text(encoding="utf-8"))["fps"]
    except (OSError, ValueError, KeyError):
        return None


def _silence_decoder() -> None:
    """What FFmpeg and OpenCV say of a bad file goes to standard error, where the one line that matters is lost."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.setLogLevel(_ERRORS_ONLY)


def _extracted(folder: Path, what: dict[str, object]) -> list[Path]:
    try:
        done = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        paths = [folder / name for name in done["frames"]]
    except (OSError, ValueError, KeyError):
        return []
    same = all(done.get(name) == value for name, value in what.items())
    return paths if same and all(path.is_file() for path in paths) else []
