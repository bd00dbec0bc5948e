"""Projection of 3D Gaussians on the CPU, with gradients."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from proto_saga_ns.kernels.library import Camera, check_tensors, library, pointers, threads


@dataclass(frozen=True)
class Lens:
    """What projection needs besides Gaussians and poses: image size in pixels, and limits (by default gsplat's)."""

    width: int
    height: int
    eps2d: float = 0.3
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0


def _camera(viewmat: Tensor, intrinsics: Tensor, lens: Lens) -> Camera:
    rotation, translation = viewmat[:3, :3].flatten().tolist(), viewmat[:3, 3].tolist()
    k = intrinsics.tolist()
    return Camera(
        (ctypes.c_float * 9)(*rotation),
        (ctypes.c_float * 3)(*translation),
        *(k[0][0], k[1][1], k[0][2], k[1][2], lens.width, lens.height),
        *(lens.eps2d, lens.near_plane, lens.far_plane, lens.radius_clip),
    )


class Project(torch.autograd.Function):
    """(means, quats, scales, viewmats, Ks, lens) -> means2d, conics, depths, compensations, radii.

    Shapes: (N, 3), (N, 4), (N, 3), (C, 4, 4), (C, 3, 3) -> (C, N, 2), (C, N, 3), (C, N), (C, N), (C, N).
    Everything of an invisible Gaussian (radius 0) is 0. Gradients reach means, quats, scales and viewmats.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        viewmats: Tensor,
        intrinsics: Tensor,
        lens: Lens,
    ) -> tuple[Tensor, ...]:
        views, count = len(viewmats), len(means)
        check_tensors(
            "project",
            means=(means, (count, 3), torch.float32),
            quats=(quats, (count, 4), torch.float32),
            scales=(scales, (count, 3), torch.float32),
        )
        means, quats, scales = (tensor.contiguous() for tensor in (means, quats, scales))
        shapes = [(views, count, 2), (views, count, 3), (views, count), (views, count)]
        floats = [means.new_empty(shape) for shape in shapes]
        radii = torch.empty((views, count), dtype=torch.int32)
        cameras = [_camera(viewmats[view], intrinsics[view], lens) for view in range(views)]
        inputs = pointers(means, quats, scales)
        for view, camera in enumerate(cameras):
            outputs = pointers(*(tensor[view] for tensor in floats), radii[view])
            library().splat_project(count, ctypes.byref(camera), inputs, outputs, threads())
        ctx.save_for_backward(means, quats, scales, radii)
        ctx.cameras = cameras
        ctx.mark_non_differentiable(radii)
        return (*floats, radii)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        means, quats, scales, radii = ctx.saved_tensors
        upstream = tuple(gradient.contiguous() for gradient in upstream[:4])
        total = [torch.zeros_like(tensor) for tensor in (means, quats, scales)]
        viewmats = means.new_zeros(len(ctx.cameras), 4, 4)
        inputs = pointers(means, quats, scales)
        for view, camera in enumerate(ctx.cameras):
            parts = [torch.empty_like(tensor) for tensor in total]
            pose = torch.empty(12, dtype=torch.float64)
            library().splat_project_backward(
                *(len(means), ctypes.byref(camera), inputs, radii[view].data_ptr()),
                *(pointers(*(gradient[view] for gradient in upstream)), pointers(*parts, pose), threads()),
            )
            viewmats[view, :3, :3], viewmats[view, :3, 3] = pose[:9].view(3, 3), pose[9:]
            total = [old + new for old, new in zip(total, parts, strict=True)] if view else parts
        return (*total, viewmats, None, None)
