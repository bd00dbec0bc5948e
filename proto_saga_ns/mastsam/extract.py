"""A video as a folder of images, so that all that works on images works on it, too."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import cv2
from PIL import Image

from proto_saga_ns.files import write_atomically, write_json
from proto_saga_ns.mastsam.frame_source import FrameSelection
from proto_saga_ns.mastsam.sequence import Progress
from proto_saga_ns.mastsam.video import open_video

_DONE = "frames.json"
_QUALITY = 95
_ERRORS_ONLY = 2  # LOG_LEVEL_ERROR of OpenCV, which its Python module does not name


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
    step = progress("Decoding", source.count)
    paths = []
    for frame in source:
        buffer = io.BytesIO()
        Image.fromarray(frame.image).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
        paths.append(folder / f"{frame.name}.jpg")
        write_atomically(paths[-1], buffer.getvalue())
        step()
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
