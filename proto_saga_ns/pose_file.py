"""Nerfstudio's transforms.json: poses that would fail late, or train to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import what_it_is_instead

REMEDY = "Expected images with poses: ns-process-data makes them from photos."
PATHS = ("file_path", "mask_path", "depth_file_path")
"""Entries of a frame that name files."""
LISTS = ("train_filenames", "val_filenames", "test_filenames")
"""Lists of frames, by their file_path."""
STRAIGHT = 0.01
"""How far the axes of a camera may be from unit length and from right angles: programs write few digits."""


def read_pose_file(path: Path) -> dict[str, Any]:
    """A transforms.json as people have it.

    With a byte order mark; with the backslashes of Windows, the escapes of web addresses or the accents of macOS in its
    paths; with cameras that are scaled, as those of a modelling program are, whose axes get unit length. Paths to files
    that are there as they are written are left alone.

    Raises:
        ProtoSagaError: it cannot be read, or has no list of frames.
    """
    content = _read(path)
    if "applied_transform" in content:
        content["applied_transform"] = content["applied_transform"][:3]  # some write its last row, 0 0 0 1, too
    for frame in content["frames"]:
        if _is_scaled(frame):
            frame["transform_matrix"] = _unscaled(frame["transform_matrix"])
    return content


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        frames = content["frames"]
        for frame in frames:
            frame.update({key: _as_path(frame[key], path.parent) for key in PATHS if key in frame})
        for key in LISTS:
            if key in content:
                content[key] = [_as_path(name, path.parent) for name in content[key]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = what_it_is_instead(path) or REMEDY
        raise ProtoSagaError(f"No poses: {path} has no readable list of frames ({error!r}). {remedy}") from error
    return content


def _as_path(name: str, folder: Path) -> str:
    slashed = name.replace("\\", "/")
    # Escapes of addresses, and the two ways of Unicode to write an accent, of which macOS takes the other one.
    ways = (name, slashed, unquote(slashed), normalize("NFC", slashed), normalize("NFD", slashed))
    return next((way for way in ways if (folder / way).exists()), slashed)


def check_pose_file(path: Path) -> list[str]:
    """Every frame of a transforms.json has a finite 4x4 pose, whose axes are at right angles and right-handed.

    Nerfstudio centres all poses together, so one NaN becomes NaN in all of them: only here has it a name.

    Returns:
        The frames whose axes are not of unit length, which ``read_pose_file`` gives it.

    Raises:
        ProtoSagaError: the file is missing or unreadable, has no frames, or a frame has no pose or no rotation in it.
    """
    if not path.is_file():
        raise ProtoSagaError(f"No poses: {path} does not exist. {REMEDY}")
    frames = _read(path)["frames"]
    if not frames:
        raise ProtoSagaError(f"No poses: the list of frames in {path} is empty. {REMEDY}")
    for frame in frames:
        _check_frame(frame, path)
    return [str(frame.get("file_path")) for frame in frames if _is_scaled(frame)]


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
    _check_rotation(pose[:3, :3], f"The pose of {name} in {path}")


def _check_rotation(axes: Float[np.ndarray, "3 3"], what: str) -> None:
    lengths = np.linalg.norm(axes, axis=0)
    unit = axes / np.maximum(lengths, np.finfo(float).tiny)
    if not lengths.all() or abs(unit.T @ unit - np.eye(3)).max() > STRAIGHT:
        raise ProtoSagaError(
            f"{what} is no rotation: the first three columns of its transform_matrix are not at right angles. Expected "
            "camera-to-world, each column an axis of the camera (right, up, backwards)."
        )
    if np.linalg.det(unit) < 0:
        raise ProtoSagaError(
            f"{what} is mirrored (its determinant is negative), as left-handed programs such as Unity and Unreal write "
            "them. Expected a right-handed camera-to-world matrix: right, up, backwards. Turn the sign of one axis of "
            "the world (a row) or of the camera (a column), whichever the program has the other way round."
        )


def _is_scaled(frame: dict[str, Any]) -> bool:
    axes = _axes(frame)
    return axes is not None and bool(abs(np.linalg.norm(axes, axis=0) - 1).max() > STRAIGHT)


def _axes(frame: dict[str, Any]) -> Float[np.ndarray, "3 3"] | None:
    """The axes of a camera in the columns; None if it has no pose, or an axis of no length."""
    try:
        axes = np.array(frame["transform_matrix"], float)[:3, :3]
    except (KeyError, ValueError, TypeError, IndexError):
        return None
    return axes if axes.shape == (3, 3) and np.linalg.norm(axes, axis=0).all() else None


def _unscaled(matrix: list[list[float]]) -> list[list[float]]:
    pose = np.array(matrix, float)
    pose[:3, :3] /= np.linalg.norm(pose[:3, :3], axis=0)
    return pose.tolist()
