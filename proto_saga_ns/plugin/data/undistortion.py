"""Label maps through the warp and crop that nerfstudio undistorts images with."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.datamanagers import full_images_datamanager
from torch import Tensor

HARDLY_DISTORTED = 1e-9
"""A k1 that moves no pixel, and is not 0."""


class LabelMapUndistorter:
    """Nearest neighbour through exactly the warp that the image goes through, whatever the camera model.

    Keeps the warp of the last lens: most captures have one lens for all views.
    """

    def __init__(self) -> None:
        self._lens: tuple[float, ...] = ()
        self._source = torch.zeros((0, 0), dtype=torch.int64)

    def __call__(self, label_map: Int[Tensor, "H W"], camera: Cameras) -> Int[Tensor, "h w"]:
        """The undistorted label map, as large as the undistorted image; 0 where the warp leaves the image.

        Args:
            camera: a single camera (shape ()), still distorted, whose size is the label map's.
        """
        if camera.distortion_params is None or torch.all(camera.distortion_params == 0):
            return label_map
        lens = _lens(camera)
        if lens != self._lens:
            self._lens, self._source = lens, source_pixels(camera)
        # One more pixel at the end: where source_pixels says -1.
        pixels = torch.cat([label_map.reshape(-1), label_map.new_zeros(1)])
        return pixels[self._source]


def with_fisheyes_undone(cameras: Cameras) -> Cameras:
    """Cameras of which nerfstudio undoes every fisheye: it takes one whose numbers are all 0 for a pinhole."""
    distortion = cameras.distortion_params
    fisheye = (cameras.camera_type == CameraType.FISHEYE.value).flatten()
    if distortion is not None:
        cameras.distortion_params = distortion = distortion.clone()
        distortion[fisheye & (distortion == 0).all(dim=-1), 0] = HARDLY_DISTORTED
    return cameras


def source_pixels(camera: Cameras) -> Int[Tensor, "h w"]:
    """Index y * W + x of the distorted pixel nearest to where each undistorted one comes from; -1 outside.

    Nerfstudio's own function warps an image whose colours are the pixel coordinates: what comes out of it is
    where every pixel comes from.
    """
    height, width = int(camera.height.item()), int(camera.width.item())
    rows, columns = np.mgrid[:height, :width]
    coordinates = np.stack([rows, columns, np.ones_like(rows)], -1).astype(np.float32)
    intrinsics = camera.get_intrinsics_matrices().numpy()
    distortion = camera.distortion_params
    assert distortion is not None
    _, warped, _ = full_images_datamanager._undistort_image(camera, distortion.numpy(), {}, coordinates, intrinsics)
    inside = warped[..., 2] > 0.5
    # Interpolation with the black border pulls coordinates towards 0, by the share in the last channel.
    nearest = np.rint(warped[..., :2] / np.where(inside, warped[..., 2], 1)[..., None]).astype(np.int64)
    nearest = nearest.clip(0, [height - 1, width - 1])
    return torch.from_numpy(np.where(inside, nearest[..., 0] * width + nearest[..., 1], -1))


def _lens(camera: Cameras) -> tuple[float, ...]:
    """All that the warp depends on."""
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, camera.camera_type]
    distortion = camera.distortion_params
    return tuple(float(n.item()) for n in numbers) + tuple(distortion.tolist() if distortion is not None else ())
