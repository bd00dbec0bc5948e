"""Splatfacto's loss of a picture, (1 - w) mean |difference| + w (1 - SSIM), on the CPU kernels."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, threads

WINDOW = 11
"""Pixels along a side of the window of SSIM, a Gaussian with a standard deviation of 1.5."""


class _Picture(ctypes.Structure):
    """``splat::Picture`` of csrc/image_loss.h."""

    _fields_ = tuple((name, ctypes.c_int) for name in ("height", "width", "channels"))


class _Resemblance(ctypes.Structure):
    """``splat::Resemblance`` of csrc/image_loss.h."""

    _fields_ = tuple((name, ctypes.c_double) for name in ("difference", "similarity"))


def image_loss(
    rendered: Float32[Tensor, "H W C"], photo: Float32[Tensor, "H W C"], ssim_weight: float
) -> Float[Tensor, ""]:
    """(1 - w) mean |difference| + w (1 - SSIM) of pictures with values in [0, 1]; ``photo`` gets no gradient.

    Raises:
        ValueError: shapes, types or devices do not fit, or a picture is smaller than a window.
    """
    return ImageLoss.apply(rendered, photo, ssim_weight)  # type: ignore[return-value]


class ImageLoss(torch.autograd.Function):
    """(rendered, photo, ssim_weight) -> loss; only ``rendered`` gets a gradient.

    Shapes: (H, W, C) float32 with values in [0, 1], at least ``WINDOW`` pixels both ways.
    """

    @staticmethod
    def forward(ctx: Any, rendered: Tensor, photo: Tensor, ssim_weight: float) -> Tensor:  # type: ignore[override]
        shape = tuple(rendered.shape)
        check_tensors("image_loss", rendered=(rendered, (None, None, None), torch.float32))
        check_tensors("image_loss", photo=(photo, shape, torch.float32))
        if min(shape[:2]) < WINDOW:
            raise ValueError(f"image_loss: a picture {shape}, expected {WINDOW} pixels both ways at the least")
        rendered, photo = rendered.contiguous(), photo.contiguous()
        slopes = None
        if ctx.needs_input_grad[0]:
            slopes = rendered.new_empty(3, shape[0] - WINDOW + 1, shape[1] - WINDOW + 1, shape[2])
            ctx.save_for_backward(rendered, photo, slopes)
            ctx.ssim_weight = ssim_weight
        places = rendered.data_ptr(), photo.data_ptr(), None if slopes is None else slopes.data_ptr()
        found = _Resemblance()
        library().splat_compare(ctypes.byref(_Picture(*shape)), *places, ctypes.byref(found), threads())
        return torch.tensor((1 - ssim_weight) * found.difference + ssim_weight * (1 - found.similarity))

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        rendered, photo, slopes = ctx.saved_tensors
        gradient = torch.empty_like(rendered)
        weights = _Resemblance((1 - ctx.ssim_weight) * float(upstream), -ctx.ssim_weight * float(upstream))
        places = (tensor.data_ptr() for tensor in (rendered, photo, slopes))
        shape = ctypes.byref(_Picture(*rendered.shape))
        library().splat_compare_backward(shape, *places, ctypes.byref(weights), gradient.data_ptr(), threads())
        return gradient, None, None
