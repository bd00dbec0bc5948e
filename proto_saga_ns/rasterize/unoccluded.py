"""What each Gaussian would contribute to a view if nothing were before it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.rasterize.arguments import Scene
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.reference import MIN_ALPHA, project


@torch.no_grad()
def unoccluded(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    viewmat: Float[Tensor, "4 4"],
    K: Float[Tensor, "3 3"],
    size: tuple[int, int],
    antialiased: bool = False,
) -> Float[Tensor, " N"]:
    """Pixels that each Gaussian would paint alone: the sum of its alpha, to compare with its ``contributions``.

    In closed form, from the projection alone: the integral of the flat Gaussian over the picture, where its alpha is at
    least 1/255, as drawn. At the borders its marginals are taken for independent, which can be wrong for long ones
    that lie across a corner. 0 for Gaussians that are NaN or infinite.

    Args:
        means: centres, world frame.
        quats: orientations w, x, y, z; of any length.
        scales: standard deviations along the axes, world units.
        opacities: in [0, 1].
        viewmat: world to camera.
        K: pinhole intrinsics, pixels.
        size: width and height, pixels.
        antialiased: whether the view is rendered with the rasterize mode of this name.

    Raises:
        ProtoSagaError: for shapes and types that ``rasterization`` refuses.
    """
    finite = torch.cat([means, quats, scales, opacities[:, None]], dim=1).isfinite().all(dim=1)
    means, quats, scales, opacities = (
        tensor.where(finite.view(-1, *[1] * (tensor.dim() - 1)), torch.ones_like(tensor))
        for tensor in (means, quats, scales, opacities)
    )
    lens = Lens(*size)
    blank = means.new_zeros(len(means), 0)
    scene = Scene(means, quats, scales, opacities, blank, viewmat[None], K[None], None, lens, None, "RGB", antialiased)
    scene.check()
    if means.device.type == "cpu" and means.dtype == torch.float32:
        means2d, conics, _, compensations, radii = Project.apply(means, quats, scales, viewmat[None], K[None], lens)
    else:
        means2d, conics, _, compensations, radii = project(scene)
    determinant = conics[0, :, 0] * conics[0, :, 2] - conics[0, :, 1] ** 2  # of the inverse covariance
    seen = (radii[0] > 0) & (determinant > 0) & finite
    determinant = determinant.where(seen, torch.ones_like(determinant))
    deviations = (conics[0][:, [2, 0]] / determinant[:, None]).clamp_min(0).sqrt()
    inside = _share_inside(means2d[0], deviations, means.new_tensor(size)).prod(dim=-1)
    drawn = opacities * compensations[0] if antialiased else opacities
    above = (drawn - MIN_ALPHA).clamp_min(0)  # the integral of exp(-r^2 / 2) to where the alpha is as small as that
    return (2 * torch.pi * above * inside / determinant.sqrt()).where(seen, torch.zeros_like(drawn))


def _share_inside(
    middle: Float[Tensor, "N 2"], deviations: Float[Tensor, "N 2"], size: Float[Tensor, " 2"]
) -> Float[Tensor, "N 2"]:
    """Of a normal distribution along each axis, what lies between 0 and the size of the picture."""
    scale = deviations.clamp_min(torch.finfo(deviations.dtype).tiny)
    return torch.special.ndtr((size - middle) / scale) - torch.special.ndtr(-middle / scale)
