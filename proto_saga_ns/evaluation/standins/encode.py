"""The contents of files, as bytes."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.videos.turntable import PinholeLens
from proto_saga_ns.labels.colors import instance_colors

JPEG_QUALITY = 95
_PINHOLE = 1
"""COLMAP's number of the camera model with fx, fy, cx, cy."""
_GL_TO_CV = np.array([1.0, -1.0, -1.0])


def image_png(rgb: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A colour image without loss."""
    return _encoded(Image.fromarray(rgb), format="PNG", compress_level=3)


def image_jpg(rgb: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A colour image with little loss."""
    # In images as small as these, colours at half the resolution would be no little loss.
    return _encoded(Image.fromarray(rgb), format="JPEG", quality=JPEG_QUALITY, subsampling=0)


def ids_png(ids: Int[np.ndarray, "H W"]) -> bytes:
    """Ids of at most 16 bits in one channel."""
    return _encoded(Image.fromarray(ids.astype(np.uint16)), format="PNG", compress_level=3)


def palette_png(ids: Int[np.ndarray, "H W"]) -> bytes:
    """Ids of at most 8 bits as indices of a palette, with which viewers show them in colour."""
    image = Image.fromarray(ids.astype(np.uint8), mode="P")
    image.putpalette(instance_colors(np.arange(256)).tobytes())
    return _encoded(image, format="PNG")


def mask_png(mask: Bool[np.ndarray, "H W"]) -> bytes:
    """A mask of 0 and 255 in 8 bits."""
    return _encoded(Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)), format="PNG")


def depth_png(depth: Float[np.ndarray, "H W"]) -> bytes:
    """Depth in metres as whole millimetres of 16 bits; 0 stays 0."""
    return ids_png((depth * 1000).round().clip(0, 65535).astype(np.int64))


def points_ply(points: Float[np.ndarray, "N 3"], colors: UInt8[np.ndarray, "N 3"], comment: str) -> bytes:
    """Coloured points as a binary PLY."""
    rows = np.empty(len(points), [*((axis, "<f4") for axis in "xyz"), *((c, "u1") for c in ("red", "green", "blue"))])
    for name, column in zip(rows.dtype.names or (), [*points.T, *colors.T], strict=True):
        rows[name] = column
    fields = [f"property float {axis}" for axis in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    head = ["ply", "format binary_little_endian 1.0", f"comment {comment}", f"element vertex {len(points)}"]
    return "\n".join([*head, *fields, "end_header", ""]).encode("ascii") + rows.tobytes()


def colmap_cameras(lens: PinholeLens) -> bytes:
    """COLMAP's cameras.bin with one pinhole camera of number 1."""
    numbers = (lens.focal, lens.focal, lens.width / 2, lens.height / 2)
    return struct.pack("<QiiQQ4d", 1, 1, _PINHOLE, lens.width, lens.height, *numbers)


def colmap_images(names: Sequence[str], poses: Sequence[Float[np.ndarray, "4 4"]]) -> bytes:
    """COLMAP's images.bin, numbered from 1, without 2D points.

    Args:
        poses: camera to world, OpenGL axes.
    """
    content = struct.pack("<Q", len(names))
    for number, (name, pose) in enumerate(zip(names, poses, strict=True), start=1):
        rotation = (pose[:3, :3] * _GL_TO_CV).T
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        shift = -rotation @ pose[:3, 3]
        content += struct.pack("<i7di", number, w, x, y, z, *shift, 1) + name.encode() + b"\0" + struct.pack("<Q", 0)
    return content


def colmap_points(points: Float[np.ndarray, "N 3"], colors: UInt8[np.ndarray, "N 3"]) -> bytes:
    """COLMAP's points3D.bin, numbered from 1, without tracks, since they come from no matching."""
    layout = [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")]
    rows = np.zeros(len(points), layout)
    rows["id"], rows["xyz"], rows["rgb"] = np.arange(1, len(points) + 1), points, colors
    return struct.pack("<Q", len(points)) + rows.tobytes()


def _encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()
