"""Checks of what the data parsers read: poses and points that would fail late, or train to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.utils.rich_utils import CONSOLE

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import UPRIGHT, size_and_orientation

SAME_PLACE = 1e-6
"""Distances that are smaller, as a share of the distance from the origin, are rounding."""


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


def check_places(outputs: DataparserOutputs, data: Path) -> None:
    """The cameras of the training views stand in more than one place.

    Nerfstudio divides by the distances between them, which come out as zero or as what rounding leaves of it.

    Raises:
        ProtoSagaError: they do not.
    """
    distance = float(outputs.cameras.camera_to_worlds[:, :3, 3].abs().max()) / outputs.dataparser_scale
    rounding = SAME_PLACE * float(outputs.dataparser_transform[:, 3].norm())
    if len(outputs.image_filenames) < 2 or distance <= rounding:
        raise in_one_place(data)


def in_one_place(data: Path) -> ProtoSagaError:
    """The error of data whose cameras stand in one place."""
    return ProtoSagaError(
        f"{data} has a single view, or all of its cameras stand in one place. Training needs two at least, and some "
        "dozens to be good. COLMAP may have put the others into another model (sparse/1)."
    )


def check_images(outputs: DataparserOutputs) -> None:
    """Images that are there have the size that their camera says; a rotation that EXIF asks for is told.

    Raises:
        ProtoSagaError: one has another size.
    """
    sizes = torch.cat([outputs.cameras.width, outputs.cameras.height], dim=-1).tolist()
    views = zip(outputs.image_filenames, sizes, strict=True)
    rotated = [path for path, size in views if path.is_file() and _check_image(path, tuple(size)) != UPRIGHT]
    if rotated:
        CONSOLE.print(
            f"[bold yellow]{len(rotated)} images carry an EXIF orientation (first {rotated[0].name}), which COLMAP and "
            "nerfstudio ignore: masks must fit the pixels as they are stored, not as photo viewers turn them."
        )


def _check_image(path: Path, expected: tuple[int, ...]) -> int:
    """The EXIF orientation of an image that has the expected width and height."""
    size, orientation = size_and_orientation(path)
    if size != expected:
        raise ProtoSagaError(
            f"The image {path} is {size[0]}x{size[1]}, but its camera says {expected[0]}x{expected[1]}. Correct "
            "w and h of the poses, with the intrinsics that belong to them, or give the images that they are for."
        )
    return orientation


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
