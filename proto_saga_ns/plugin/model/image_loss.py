"""Splatfacto's loss of a picture: (1 - w) mean |difference| + w (1 - SSIM), with a window of 11 and sigma 1.5.

Kernels take it at once, on a CPU and on a GPU with Triton. Else PyTorch does, with the SSIM that splatfacto takes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from pytorch_msssim import ssim
from torch import Tensor

from proto_saga_ns.kernels.image_loss import WINDOW
from proto_saga_ns.kernels.image_loss import image_loss as by_cpu
from proto_saga_ns.kernels.triton.door import runs_on

WITHOUT_TRITON = "PyTorch takes their place: the loss of a picture takes about ten times as much memory traffic."


def image_loss(
    rendered: Float[Tensor, "H W C"], photo: Float[Tensor, "H W C"], ssim_weight: float
) -> Float[Tensor, ""]:
    """The loss of pictures with values in [0, 1]; ``photo`` is taken to need no gradient.

    Raises:
        ValueError: shapes do not fit.
    """
    # PyTorch does not blur along a side that is shorter than a window.
    fits = rendered.dtype == photo.dtype == torch.float32 and min(rendered.shape[:2]) >= WINDOW
    if fits and runs_on(rendered.device, WITHOUT_TRITON):
        from proto_saga_ns.kernels.triton.image_loss import image_loss as by_triton

        return by_triton(rendered, photo, ssim_weight)
    if fits and rendered.device.type == "cpu":
        return by_cpu(rendered, photo, ssim_weight)
    return image_loss_by_pytorch(rendered, photo, ssim_weight)


def image_loss_by_pytorch(
    rendered: Float[Tensor, "H W C"], photo: Float[Tensor, "H W C"], ssim_weight: float
) -> Float[Tensor, ""]:
    """The same in any precision, and with a gradient for both."""
    height, width, _ = rendered.shape
    # pytorch_msssim drops sides of one pixel; twice the same pixels have the same mean.
    wide = [image.expand(max(height, 2), max(width, 2), -1) for image in (photo, rendered)]
    pair = [image.permute(2, 0, 1)[None] for image in wide]
    difference = (photo - rendered).abs().mean()
    return (1 - ssim_weight) * difference + ssim_weight * (1 - ssim(*pair, data_range=1.0))
