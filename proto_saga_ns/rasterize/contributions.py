"""How much each Gaussian contributes to the pixels of each label of a view, in the weights that rendering blends with.

The contribution of Gaussian i to label l is the sum, over the pixels with that label, of its alpha times the
transmittance in front of it (Eq. 2). It is the gradient of the sum of those pixels with respect to the Gaussian's
colour; kernels find it in one pass over the view, however many labels there are: those of the CPU over its own tiles,
those of CUDA over gsplat's. Where CUDA lacks them, the rasterizer is differentiated once for every 32 labels.

Counted in whole units they have the same sum in any order of views, of labels or of threads, and so has all that is
derived from such sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import contributions as kernels
from proto_saga_ns.kernels.triton.door import runs_on
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.arguments import Scene
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.reference import MIN_ALPHA, project
from proto_saga_ns.rasterize.tiles import bin_splats, tiles_of_gsplat

LABELS_AT_A_TIME = 32
"""Channels of a pass of the gradient."""
WITHOUT_TRITON = "What each Gaussian contributes takes a rasterization with gradients for every 32 labels of a view."
UNITS_PER_PIXEL = 1 << 20
Camera = tuple[Tensor, Tensor]
"""Viewmats (1, 4, 4) and Ks (1, 3, 3)."""


@dataclass(frozen=True)
class Contributions:
    """A sparse matrix of Gaussians by labels: sorted by Gaussian, then by label, each pair once, no zeros.

    Attributes:
        gaussians: row of each entry.
        labels: its column; label 0 is a column like any other.
        weights: above 0; pixels.
    """

    gaussians: Int[Tensor, " E"]
    labels: Int[Tensor, " E"]
    weights: Float[Tensor, " E"]


@torch.no_grad()
def contributions(
    geometry: Geometry,
    viewmat: Float[Tensor, "4 4"],
    K: Float[Tensor, "3 3"],
    label_map: Int[Tensor, "H W"],
    *,
    backend: Literal["auto", "gradient", "reference"] = "auto",
) -> Contributions:
    """The contributions of N Gaussians to the labels of one view.

    The result has the same bits in every run, whatever the number of threads. On the CPU memory grows with the cells
    (tile of 16x16 pixels, Gaussian in it, label in it), on CUDA with the result.

    Args:
        geometry: of the Gaussians.
        viewmat: world to camera.
        K: pinhole intrinsics, pixels.
        label_map: any integers from 0.
        backend: "gradient" differentiates the rasterization, with a pass for every 32 labels, as CUDA without Triton
            does; "reference" does so in slow torch, in any floating type.

    Raises:
        ProtoSagaError: for input that ``rasterization`` refuses, or a label map that is not (H, W) or has a negative
            label.
    """
    if label_map.dim() != 2 or (label_map.numel() and int(label_map.min()) < 0):
        raise ProtoSagaError(f"contributions: label_map {tuple(label_map.shape)}, expected (H, W) with labels from 0.")
    means, camera = geometry.means, (viewmat[None], K[None])
    if backend == "auto" and not means.is_cuda:
        return _by_cpu(geometry, camera, label_map)
    if backend == "auto" and len(means) and runs_on(means.device, WITHOUT_TRITON):
        return _by_triton(geometry, camera, label_map)
    return _by_gradient(geometry, camera, label_map, "reference" if backend == "reference" else "auto")


def _by_cpu(geometry: Geometry, camera: Camera, label_map: Tensor) -> Contributions:
    means = geometry.means
    if means.dtype != torch.float32 or means.device.type != "cpu":
        raise ProtoSagaError(
            f"contributions: the kernels take float32 tensors on the CPU, these are {means.dtype} on {means.device}."
        )
    height, width = label_map.shape
    lens = Lens(width, height)
    blank = means.new_zeros(len(means), 0)
    Scene(geometry, blank, *camera, None, lens, None, "RGB").check()
    means2d, conics, depths, compensations, radii = Project.apply(*geometry.shape, *camera, lens)
    splats = (means2d[0], conics[0], geometry.drawn_opacities(compensations)[0])
    tiles = bin_splats(*splats, depths[0], radii[0], width, height)
    labels = label_map.to(means.device, torch.int32)
    return Contributions(*kernels.sum_of_tiles(splats, (tiles.offsets, tiles.entries), labels, tiles.bounds))


def _by_triton(geometry: Geometry, camera: Camera, label_map: Tensor) -> Contributions:
    """Over the tile lists of gsplat, which are to be had with a rasterization, here of one channel."""
    from proto_saga_ns.kernels.triton.contributions import sum_of_tiles

    blank = geometry.means.new_zeros(len(geometry), 1)
    info = rasterization(**_arguments(geometry, camera, label_map), colors=blank)[2]
    splats, tiles = tiles_of_gsplat(info)
    labels = label_map.to(blank.device, torch.int32)
    return Contributions(*sum_of_tiles(splats, (tiles.offsets, tiles.entries), labels))


def _by_gradient(
    geometry: Geometry, camera: Camera, label_map: Tensor, backend: Literal["auto", "reference"]
) -> Contributions:
    means = geometry.means
    if len(means) == 0:  # gsplat does not render nothing
        nothing = torch.zeros(0, dtype=torch.int32, device=means.device)
        return Contributions(nothing, nothing, means.new_zeros(0))
    labels, places = label_map.to(means.device).unique(return_inverse=True)
    parts = []
    for start in range(0, len(labels), LABELS_AT_A_TIME):
        chosen = labels[start : start + LABELS_AT_A_TIME]
        weights = _gradient(geometry, camera, places - start, len(chosen), backend)
        rows, columns = weights.nonzero(as_tuple=True)
        parts.append((rows, chosen[columns], weights[rows, columns]))
    gaussians, own_labels, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    order = gaussians.argsort(stable=True)  # labels ascend within each part, and from part to part
    return Contributions(gaussians[order].int(), own_labels[order].int(), weights[order])


@torch.enable_grad()
def _gradient(
    geometry: Geometry, camera: Camera, places: Tensor, count: int, backend: Literal["auto", "reference"]
) -> Float[Tensor, "N C"]:
    """Gradients, with respect to colours, of the sum of the pixels at each place 0..C-1."""
    colors = geometry.means.new_zeros(len(geometry), count).requires_grad_()
    image = rasterization(**_arguments(geometry.detach(), camera, places), colors=colors, backend=backend)[0][0]
    chosen = (places[..., None] == torch.arange(count, device=places.device)).to(image)
    return torch.autograd.grad(image, colors, chosen)[0]


def _arguments(geometry: Geometry, camera: Camera, label_map: Tensor) -> dict[str, Any]:
    """Of ``rasterization``, for one view as large as the label map."""
    height, width = label_map.shape
    viewmats, intrinsics = (tensor.detach() for tensor in camera)
    view = {"viewmats": viewmats, "Ks": intrinsics, "width": width, "height": height}
    return {**geometry.arguments, **view, "packed": False}


def count_in_units(
    found: Contributions,
) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """``in_units`` as arrays."""
    gaussians, labels, units = (column.cpu().numpy() for column in in_units(found))
    return gaussians, labels, units


def in_units(found: Contributions) -> tuple[Int[Tensor, " E"], Int[Tensor, " E"], Int64[Tensor, " E"]]:
    """Gaussians, labels and weights in 2^-20 pixels, above 0; weights under half a unit are nothing."""
    units = (found.weights.double() * UNITS_PER_PIXEL).round().long()
    kept = torch.nonzero(units)[:, 0]  # a mask would wait for the GPU three times
    return found.gaussians[kept], found.labels[kept], units[kept]


@torch.no_grad()
def unoccluded(
    geometry: Geometry, viewmat: Float[Tensor, "4 4"], K: Float[Tensor, "3 3"], size: tuple[int, int]
) -> Float[Tensor, " N"]:
    """Pixels that each Gaussian would paint alone: the sum of its alpha, to compare with its ``contributions``.

    In closed form, from the projection alone: the integral of the flat Gaussian over the picture, where its alpha is at
    least 1/255, as drawn. At the borders its marginals are taken for independent, which can be wrong for long ones
    that lie across a corner. 0 for Gaussians that are NaN or infinite.

    Args:
        geometry: of the Gaussians.
        viewmat: world to camera.
        K: pinhole intrinsics, pixels.
        size: width and height, pixels.

    Raises:
        ProtoSagaError: for shapes and types that ``rasterization`` refuses.
    """
    finite = torch.cat([*geometry.shape, geometry.opacities[:, None]], dim=1).isfinite().all(dim=1)
    whole = (
        tensor.where(finite.view(-1, *[1] * (tensor.dim() - 1)), torch.ones_like(tensor)) for tensor in geometry.tensors
    )
    geometry, lens = Geometry(*whole, antialiased=geometry.antialiased), Lens(*size)
    means = geometry.means
    scene = Scene(geometry, means.new_zeros(len(means), 0), viewmat[None], K[None], None, lens, None, "RGB")
    scene.check(numbers=not means.is_cuda)
    if means.device.type == "cpu" and means.dtype == torch.float32:
        means2d, conics, _, compensations, radii = Project.apply(*geometry.shape, viewmat[None], K[None], lens)
    else:
        means2d, conics, _, compensations, radii = project(scene)
    determinant = conics[0, :, 0] * conics[0, :, 2] - conics[0, :, 1] ** 2  # of the inverse covariance
    seen = (radii[0] > 0) & (determinant > 0) & finite
    determinant = determinant.where(seen, torch.ones_like(determinant))
    deviations = (conics[0][:, [2, 0]] / determinant[:, None]).clamp_min(0).sqrt()
    inside = _share_inside(means2d[0], deviations, means.new_tensor(size)).prod(dim=-1)
    drawn = geometry.drawn_opacities(compensations)[0]
    above = (drawn - MIN_ALPHA).clamp_min(0)  # the integral of exp(-r^2 / 2) to where the alpha is as small as that
    return (2 * torch.pi * above * inside / determinant.sqrt()).where(seen, torch.zeros_like(drawn))


def _share_inside(
    middle: Float[Tensor, "N 2"], deviations: Float[Tensor, "N 2"], size: Float[Tensor, " 2"]
) -> Float[Tensor, "N 2"]:
    """Of a normal distribution along each axis, what lies between 0 and the size of the picture."""
    scale = deviations.clamp_min(torch.finfo(deviations.dtype).tiny)
    return torch.special.ndtr((size - middle) / scale) - torch.special.ndtr(-middle / scale)
