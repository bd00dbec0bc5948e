"""gsplat's compiled functions, answered by the kernels for the CPU: its Python code around them is the real one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pkgutil import iter_modules
from typing import Any
from unittest import mock

import gsplat
import torch
from torch import Tensor

from common.pretended_cuda import Answer, Transfers, pretending
from proto_saga_ns.kernels import triton
from proto_saga_ns.kernels.gsplat_code import load_gsplat
from proto_saga_ns.kernels.triton.door import why_not
from proto_saga_ns.kernels.triton.launch import launch
from proto_saga_ns.rasterize.cpu import Blend
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics
from proto_saga_ns.rasterize.tiles import Tiles, bin_splats


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
    """``isect_tiles``: a Gaussian is in all tiles that the square around it touches."""
    _check_contiguous(means2d, radii, depths)
    size = torch.tensor([columns, rows])
    low = ((means2d - radii[..., None]) / tile).floor().long().clamp_min(0).minimum(size)
    high = ((means2d + radii[..., None]) / tile).ceil().long().clamp_min(0).minimum(size)
    across, down = ((high - low) * (radii > 0)[..., None]).flatten(0, 1).unbind(-1)
    counts = across * down
    ids = torch.arange(len(counts)).repeat_interleave(counts)
    place = torch.arange(len(ids)) - (counts.cumsum(0) - counts)[ids]
    column, row = (low.flatten(0, 1)[ids] + torch.stack([place % across[ids], place // across[ids]], dim=1)).unbind(-1)
    tiles = (ids // depths.shape[1] * rows + row) * columns + column
    nearest_first = depths.flatten()[ids].argsort(stable=True)
    order = nearest_first[tiles[nearest_first].argsort(stable=True)]
    return counts.view(radii.shape).int(), tiles[order], ids[order].int()


def tile_offsets(isect_ids: Tensor, views: int, columns: int, rows: int) -> Tensor:
    """``isect_offset_encode``."""
    return torch.searchsorted(isect_ids, torch.arange(views * rows * columns)).int().view(views, rows, columns)


def blend(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: None, masks: None,
    width: int, height: int, tile: int, offsets: Tensor, lists: Tensor, absgrad: list[list[Tensor]] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``rasterize_to_pixels_fwd``; ``absgrad`` as for ``Blend``, for each view."""
    _check_contiguous(means2d, conics, colors, opacities, offsets, lists)
    images, alphas = [], []
    starts = [*offsets[:, 0, 0].tolist(), len(lists)]
    for view, (mean, conic, opacity) in enumerate(zip(means2d, conics, opacities, strict=True)):
        entries = lists[starts[view] : starts[view + 1]] - view * len(mean)
        own = torch.cat([offsets[view].flatten(), torch.tensor(starts[view + 1 : view + 2])]).long() - starts[view]
        radii = torch.zeros(len(mean), dtype=torch.int32)
        radii[entries.long()] = 1 << 24  # anywhere: the lists know better
        bounds = bin_splats(mean, conic, opacity, torch.zeros(len(mean)), radii, width, height).bounds
        collected = None if absgrad is None else absgrad[view]
        tiles = Tiles(bounds, own, entries.contiguous(), width, height)
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


def harmonics(degree: int, directions: Tensor, coefficients: Tensor, masks: None) -> Tensor:
    """``compute_sh_fwd``."""
    _check_contiguous(directions, coefficients)
    return spherical_harmonics(degree, directions, coefficients)


def harmonics_backward(
    bases: int,
    degree: int,
    directions: Tensor,
    coefficients: Tensor,
    masks: None,
    upstream: Tensor,
    of_directions: bool,
) -> tuple[Tensor, Tensor]:
    """``compute_sh_bwd``."""
    _check_contiguous(directions, coefficients, upstream)
    leaves = [tensor.detach().requires_grad_() for tensor in (directions, coefficients)]
    with torch.enable_grad():
        found = spherical_harmonics(degree, *leaves)
    gradients = torch.autograd.grad(found, leaves, upstream)
    return gradients[1], gradients[0]


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
    "gsplat.csrc.compute_sh_fwd": harmonics,
    "gsplat.csrc.compute_sh_bwd": harmonics_backward,
}
"""All that our use of gsplat calls."""
TRITON: dict[str, Answer] = {
    f"{triton.__name__}.{module.name}.launch": launch
    for module in iter_modules(triton.__path__)
    if module.name not in ("door", "launch")
}
"""All our Triton kernels: its interpreter runs them on the tensors that are held, in a second for a small view."""


@contextmanager
def pretending_gsplat(functions: Mapping[str, Answer] = GSPLAT, **others: Any) -> Iterator[Transfers]:
    """``pretending`` with gsplat's compiled code, which is loaded as on a machine that has it."""
    backend = "gsplat.cuda._backend"
    was_imported = backend in sys.modules
    load_gsplat.cache_clear()
    why_not.cache_clear()
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
                why_not.cache_clear()
                if not was_imported:
                    del sys.modules[backend]
