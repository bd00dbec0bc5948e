"""Render Gaussians of your own, with gsplat's signature, on a CPU or a GPU: python examples/3_rasterize.py"""

from __future__ import annotations

import torch
from PIL import Image

from proto_saga_ns import rasterization

count, width, height = 2000, 320, 240
generator = torch.Generator().manual_seed(0)
directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
means = directions.requires_grad_()  # a hollow ball of radius 1
image, alpha, _ = rasterization(
    means=means,
    quats=torch.randn(count, 4, generator=generator),
    scales=torch.full((count, 3), 0.03),
    opacities=torch.full((count,), 0.9),
    colors=directions.detach() * 0.5 + 0.5,
    viewmats=torch.tensor([[[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]]),
    Ks=torch.tensor([[[280.0, 0, width / 2], [0, 280, height / 2], [0, 0, 1]]]),
    width=width,
    height=height,
)
alpha.sum().backward()  # gradients reach the Gaussians
assert means.grad is not None and means.grad.abs().sum() > 0
Image.fromarray((image[0].detach().clamp(0, 1) * 255).byte().numpy()).save("ball.png")
