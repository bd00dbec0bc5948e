"""Small random scenes for the rasterizer."""

from __future__ import annotations

import torch
from torch import Tensor

from proto_saga_ns.rasterize.geometry import Geometry


def random_scene(
    count: int = 60, channels: int = 3, views: int = 1, size: tuple[int, int] = (37, 29), seed: int = 0
) -> dict[str, Tensor]:
    """Arguments of ``rasterization``: Gaussians around the origin, a few of them behind the cameras."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    width, height = size
    viewmats = torch.eye(4).repeat(views, 1, 1)
    angles = 0.3 * normal(views)
    viewmats[:, 0, 0] = viewmats[:, 2, 2] = angles.cos()
    viewmats[:, 0, 2], viewmats[:, 2, 0] = angles.sin(), -angles.sin()
    viewmats[:, :3, 3] = torch.tensor([0.0, 0.0, 3.0]) + 0.1 * normal(views, 3)
    intrinsics = torch.tensor([[0.9 * width, 0, width / 2 - 0.7], [0, 1.1 * width, height / 2 + 0.4], [0, 0, 1.0]])
    return {
        "means": normal(count, 3) * torch.tensor([1.0, 0.8, 1.5]),
        "quats": normal(count, 4),
        "scales": torch.exp(0.5 * normal(count, 3) - 2.0),
        "opacities": torch.sigmoid(2 * normal(count)),
        "colors": torch.rand(count, channels, generator=generator),
        "viewmats": viewmats,
        "Ks": intrinsics.repeat(views, 1, 1),
    }


def geometry_of(scene: dict[str, Tensor], antialiased: bool = False) -> Geometry:
    """Of the arguments of ``rasterization``."""
    return Geometry(*(scene[name] for name in ("means", "quats", "scales", "opacities")), antialiased=antialiased)
