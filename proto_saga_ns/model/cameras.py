"""From nerfstudio's cameras to what the rasterizer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras


@dataclass(frozen=True)
class CameraView:
    """A batch of one pinhole view.

    Attributes:
        viewmats: (1, 4, 4) world to camera, OpenCV axes (x right, y down, z forward).
        intrinsics: (1, 3, 3), in pixels of the image below.
        width: image width in pixels.
        height: image height in pixels.
    """

    viewmats: Float[Tensor, "1 4 4"]
    intrinsics: Float[Tensor, "1 3 3"]
    width: int
    height: int


def world_to_camera(camera_to_worlds: Float[Tensor, "C 3 4"]) -> Float[Tensor, "C 4 4"]:
    """Invert nerfstudio's poses (OpenGL axes: y up, z backward) into OpenCV world-to-camera matrices."""
    flip = camera_to_worlds.new_tensor([1.0, -1.0, -1.0])
    rotation = (camera_to_worlds[:, :3, :3] * flip).transpose(1, 2)
    translation = -rotation @ camera_to_worlds[:, :3, 3:4]
    last_row = camera_to_worlds.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(len(rotation), 1, 4)
    return torch.cat([torch.cat([rotation, translation], dim=2), last_row], dim=1)


def camera_view(
    camera: Cameras, camera_to_worlds: Float[Tensor, "1 3 4"], downscale: int, device: torch.device
) -> CameraView:
    """The view of one camera at ``1 / downscale`` of its resolution.

    Args:
        camera: one camera, for its intrinsics.
        camera_to_worlds: its pose, perhaps corrected by the camera optimizer.
        downscale: integer factor of the resolution schedule.
        device: where the matrices shall live.
    """
    intrinsics = camera.get_intrinsics_matrices().to(device)
    scale = intrinsics.new_tensor([1 / downscale, 1 / downscale, 1.0])[:, None]
    width, height = int(camera.width.item()) // downscale, int(camera.height.item()) // downscale
    # A path that a person has written may be of whole numbers.
    poses = camera_to_worlds.to(device, intrinsics.dtype)
    return CameraView(world_to_camera(poses), intrinsics * scale, width, height)


def downscaled_labels(label_map: Int[Tensor, "H W"], factor: int) -> Int[Tensor, "h w"]:
    """Every ``factor``-th label, from cell centres, in the size that splatfacto's image downscaling gives."""
    if factor == 1:
        return label_map
    height, width = (size // factor * factor for size in label_map.shape)
    return label_map[factor // 2 : height : factor, factor // 2 : width : factor]
