"""gsplat's compiled functions, answered by the kernels for the CPU: its Python code around them is the real one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import gsplat
import torch
from torch import Tensor

from common.pretended_cuda import Answer, Transfers, pretending
from proto_saga_ns.kernels.gsplat_code import load_gsplat
from proto_saga_ns.rasterize.cpu import Blend
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.tiles import bin_splats


def project(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, intrinsics: Tensor,
    width: int, height: int, eps2d: float, near: float, far: float, radius_clip: float,
    compensate: bool, camera: object,
) -> tuple[Tensor, ...]:  # fmt: skip
    """``fully_fused_projection_fwd``."""
    _check_contiguous(means, quats, scales, viewmats, intrinsics)
    lens = Lens(width, height, eps2d, near, far, radius_clip)
    means2d, conics, depths, compensations, radii = Project.apply(means, quats, scales, viewmats, intrinsics, lens)
    return radii, means2d, depths, conics, compensations


def project_backward(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, intrinsics: Tensor,
    width: int, height: int, eps2d: float, camera: object, radii: Tensor, conics: Tensor, compensations: Tensor | None,
    of_means2d: Tensor, of_depths: Tensor, of_conics: Tensor, of_compensations: Tensor | None, of_viewmats: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """``fully_fused_projection_bwd``."""
    _check_contiguous(of_means2d, of_depths, of_conics)
    leaves = [tensor.detach().requires_grad_() for tensor in (means, quats, scales, viewmats)]
    with torch.enable_grad():
        *found, _ = Project.apply(*leaves, intrinsics, Lens(width, height, eps2d))
    none = torch.zeros_like(of_depths)
    upstream = [of_means2d, of_conics, of_depths, none if of_compensations is None else of_compensations]
    gradients = torch.autograd.grad(found, leaves, upstream)
    return gradients[0], None, gradients[1], gradients[2], gradients[3] if of_viewmats else None


def sort_into_tiles(
    means2d: Tensor, radii: Tensor, depths: Tensor, camera_ids: None, gaussian_ids: None, views: int,
    tile: int, columns: int, rows: int, sort: bool, double_buffer: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``isect_tiles``. Its lists go from here to ``blend`` alone: they are all Gaussians that are seen, the nearest
    first, each with its radius.
    """
    _check_contiguous(means2d, radii, depths)
    order = depths.argsort(dim=1, stable=True) + torch.arange(views)[:, None] * depths.shape[1]
    seen = order.flatten()[radii.flatten()[order.flatten()] > 0]
    lists = torch.stack([seen.int(), radii.flatten()[seen]], dim=1)
    return torch.zeros_like(radii), seen, lists


def tile_offsets(isect_ids: Tensor, views: int, columns: int, rows: int) -> Tensor:
    """``isect_offset_encode``."""
    return torch.zeros(views, rows, columns, dtype=torch.int32)


def blend(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: None, masks: None,
    width: int, height: int, tile: int, offsets: Tensor, lists: Tensor, absgrad: list[list[Tensor]] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``rasterize_to_pixels_fwd``; ``absgrad`` as for ``Blend``, for each view."""
    _check_contiguous(means2d, conics, colors, opacities, offsets, lists)
    ranks, radii = torch.zeros(opacities.numel()), torch.zeros(opacities.numel(), dtype=torch.int32)
    ranks[lists[:, 0].long()] = torch.arange(1.0, len(lists) + 1)
    radii[lists[:, 0].long()] = lists[:, 1]
    images, alphas = [], []
    ranks, radii = (values.view(opacities.shape) for values in (ranks, radii))
    for view, (mean, conic, opacity) in enumerate(zip(means2d, conics, opacities, strict=True)):
        tiles = bin_splats(mean, conic, opacity, ranks[view], radii[view], width, height)
        collected = None if absgrad is None else absgrad[view]
        image, alpha = Blend.apply(mean, conic, opacity, colors[view], tiles, collected, None)
        images.append(image)
        alphas.append(alpha[..., None])
    return torch.stack(images), torch.stack(alphas), torch.zeros(len(images), height, width, dtype=torch.int32)


def blend_backward(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: None, masks: None,
    width: int, height: int, tile: int, offsets: Tensor, lists: Tensor, alphas: Tensor, last: Tensor,
    of_images: Tensor, of_alphas: Tensor, absgrad: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    """``rasterize_to_pixels_bwd``."""
    leaves = [tensor.detach().requires_grad_() for tensor in (means2d, conics, colors, opacities)]
    collected: list[list[Tensor]] = [[] for _ in means2d]
    drawn: Any = blend
    with torch.enable_grad():
        found = drawn(*leaves, None, None, width, height, tile, offsets, lists, collected)
    gradients = torch.autograd.grad(found[:2], leaves, (of_images, of_alphas))
    return (torch.stack([parts[0] for parts in collected]) if absgrad else None, *gradients)


def _check_contiguous(*tensors: Tensor) -> None:
    """gsplat's CHECK_INPUT."""
    for tensor in tensors:
        if not tensor.is_contiguous():
            raise RuntimeError(f"a tensor {tuple(tensor.shape)} with strides {tensor.stride()} must be contiguous")


GSPLAT: dict[str, Answer] = {
    "gsplat.csrc.fully_fused_projection_fwd": project,
    "gsplat.csrc.fully_fused_projection_bwd": project_backward,
    "gsplat.csrc.isect_tiles": sort_into_tiles,
    "gsplat.csrc.isect_offset_encode": tile_offsets,
    "gsplat.csrc.rasterize_to_pixels_fwd": blend,
    "gsplat.csrc.rasterize_to_pixels_bwd": blend_backward,
}
"""All that our use of gsplat calls."""


@contextmanager
def pretending_gsplat(functions: Mapping[str, Answer] = GSPLAT, **others: Any) -> Iterator[Transfers]:
    """``pretending`` with gsplat's compiled code, which is loaded as on a machine that has it."""
    backend = "gsplat.cuda._backend"
    was_imported = backend in sys.modules
    load_gsplat.cache_clear()
    with pretending(functions, **others) as transfers:
        csrc: Any = sys.modules["gsplat.csrc"]
        csrc.CameraModelType, csrc.PINHOLE = "cameras", "pinhole"
        with mock.patch.object(gsplat, "csrc", csrc, create=True):
            found: Any = importlib.import_module(backend)
            try:
                with mock.patch.object(found, "_C", csrc):
                    yield transfers
            finally:
                load_gsplat.cache_clear()
                if not was_imported:
                    del sys.modules[backend]
