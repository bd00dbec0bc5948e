"""Checks of what the data parsers read: poses and points that would fail late, or train to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from nerfstudio.cameras.cameras import CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs
from nerfstudio.utils.rich_utils import CONSOLE

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.folder import image_size
from proto_saga_ns.labels.images import UPRIGHT, size_and_orientation

STEP = 2.0**-23
"""Between numbers of single precision near 1; nerfstudio centres poses in it."""
STEPS_OF_NOTHING = 16
"""Cameras that are no further apart than so many steps stand in one place: what is left is rounding."""
STEPS_OF_A_SCENE = 1000
"""So many must lie between the middle of the cameras and the outermost: fewer are pixels in the images."""
ON_A_MAP = 1e4
"""So far from the origin are positions in the coordinates of a map, in metres."""
UNDISTORTED = (CameraType.PERSPECTIVE, CameraType.FISHEYE, CameraType.FISHEYE624)
"""Lenses whose images nerfstudio makes into those of a pinhole, which is what splats are seen through."""


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
    _check_lenses(outputs, data)
    points = outputs.metadata.get("points3D_xyz")
    if points is not None and not torch.isfinite(points).all():
        count = int((~torch.isfinite(points).all(-1)).sum())
        raise ProtoSagaError(
            f"NaN or infinite coordinates in {count} of the {len(points)} 3D points of {data}. Remove these "
            "points from the point cloud."
        )


def _check_lenses(outputs: DataparserOutputs, data: Path) -> None:
    """Every lens is one that nerfstudio can make a pinhole of.

    Raises:
        ProtoSagaError: one is not; the message names the view.
    """
    cameras, lens = outputs.cameras, outputs.cameras.camera_type.flatten()
    fourth = torch.zeros(len(lens)) if cameras.distortion_params is None else cameras.distortion_params[:, 3]
    unknown = ~torch.isin(lens, torch.tensor([kind.value for kind in UNDISTORTED]))
    faults = {
        "has a focal length of 0 or less. Write it in pixels, as a positive number; which way axes point belongs into "
        "the pose.": ((cameras.fx <= 0) | (cameras.fy <= 0)).flatten(),
        "is neither a pinhole nor a fisheye, and splats are trained through no others. Cut 360-degree images into "
        "pinhole ones: ns-process-data images --camera-type equirectangular ...": unknown,
        "has a distortion k4, which nerfstudio cannot undo for a pinhole. Calibrate with k1, k2, k3, p1 and p2 alone, "
        "or undistort the images first.": (lens == CameraType.PERSPECTIVE.value) & (fourth != 0),
    }
    for fault, bad in faults.items():
        if bad.any():
            view = outputs.image_filenames[int(bad.nonzero()[0])]
            raise ProtoSagaError(f"The camera of {int(bad.sum())} views of {data}, first {view}, {fault}")


def check_spread(outputs: DataparserOutputs, data: Path) -> None:
    """Cameras stand apart, and not so far from the origin that nerfstudio's single precision cannot tell them apart.

    Args:
        outputs: whose poses were centred, and scaled such that the outermost camera is at 1.

    Raises:
        ProtoSagaError: they do not.
    """
    radius, offset = 1 / outputs.dataparser_scale, float(outputs.dataparser_transform[:3, 3].norm())
    if radius < STEPS_OF_NOTHING * STEP * offset and offset < ON_A_MAP:
        raise ProtoSagaError(one_place(data))
    if radius < STEPS_OF_A_SCENE * STEP * offset:
        raise ProtoSagaError(
            f"The cameras of {data} lie {offset:.7g} from the origin and {radius:.3g} from each other: in single "
            f"precision, which is what splats are trained in, places there are {STEP * offset:.2g} apart. Subtract the "
            "same offset from all positions and points, as programs do that export local coordinates."
        )


def one_place(data: Path) -> str:
    """What is wrong with cameras that all stand in one place."""
    return (
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


def check_masks_of_moving_things(outputs: DataparserOutputs) -> None:
    """The masks that the poses name (mask_path) are there, each as large as its image.

    Raises:
        ProtoSagaError: one is not.
    """
    for image, mask in zip(outputs.image_filenames, outputs.mask_filenames or (), strict=False):
        if not image.is_file():
            continue
        if not mask.is_file():
            raise ProtoSagaError(
                f"The mask {mask} of {image.name} does not exist. The poses name it as mask_path: bring it, or remove "
                "mask_path from all frames to train on whole images."
            )
        size, expected = image_size(mask), image_size(image)
        if size != expected:
            raise ProtoSagaError(
                f"The mask {mask} is {size[0]}x{size[1]}, but its image {image} is {expected[0]}x{expected[1]}. Make "
                "the masks that the poses name as mask_path as large as the images, or remove mask_path everywhere."
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
