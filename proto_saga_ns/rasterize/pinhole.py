"""Where a pinhole camera sees the centres of Gaussians: pixel (x, y) covers [x, x + 1) x [y, y + 1) of its plane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from proto_saga_ns.rasterize.project import Lens


@dataclass(frozen=True)
class SeenCenters:
    """Of N Gaussians in one view.

    Attributes:
        inside: which lie before the camera and inside the image, hidden or not.
        pixels: y * width + x of the pixel that contains each; 0 outside.
        depths: z in the camera frame.
    """

    inside: Bool[Tensor, " N"]
    pixels: Int64[Tensor, " N"]
    depths: Float[Tensor, " N"]


def see_centers(
    means: Float[Tensor, "N 3"], viewmat: Float[Tensor, "4 4"], K: Float[Tensor, "3 3"], width: int, height: int
) -> SeenCenters:
    """Project centres to pixels, as the rasterizer does, whose pixels have their middle at half coordinates.

    Args:
        means: world frame.
        viewmat: world to camera, OpenCV axes.
        K: intrinsics, pixels.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    points = viewmat[:3, :3] @ means.T + viewmat[:3, 3:]
    depths = points[2]
    x, y = (points[:2] / depths * K[[0, 1], [0, 1], None] + K[:2, 2:]).floor()
    # Compared as floats: far outside the image, or at depth 0, they have no integer.
    inside = (depths > Lens.near_plane) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return SeenCenters(inside, torch.where(inside, y * width + x, 0).long(), depths)
