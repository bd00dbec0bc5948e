"""Label maps go through the same warp as images, for every lens that nerfstudio undistorts."""

import numpy as np
import pytest
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.datamanagers.full_images_datamanager import _undistort_image

from proto_saga_ns.plugin.data.undistortion import LabelMapUndistorter, source_pixels

LENSES = {
    "barrel": (CameraType.PERSPECTIVE, (-0.3, 0.08, 0.0, 0.0, 0.01, -0.01)),
    "pincushion": (CameraType.PERSPECTIVE, (0.2, 0.05, 0.0, 0.0, 0.0, 0.0)),
    "fisheye": (CameraType.FISHEYE, (0.1, -0.02, 0.01, 0.0, 0.0, 0.0)),
}


def camera(lens, width=90, height=70):
    camera_type, distortion = LENSES[lens]
    return Cameras(
        camera_to_worlds=torch.eye(4)[None, :3],
        fx=60.0,
        fy=62.0,
        cx=width / 2 + 1.5,
        cy=height / 2 - 1,
        width=width,
        height=height,
        distortion_params=torch.tensor([distortion]),
        camera_type=camera_type,
    )[0].reshape(())


def patches(width=90, height=70):
    """Label map of large random patches."""
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 6, (7, 9)), np.ones((10, 10), int))[:height, :width].astype(np.int16)


def undistorted_image(view, image):
    intrinsics = view.get_intrinsics_matrices().numpy()
    return _undistort_image(view, view.distortion_params.numpy(), {}, image, intrinsics)[1]


@pytest.mark.parametrize("lens", LENSES)
def test_labels_agree_with_an_image_that_shows_them(lens):
    view, labels = camera(lens), patches()
    image = undistorted_image(view, np.repeat((labels * 40).astype(np.uint8)[..., None], 3, -1))
    result = LabelMapUndistorter()(torch.from_numpy(labels), view).numpy()
    assert result.shape == image.shape[:2] and result.dtype == labels.dtype
    # A pixel that mixes two patches has no true label; all others must agree.
    local = np.stack([np.roll(image[..., 0], shift, (0, 1)) for shift in [(0, 1), (1, 0), (0, -1), (-1, 0)]])
    pure = (local == image[..., 0]).all(0)
    pure[[0, -1]] = pure[:, [0, -1]] = False
    assert pure.mean() > 0.4
    np.testing.assert_array_equal(result[pure] * 40, image[..., 0][pure])
    assert set(result.flat) <= set(labels.flat)


def test_distortion_really_moves_labels():
    labels = patches()
    result = LabelMapUndistorter()(torch.from_numpy(labels), camera("barrel")).numpy()
    height, width = result.shape
    assert (result != labels[:height, :width]).mean() > 0.05


def test_without_distortion_nothing_changes():
    view, labels = camera("barrel"), torch.from_numpy(patches())
    view.distortion_params = torch.zeros(6)
    assert LabelMapUndistorter()(labels, view) is labels


def test_outside_of_the_image_is_unlabelled():
    view = camera("fisheye")
    source = source_pixels(view)
    ones = LabelMapUndistorter()(torch.ones(70, 90, dtype=torch.int32), view)
    assert torch.equal(ones == 0, source == -1)


def test_one_undistorter_serves_several_lenses():
    both, labels = LabelMapUndistorter(), torch.from_numpy(patches())
    for lens in ("barrel", "fisheye", "fisheye", "barrel"):
        assert torch.equal(both(labels, camera(lens)), LabelMapUndistorter()(labels, camera(lens)))
