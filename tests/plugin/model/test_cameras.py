"""Laws of the conversion from nerfstudio's cameras."""

import torch
from nerfstudio.cameras.cameras import Cameras

from proto_saga_ns.plugin.model.render import camera_view, world_to_camera


def some_pose() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    rotation = rotation * torch.det(rotation).sign()
    return torch.cat([rotation, torch.randn(3, 1, generator=generator)], dim=1)[None]


def test_world_to_camera_inverts_the_pose_up_to_the_flip_of_two_axes() -> None:
    pose = some_pose()
    full = torch.cat([pose[0], torch.tensor([[0.0, 0.0, 0.0, 1.0]])])
    flipped = full @ torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    torch.testing.assert_close(world_to_camera(pose)[0], torch.linalg.inv(flipped))


def test_points_in_front_of_an_opengl_camera_have_positive_depth() -> None:
    identity = torch.eye(4)[None, :3]
    assert (world_to_camera(identity)[0] @ torch.tensor([0.0, 0.0, -2.0, 1.0]))[2] == 2.0


def test_downscaling_scales_the_intrinsics_and_leaves_the_camera_alone() -> None:
    camera = Cameras(some_pose(), fx=100.0, fy=90.0, cx=32.0, cy=24.0, width=65, height=49)
    full = camera_view(camera, camera.camera_to_worlds, 1, torch.device("cpu"))
    half = camera_view(camera, camera.camera_to_worlds, 2, torch.device("cpu"))
    assert (full.width, full.height, half.width, half.height) == (65, 49, 32, 24)
    torch.testing.assert_close(half.intrinsics[0, :2], full.intrinsics[0, :2] / 2)
    assert half.intrinsics[0, 2, 2] == 1 and camera.width.item() == 65
