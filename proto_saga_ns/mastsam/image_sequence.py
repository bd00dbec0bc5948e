"""The images, label maps and poses that are tracked, read one at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int32
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import natural_key
from proto_saga_ns.labels import read_label_map, read_rgb, resize_label_map
from proto_saga_ns.labels.folder import check_size, image_size
from proto_saga_ns.labels.images import check_pose_file, data_folder, find_images
from proto_saga_ns.labels.view_names import unique_names, view_name
from proto_saga_ns.mastsam.frames import Camera, Frame, FrameSelection

DEPTH_UNIT = 1e-3
"""Depth maps hold millimetres in nerfstudio's format, if nobody says otherwise."""

_GL_TO_CV = np.diag([1.0, -1.0, -1.0, 1.0])
_MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
"""Models of COLMAP that are a pinhole when their distortion is 0."""
_PINHOLE = ("camera_model", "w", "h", "fl_x", "fl_y", "cx", "cy")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


@dataclass(frozen=True)
class ImageSequence:
    """What is tracked; the lists are parallel.

    Attributes:
        images: of one size, with names that differ.
        masks: the label map of each image, of any source, as large as the image or as its full-size original; None
            for those without one, which stay without instances unless a segmenter takes prompts.
        cameras: None if the poses are not known, or the lenses are no pinholes.
        depths: the depth map of each image, for matchers that ask for it; None if there are none.
        depth_unit: units of the world in a unit of the depth files.
    """

    images: Sequence[Path]
    masks: Sequence[Path | None]
    cameras: Sequence[Camera] | None = None
    depths: Sequence[Path] | None = None
    depth_unit: float = DEPTH_UNIT

    def frame(self, index: int) -> Frame:
        """Read an image, and its depth map if there is one.

        Raises:
            ProtoSagaError: a file is missing or unreadable.
        """
        path = self.images[index]
        image = read_rgb(path)
        height, width = image.shape[:2]
        depth = None if self.depths is None else read_depth(self.depths[index], height, width) * self.depth_unit
        return Frame(view_name(path), image, None if self.cameras is None else self.cameras[index], depth)

    def own_masks(self, frame: Frame, index: int) -> Int32[np.ndarray, "H W"]:
        """The label map of a frame, at its size; all unlabelled if it has none."""
        path = self.masks[index]
        return np.zeros(frame.size, np.int32) if path is None else resize_label_map(read_label_map(path), *frame.size)

    def check(self) -> None:
        """Look at the headers of all files.

        Raises:
            ProtoSagaError: naming the first file that is unreadable, of another size, or has the name of another; no
                image, or no label map at all.
        """
        if not self.images:
            raise ProtoSagaError("There are no images to track.")
        unique_names(self.images)
        first = self.images[0]
        size = image_size(first)
        for image, masks in zip(self.images, self.masks, strict=True):
            if (other := image_size(image)) != size:
                raise ProtoSagaError(
                    f"{image} is {other[0]}x{other[1]}, but {first}, the first image, is {size[0]}x{size[1]}. "
                    "Tracking needs images of one size: resize it, or take it out."
                )
            if masks is not None:
                check_size(masks, image_size(masks), image)
        if not any(self.masks):
            raise ProtoSagaError(f"None of the {len(self.images)} images has a label map, {first} first. Make masks.")


def select_images(data: Path, selection: FrameSelection | None = None) -> list[Path]:
    """The images of a data folder (see ``find_images``) in natural order of their paths: view2 before view10.

    Raises:
        ProtoSagaError: no such folder, no images, one that is unreadable, or of another size than the first.
    """
    paths = sorted(find_images(data), key=lambda path: natural_key(path.as_posix()))
    unique_names(paths)
    chosen = list((selection or FrameSelection()).of(paths))
    _check_size(chosen)
    return chosen


def _check_size(paths: Sequence[Path]) -> None:
    first = image_size(paths[0])
    for path in paths[1:]:
        if (size := image_size(path)) != first:
            raise ProtoSagaError(
                f"The image {path} is {size[0]}x{size[1]}, but {paths[0].name}, the first of the sequence, is "
                f"{first[0]}x{first[1]}. A sequence needs images of one size: resize it or take it out of the folder."
            )


@dataclass(frozen=True)
class PosedImage:
    """What transforms.json says of one image."""

    path: Path
    depth: Path | None
    camera_to_world: Float[np.ndarray, "4 4"]
    """OpenGL's axes"""
    lens: dict[str, Any]
    """numbers of the lens: fl_x, k1, ..."""

    def camera(self, width: int, height: int) -> Camera | None:
        """The pinhole camera of the image at a size; None if the lens is not a pinhole or not known."""
        lens = self.lens
        distorted = any(lens.get(name, 0) for name in _DISTORTION) or lens.get("camera_model", "OPENCV") not in _MODELS
        if distorted or lens.get("fl_x") is None:
            return None
        x, y = width / lens.get("w", width), height / lens.get("h", height)
        matrix = np.eye(3)
        matrix[0] = [x * lens["fl_x"], 0, x * lens.get("cx", width / x / 2)]
        matrix[1] = [0, y * lens.get("fl_y", lens["fl_x"]), y * lens.get("cy", height / y / 2)]
        return Camera(matrix, np.linalg.inv(self.camera_to_world @ _GL_TO_CV))


def read_posed_images(data: Path) -> list[PosedImage]:
    """The images of a transforms.json (or of the folder that it is in), in name order.

    Raises:
        ProtoSagaError: there is none, it is unreadable, a pose is missing, or two views share a name.
    """
    file = data if data.suffix == ".json" else data / "transforms.json"
    check_pose_file(file)
    content = json.loads(file.read_text(encoding="utf-8"))
    folder = data_folder(file)
    images = []
    for frame in content["frames"]:
        if "file_path" not in frame:
            raise ProtoSagaError(f"A frame in {file} has no file_path. Add it, or remove the frame.")
        depth = folder / frame["depth_file_path"] if "depth_file_path" in frame else None
        pose = np.array(frame["transform_matrix"], float)
        # A frame's own numbers go before those of the file.
        both = {**content, **frame}
        lens = {name: both[name] for name in _PINHOLE + _DISTORTION if name in both}
        images.append(PosedImage(folder / frame["file_path"], depth, pose, lens))
    unique_names([image.path for image in images])
    return sorted(images, key=lambda image: image.path)


def read_frame(image: PosedImage, depth_unit: float) -> Frame:
    """Read the files of an image; a depth map of another size is resized (nearest).

    Raises:
        ProtoSagaError: a file is missing or unreadable.
    """
    rgb = read_rgb(image.path)
    height, width = rgb.shape[:2]
    depth = None if image.depth is None else read_depth(image.depth, height, width) * depth_unit
    return Frame(view_name(image.path), rgb, image.camera(width, height), depth)


def read_depth(path: Path, height: int, width: int) -> Float[np.ndarray, "height width"]:
    """A depth map in the units of its file: .npy, or a grey image of 8 or 16 bits.

    Raises:
        ProtoSagaError: missing, unreadable, or more than one channel.
    """
    try:
        depth = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
    except (OSError, ValueError, EOFError) as error:
        raise ProtoSagaError(f"Cannot read the depth map {path} ({error}). Make it again.") from error
    depth = depth[..., 0] if depth.ndim == 3 and depth.shape[2] == 1 else depth
    if depth.ndim != 2:
        raise ProtoSagaError(f"The depth map {path} has the shape {depth.shape}; expected one channel, height x width.")
    return resize_label_map(depth.astype(np.float64), height, width)
