"""Checks of what the data parsers read: poses and points that would fail late, or train to nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.utils.rich_utils import CONSOLE

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


def check_outputs(outputs: DataparserOutputs, data: Path) -> None:
    """Poses, intrinsics and points are finite.

    Raises:
        ProtoSagaError: NaN or infinity; the message names the view or counts the points.
    """
    cameras = outputs.cameras
    numbers = [cameras.camera_to_worlds, cameras.fx, cameras.fy, cameras.cx, cameras.cy]
    if cameras.distortion_params is not None:
        numbers.append(cameras.distortion_params)
    bad = ~torch.stack([torch.isfinite(n.flatten(1)).all(-1) for n in numbers]).all(0)
    if bad.any():
        view = outputs.image_filenames[int(bad.nonzero()[0])]
        raise ProtoSagaError(
            f"NaN or infinite numbers in the camera of {int(bad.sum())} views of {data}, first {view}. "
            "Correct their pose and intrinsics, or remove them."
        )
    points = outputs.metadata.get("points3D_xyz")
    if points is not None and not torch.isfinite(points).all():
        count = int((~torch.isfinite(points).all(-1)).sum())
        raise ProtoSagaError(
            f"NaN or infinite coordinates in {count} of the {len(points)} 3D points of {data}. Remove these "
            "points from the point cloud."
        )


def without_missing_images(outputs: DataparserOutputs) -> DataparserOutputs:
    """Drop the views whose image file does not exist, and say so; keep all if none exists.

    Data sets are often thinned out by deleting images. A command that needs no image (rendering a path) must
    work where none is left.
    """
    kept = [index for index, path in enumerate(outputs.image_filenames) if path.exists()]
    missing = [path.name for path in outputs.image_filenames if not path.exists()]
    if not kept or not missing:
        return outputs
    names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    CONSOLE.print(f"[bold yellow]{len(missing)} of {len(kept) + len(missing)} images do not exist: {names}")

    def pick(items: list[Any] | None) -> Any:
        return None if items is None else [items[index] for index in kept]

    outputs.cameras = outputs.cameras[torch.tensor(kept)]
    outputs.image_filenames = pick(outputs.image_filenames)
    outputs.mask_filenames = pick(outputs.mask_filenames)
    if "depth_filenames" in outputs.metadata:
        outputs.metadata["depth_filenames"] = pick(outputs.metadata["depth_filenames"])
    return outputs
