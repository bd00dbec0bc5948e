"""Nerfstudio's transforms.json: poses that would fail late, or train to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from proto_saga_ns.errors import ProtoSagaError

REMEDY = "Expected images with poses: ns-process-data makes them from photos."
PATHS = ("file_path", "mask_path", "depth_file_path")
"""Entries of a frame that name files."""
LISTS = ("train_filenames", "val_filenames", "test_filenames")
"""Lists of frames, by their file_path."""


def read_pose_file(path: Path) -> dict[str, Any]:
    """A transforms.json as people have it: with a byte order mark, or with the backslashes of Windows in its paths.

    Paths to files that are there as they are written are left alone.

    Raises:
        ProtoSagaError: it cannot be read, or has no list of frames.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        frames = content["frames"]
        for frame in frames:
            frame.update({key: _as_path(frame[key], path.parent) for key in PATHS if key in frame})
        for key in LISTS:
            if key in content:
                content[key] = [_as_path(name, path.parent) for name in content[key]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtoSagaError(f"No poses: {path} has no readable list of frames ({error!r}). {REMEDY}") from error
    return content


def _as_path(name: str, folder: Path) -> str:
    if "\\" not in name or (folder / name).exists():
        return name
    return name.replace("\\", "/")


def check_pose_file(path: Path) -> None:
    """Every frame of a transforms.json has a finite 4x4 pose.

    Nerfstudio centres all poses together, so one NaN becomes NaN in all of them: only here has it a name.

    Raises:
        ProtoSagaError: the file is missing or unreadable, has no frames, or a frame has no pose.
    """
    if not path.is_file():
        raise ProtoSagaError(f"No poses: {path} does not exist. {REMEDY}")
    frames = read_pose_file(path)["frames"]
    if not frames:
        raise ProtoSagaError(f"No poses: the list of frames in {path} is empty. {REMEDY}")
    for frame in frames:
        _check_frame(frame, path)


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
