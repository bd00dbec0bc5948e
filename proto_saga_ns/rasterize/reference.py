"""The slow reference: plain torch, every Gaussian at every pixel, any floating type, gradients by autograd.

Memory grows with Gaussians x pixels. The kernels are tested against it, and it runs float64, for gradcheck.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.rasterize.arguments import TILE, Scene, compose

MARGIN_OF_VIEW = 0.3
MIN_ALPHA, MAX_ALPHA, MIN_TRANSMITTANCE = 1 / 255, 0.999, 1e-4


def rasterize(scene: Scene) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Images, alphas and info of checked arguments; see ``proto_saga_ns.rasterize.rasterization``."""
    means2d, conics, depths, compensations, radii = project(scene)
    opacities = scene.geometry.drawn_opacities(compensations)
    size = (scene.lens.height, scene.lens.width)

    def blend(view: int, features: Tensor) -> tuple[Tensor, Tensor]:
        order = depths[view].detach().argsort(stable=True)
        order = order[radii[view][order] > 0]
        splats = (means2d[view][order], conics[view][order], opacities[view][order])
        return composite(*splats, features[order], radii[view][order], size)

    images, alphas = compose(scene, depths, blend)
    info = {"means2d": means2d, "conics": conics, "depths": depths, "radii": radii, "opacities": opacities}
    return images, alphas, info


def quaternion_rotation(quats: Float[Tensor, "N 4"]) -> Float[Tensor, "N 3 3"]:
    """Rotation matrices of quaternions w, x, y, z of any length."""
    w, x, y, z = F.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def project(scene: Scene) -> tuple[Tensor, Tensor, Tensor, Tensor, Int[Tensor, "C N"]]:
    """EWA projection: means2d (C, N, 2), conics (C, N, 3), depths, compensations and radii (C, N)."""
    rotation = scene.viewmats[:, :3, :3]
    points = torch.einsum("cij,nj->cni", rotation, scene.geometry.means) + scene.viewmats[:, None, :3, 3]
    root = quaternion_rotation(scene.geometry.quats) * scene.geometry.scales[:, None, :]
    covariances = torch.einsum("cij,njk,nlk,cml->cnim", rotation, root, root, rotation)
    in_front = (points[..., 2] > scene.lens.near_plane) & (points[..., 2] < scene.lens.far_plane)
    points = points.where(in_front[..., None], torch.ones_like(points))
    jacobian = _jacobian(points, scene)
    flat = jacobian @ covariances @ jacobian.transpose(-1, -2)
    before = flat[..., 0, 0] * flat[..., 1, 1] - flat[..., 0, 1] ** 2
    xx, yy, xy = flat[..., 0, 0] + scene.lens.eps2d, flat[..., 1, 1] + scene.lens.eps2d, flat[..., 0, 1]
    after = xx * yy - xy**2
    conics = torch.stack([yy, -xy, xx], dim=-1) / after[..., None]
    focal, center = _focal_and_center(scene)
    means2d = focal[:, None] * points[..., :2] / points[..., 2:] + center[:, None]
    radii = _radii(means2d.detach(), xx.detach(), yy.detach(), after.detach(), in_front, scene)
    # The root's slope is infinite at zero: Gaussians thinner than rounding get no gradient through it.
    ratio = before / after
    compensations = torch.where(ratio > 0, ratio.clamp_min(torch.finfo(ratio.dtype).tiny).sqrt(), 0 * ratio)
    seen = radii > 0
    means2d, conics = (value.where(seen[..., None], torch.zeros_like(value)) for value in (means2d, conics))
    return means2d, conics, points[..., 2] * seen, compensations * seen, radii


def _focal_and_center(scene: Scene) -> tuple[Float[Tensor, "C 2"], Float[Tensor, "C 2"]]:
    k = scene.intrinsics
    return torch.stack([k[:, 0, 0], k[:, 1, 1]], dim=-1), k[:, :2, 2]


def _jacobian(points: Float[Tensor, "C N 3"], scene: Scene) -> Float[Tensor, "C N 2 3"]:
    """Of the projection, at the point or, for points far outside the image, at the border of a margin."""
    focal, center = _focal_and_center(scene)
    size = points.new_tensor([scene.lens.width, scene.lens.height])
    margin = MARGIN_OF_VIEW * 0.5 * size / focal
    low, high = -(center / focal + margin), (size - center) / focal + margin
    z = points[..., 2:]
    xy = z * torch.minimum(torch.maximum(points[..., :2] / z, low[:, None]), high[:, None])
    diagonal = torch.diag_embed(focal[:, None] / z)
    last = -focal[:, None] * xy / z**2
    return torch.cat([diagonal, last[..., None]], dim=-1)


def _radii(means2d: Tensor, xx: Tensor, yy: Tensor, determinant: Tensor, in_front: Tensor, scene: Scene) -> Tensor:
    middle = 0.5 * (xx + yy)
    largest = middle + (middle**2 - determinant).clamp_min(0.01).sqrt()
    radii = (3 * largest.sqrt()).ceil()
    size = means2d.new_tensor([scene.lens.width, scene.lens.height])
    inside = ((means2d + radii[..., None] > 0) & (means2d - radii[..., None] < size)).all(dim=-1)
    visible = in_front & inside & (determinant > 0) & (radii > scene.lens.radius_clip)
    return torch.where(visible, radii, torch.zeros_like(radii)).int()


def composite(
    means2d: Float[Tensor, "N 2"],
    conics: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    features: Float[Tensor, "N X"],
    radii: Int[Tensor, " N"],
    size: tuple[int, int],
) -> tuple[Float[Tensor, "H W X"], Float[Tensor, "H W"]]:
    """Alpha-blend Gaussians given nearest first (Eq. 2), dropping what gsplat drops.

    That is: opacities under 1/255, tiles beyond three standard deviations, and all that follows once less
    than 1e-4 of the light would be left.
    """
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=-1).reshape(-1, 2)
    offset = means2d[:, None] - (pixels.to(means2d) + 0.5)
    xx, xy, yy = (entry[:, None] for entry in conics.unbind(-1))
    distance = 0.5 * (xx * offset[..., 0] ** 2 + yy * offset[..., 1] ** 2) + xy * offset[..., 0] * offset[..., 1]
    alpha = (opacities[:, None] * torch.exp(-distance)).clamp_max(MAX_ALPHA)
    drawn = (alpha >= MIN_ALPHA) & (distance >= 0) & _in_tiles(means2d.detach(), radii, pixels)
    alpha = torch.where(drawn, alpha, torch.zeros_like(alpha))
    fits = (1 - alpha.detach()).cumprod(dim=0) > MIN_TRANSMITTANCE
    alpha = alpha * fits.to(alpha).cummin(dim=0).values
    left = (1 - alpha).cumprod(dim=0)
    before = torch.cat([torch.ones_like(left[:1]), left[:-1]])
    image = (alpha * before).T @ features
    alphas = 1 - left[-1] if len(left) else image.new_zeros(height * width)
    return image.reshape(height, width, -1), alphas.reshape(height, width)


def _in_tiles(means2d: Tensor, radii: Tensor, pixels: Tensor) -> Bool[Tensor, "N P"]:
    tile = pixels.div(TILE, rounding_mode="floor").to(means2d)
    low = ((means2d - radii[:, None]) / TILE).floor()[:, None]
    high = ((means2d + radii[:, None]) / TILE).ceil()[:, None]
    return ((tile >= low) & (tile < high)).all(dim=-1)
