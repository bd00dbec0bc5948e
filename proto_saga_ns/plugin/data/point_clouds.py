"""The points that training starts from, read without open3d.

Nerfstudio reads them with open3d, which needs libraries of a screen (libEGL, libGL, libusb) that servers lack, and
which gives no points at all for a file that is damaged: training would start from random ones without a word.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.splats.vertices import read_vertices

MIN_POINTS = 4
"""Splatfacto makes each Gaussian as large as its three nearest neighbours are far."""
WITHOUT_POINTS = "--load-3D-points False, after the name of the data parser, starts from random points"


def read_point_cloud(path: Path) -> tuple[Float[Tensor, "P 3"], UInt8[Tensor, "_P 3"]]:
    """Positions in the file's frame and units, and colours: a row of 3 each, or no row where the file has none.

    Colours that are integers of 8 or 16 bits count from 0 to their largest number, floating ones from 0 to 1.

    Raises:
        ProtoSagaError: the file is missing, damaged or no point cloud.
    """
    vertices = read_vertices(path, f"a PLY of the points that training starts from; {WITHOUT_POINTS}")
    names = vertices.dtype.names or ()
    if missing := [axis for axis in "xyz" if axis not in names]:
        raise ProtoSagaError(
            f"{path} lacks the field{'s' * (len(missing) > 1)} {', '.join(missing)}: it has no points."
        )
    points = np.stack([vertices[axis] for axis in "xyz"], -1).astype(np.float32)
    channels = [_to_8_bits(vertices[name]) for name in ("red", "green", "blue") if name in names]
    colors = np.stack(channels, -1) if len(channels) == 3 else np.empty((0, 3), np.uint8)
    return torch.from_numpy(points), torch.from_numpy(colors)


def _to_8_bits(channel: np.ndarray) -> np.ndarray:
    if channel.dtype.kind == "f":
        return np.rint(channel.clip(0, 1) * 255).astype(np.uint8)
    return (channel.astype(np.int64) * 255 // np.iinfo(channel.dtype).max).astype(np.uint8)


def read_seeds(path: Path, frame: Float[Tensor, "R 4"], scale: float) -> dict[str, Tensor]:
    """A point cloud as nerfstudio's data parsers hand it to the model: ``points3D_xyz`` and ``points3D_rgb``.

    Args:
        path: a PLY.
        frame: from the file's frame to the data parser's; R is 3 or 4.
        scale: applied after it.

    Raises:
        ProtoSagaError: see ``read_point_cloud``; or training cannot start from so few points.
    """
    points, colors = read_point_cloud(path)
    check_enough_points(len(points), path)
    return {"points3D_xyz": (points @ frame[:3, :3].T + frame[:3, 3]) * scale, "points3D_rgb": colors}


def check_enough_points(count: int, path: Path) -> None:
    """Raise a ``ProtoSagaError`` for a point cloud that training cannot start from."""
    if count < MIN_POINTS:
        raise ProtoSagaError(
            f"{path} holds {count} 3D points, and training needs {MIN_POINTS} at least to start from. Give it more, "
            f"or train without: {WITHOUT_POINTS}."
        )
