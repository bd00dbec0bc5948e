"""Label maps through the warp and crop that nerfstudio undistorts images with."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.datamanagers import full_images_datamanager
from torch import Tensor


def undistort_label_map(label_map: Int[Tensor, "H W"], camera: Cameras) -> Int[Tensor, "h w"]:
    """Nearest neighbour through exactly the warp that the image goes through, whatever the camera model.

    Nerfstudio's own function warps an image whose colours are pixel coordinates; what it makes of them is
    where every target pixel comes from. 0 where that is outside of the image.

    Args:
        camera: a single camera (shape ()), still distorted, whose size is the label map's.
    """
    if camera.distortion_params is None or torch.all(camera.distortion_params == 0):
        return label_map
    height, width = label_map.shape
    rows, columns = np.mgrid[:height, :width]
    coordinates = np.stack([rows, columns, np.ones_like(rows)], -1).astype(np.float32)
    intrinsics = camera.get_intrinsics_matrices().numpy()
    _, warped, _ = full_images_datamanager._undistort_image(
        camera, camera.distortion_params.numpy(), {}, coordinates, intrinsics
    )
    inside = warped[..., 2] > 0.5
    # Interpolation with the black border pulls coordinates towards 0 by the share that the last channel
    # tells.
    source = np.rint(warped[..., :2] / np.where(inside, warped[..., 2], 1)[..., None]).astype(np.int64)
    source = torch.from_numpy(source.clip(0, [height - 1, width - 1]))
    labels = label_map[source[..., 0], source[..., 1]]
    return torch.where(torch.from_numpy(inside), labels, torch.zeros_like(labels))
