"""Nerfstudio's transforms.json: poses that would fail late, or train to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from proto_saga_ns.errors import ProtoSagaError


def check_pose_file(path: Path) -> None:
    """Every frame of a transforms.json has a finite 4x4 pose.

    Nerfstudio centres all poses together, so one NaN becomes NaN in all of them: only here has it a name.

    Raises:
        ProtoSagaError: the file is missing or unreadable, has no frames, or a frame has no pose.
    """
    remedy = "Expected images with poses: ns-process-data makes them from photos."
    if not path.is_file():
        raise ProtoSagaError(f"No poses: {path} does not exist. {remedy}")
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtoSagaError(f"No poses: {path} has no readable list of frames ({error!r}). {remedy}") from error
    if not frames:
        raise ProtoSagaError(f"No poses: the list of frames in {path} is empty. {remedy}")
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
