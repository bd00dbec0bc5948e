"""Real spherical harmonics up to degree 4, in the order and sign convention of 3D Gaussian Splatting.

On the CPU by our kernel, on CUDA by gsplat's, in PyTorch for other types and as a reference.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.gsplat_code import load_gsplat
from proto_saga_ns.kernels.library import check_tensors, library, threads

MAX_DEGREE = 4
NOWHERE = 1e-12
"""Added to directions on CUDA: gsplat gives NaN for zeros. Others do not change by it."""


def spherical_harmonics(
    degree: int,
    directions: Float[Tensor, "*batch 3"],
    coefficients: Float[Tensor, "*batch K 3"],
    rest: Float[Tensor, "*batch R 3"] | None = None,
) -> Float[Tensor, "*batch 3"]:
    """Colour offsets towards ``directions``: the sum over bases of value times coefficient.

    Args:
        degree: bases up to this degree take part, (degree + 1)^2 of the coefficients.
        directions: from the camera to the Gaussian, of any length, world frame.
        coefficients: at least (degree + 1)^2 rows; or the first alone.
        rest: the other rows, if the first lies apart, as splatfacto has them.

    Raises:
        ProtoSagaError: if the degree is beyond 4 or has more bases than there are coefficients.
    """
    bases, rows = (degree + 1) ** 2, coefficients.shape[-2] + (0 if rest is None else rest.shape[-2])
    if not 0 <= degree <= MAX_DEGREE or bases > rows:
        raise ProtoSagaError(
            f"sh_degree {degree} needs {bases} coefficients, the colours have {rows}; degrees go up to {MAX_DEGREE}."
        )
    is_single = directions.dtype == coefficients.dtype == torch.float32
    if is_single and directions.device.type == "cpu":
        return _Kernel.apply(directions, coefficients, rest, degree)
    coefficients = coefficients if rest is None else torch.cat([coefficients, rest], dim=-2)
    if is_single and directions.is_cuda:  # one kernel; what follows is forty, with as many tensors for their gradients
        return load_gsplat().spherical_harmonics(degree, directions + NOWHERE, coefficients)
    values = basis(degree, F.normalize(directions, dim=-1))
    return torch.einsum("...k,...kc->...c", values, coefficients[..., :bases, :])


class _Harmonics(ctypes.Structure):
    """``splat::Harmonics`` of csrc/harmonics.h."""

    _fields_ = (
        ("directions", ctypes.c_void_p),
        ("constant", ctypes.c_void_p),
        ("rest", ctypes.c_void_p),
        ("constant_stride", ctypes.c_int64),
        ("rest_stride", ctypes.c_int64),
        ("rows", ctypes.c_int),
        ("degree", ctypes.c_int),
    )

    @classmethod
    def of(cls, directions: Tensor, coefficients: Tensor, rest: Tensor | None, degree: int) -> _Harmonics:
        first, rows = coefficients.shape[-2], coefficients.shape[-2] + (0 if rest is None else rest.shape[-2])
        strides = 3 * first, 3 * (rows - first if rest is not None else first)
        return cls(directions.data_ptr(), *_parts(coefficients, rest), *strides, rows, degree)


class _HarmonicsGradient(ctypes.Structure):
    """``splat::HarmonicsGradient`` of csrc/harmonics.h."""

    _fields_ = (("directions", ctypes.c_void_p), ("constant", ctypes.c_void_p), ("rest", ctypes.c_void_p))


def _parts(coefficients: Tensor, rest: Tensor | None) -> tuple[int, int]:
    """Where the constant ones begin, and the others."""
    after = coefficients.data_ptr() + 3 * coefficients.element_size()
    return coefficients.data_ptr(), after if rest is None else rest.data_ptr()


class _Kernel(torch.autograd.Function):
    """(directions, coefficients, rest, degree) -> colours, in compiled code, with gradients to the first three."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, directions: Tensor, coefficients: Tensor, rest: Tensor | None, degree: int
    ) -> Tensor:
        shape = tuple(directions.shape[:-1])
        check_tensors(
            "spherical_harmonics",
            directions=(directions, (*shape, 3), torch.float32),
            coefficients=(coefficients, (*shape, None if rest is None else 1, 3), torch.float32),
            **({} if rest is None else {"rest": (rest, (*shape, None, 3), torch.float32)}),
        )
        given = [None if tensor is None else tensor.contiguous() for tensor in (directions, coefficients, rest)]
        assert given[0] is not None and given[1] is not None
        colors, arguments = torch.empty_like(given[0]), _Harmonics.of(given[0], given[1], given[2], degree)
        library().splat_harmonics(given[0][..., 0].numel(), ctypes.byref(arguments), colors.data_ptr(), threads())
        ctx.save_for_backward(*given)
        ctx.degree = degree
        return colors

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        directions, coefficients, rest = ctx.saved_tensors
        upstream = upstream.contiguous()
        gradients = torch.empty_like(directions), torch.empty_like(coefficients), _alike(rest)
        written = _HarmonicsGradient(gradients[0].data_ptr(), *_parts(*gradients[1:]))
        given = _Harmonics.of(directions, coefficients, rest, ctx.degree)
        library().splat_harmonics_backward(
            *(directions[..., 0].numel(), ctypes.byref(given), upstream.data_ptr()),
            *(ctypes.byref(written), threads()),
        )
        return (*gradients, None)


def _alike(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.empty_like(tensor)


def basis(degree: int, directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch B"]:
    """Values of the (degree + 1)^2 basis functions for unit ``directions``.

    The constants are the normalisation factors of the real harmonics, computable from factorials of l and m.
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    values = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        values += [-0.48860251190291987 * y, 0.48860251190291987 * z, -0.48860251190291987 * x]
    if degree >= 2:
        values += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ]
    if degree >= 3:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    if degree >= 4:
        values += [
            2.5033429417967046 * x * y * (xx - yy),
            -1.7701307697799304 * y * z * (3 * xx - yy),
            0.9461746957575601 * x * y * (7 * zz - 1),
            -0.6690465435572892 * y * z * (7 * zz - 3),
            0.10578554691520431 * (zz * (35 * zz - 30) + 3),
            -0.6690465435572892 * x * z * (7 * zz - 3),
            0.47308734787878004 * (xx - yy) * (7 * zz - 1),
            -1.7701307697799304 * x * z * (xx - 3 * yy),
            0.6258357354491761 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
        ]
    return torch.stack(values, dim=-1)
