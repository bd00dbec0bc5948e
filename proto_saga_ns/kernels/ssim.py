"""Mean structural similarity of two pictures, and its gradient, on the CPU kernels."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, threads

WINDOW = 11
"""Pixels along a side of the Gaussian window, whose standard deviation is 1.5; see csrc/ssim.h."""


def ssim(target: Float32[Tensor, "H W C"], image: Float32[Tensor, "H W C"]) -> Float[Tensor, ""]:
    """The mean over all windows that lie within the pictures, and over channels; values are from 0 to 1.

    Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004; with the window
    and the constants of pytorch-msssim's ``ssim``.

    Args:
        target: gets no gradient.
        image: gets one.

    Raises:
        ValueError: shapes, types or devices do not fit, or a picture is smaller than a window.
    """
    return _Ssim.apply(target.detach(), image)


class _Ssim(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, target: Tensor, image: Tensor) -> Tensor:  # type: ignore[override]
        shape = tuple(target.shape)
        check_tensors("ssim", target=(target, shape, torch.float32), image=(image, shape, torch.float32))
        if len(shape) != 3 or min(shape[:2]) < WINDOW:
            raise ValueError(f"ssim: pictures are {shape}, expected (H, W, C) of {WINDOW} pixels at least")
        target, image = target.contiguous(), image.contiguous()
        slopes = None
        if ctx.needs_input_grad[1]:
            slopes = torch.empty(3, shape[0] - WINDOW + 1, shape[1] - WINDOW + 1, shape[2])
            ctx.save_for_backward(target, image, slopes)
        room = None if slopes is None else slopes.data_ptr()
        return torch.tensor(library().splat_ssim(*shape, target.data_ptr(), image.data_ptr(), room, threads()))

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        target, image, slopes = ctx.saved_tensors
        gradient = torch.empty_like(image)
        scale = float(upstream) / (slopes.numel() / 3)
        places = (tensor.data_ptr() for tensor in (target, image, slopes))
        library().splat_ssim_backward(*image.shape, *places, scale, gradient.data_ptr(), threads())
        return None, gradient
