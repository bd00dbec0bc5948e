"""``rasterization`` on the CPU kernels."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.gsplat_code import radii_per_gaussian
from proto_saga_ns.kernels.library import check_tensors, library, pointers, threads
from proto_saga_ns.rasterize.arguments import TILE, Scene, compose, joined, views_of
from proto_saga_ns.rasterize.project import Project
from proto_saga_ns.rasterize.tiles import Tiles, bin_splats

if TYPE_CHECKING:
    from proto_saga_ns.rasterize.sparse_channels import PlacedChannels, SparseChannels


GEOMETRY_GRADIENTS = 8
MAX_CHANNELS = 32
"""More channels are blended in several passes."""
MAX_BUFFER_BYTES = 1 << 30
"""Every thread sums gradients in a buffer of its own; where these would take more, fewer threads are used."""


def rasterize(
    scene: Scene, absgrad: bool, sparse: SparseChannels | None = None
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Images, alphas and info of checked float32 arguments; see ``proto_saga_ns.rasterize.rasterization``."""
    lens = scene.lens
    means2d, conics, depths, compensations, radii = Project.apply(
        *scene.geometry.shape, scene.viewmats, scene.intrinsics, lens
    )
    opacities = scene.geometry.drawn_opacities(compensations)
    sums = _AbsoluteGradients(means2d) if absgrad and means2d.requires_grad else None
    splats = list(zip(views_of(means2d), views_of(conics), views_of(opacities), strict=True))
    tiles = [
        bin_splats(*splats[view], depths[view], radii[view], lens.width, lens.height) for view in range(len(radii))
    ]
    placed = [None if sparse is None else sparse.placed(of_view) for of_view in tiles]

    def blend(view: int, features: Tensor) -> tuple[Tensor, Tensor]:
        collected = None if sums is None else sums.of_view(view)
        return _blend(splats[view], features, tiles[view], collected, placed[view])

    images, alphas = compose(scene, depths, blend)
    info = {
        "means2d": means2d,
        "conics": conics,
        "depths": depths,
        "radii": radii if radii_per_gaussian() == 1 else radii[..., None].expand(-1, -1, 2),
        "opacities": opacities,
        "camera_ids": None,
        "gaussian_ids": None,
        "width": lens.width,
        "height": lens.height,
        "n_cameras": len(radii),
        "tile_size": TILE,
        "tile_width": -(-lens.width // TILE),
        "tile_height": -(-lens.height // TILE),
    }
    if sparse is not None:
        info["sparse"] = [channels.blended for channels in placed if channels is not None]
    return images, alphas, info


def _blend(
    splats: tuple[Tensor, ...],
    features: Tensor,
    tiles: Tiles,
    collected: list[Tensor] | None,
    placed: PlacedChannels | None,
) -> tuple[Tensor, Tensor]:
    """Blend any number of channels, as many at a time as the kernels take, and the sparse ones in the first pass."""
    passes = [
        Blend.apply(*splats, part, tiles, collected, None if index else placed)
        for index, part in enumerate(features.split(MAX_CHANNELS, dim=-1))
    ]
    return joined([image for image, _ in passes]), passes[0][1]


class _AbsoluteGradients:
    """Puts ``absgrad`` (C, N, 2) on means2d once its gradient is complete, as gsplat does."""

    def __init__(self, means2d: Tensor) -> None:
        self._views: list[list[Tensor]] = [[] for _ in means2d]
        target = weakref.ref(means2d)  # a tensor that its own hook held would live until garbage collection

        def attach(gradient: Tensor) -> None:
            owner = target()
            if owner is not None:
                zero = torch.zeros_like(gradient[0])
                owner.absgrad = torch.stack([sum(parts, start=zero) for parts in self._views])  # type: ignore
            for parts in self._views:  # a graph that is kept can be walked again
                parts.clear()

        means2d.register_hook(attach)

    def of_view(self, view: int) -> list[Tensor]:
        return self._views[view]


class Blend(torch.autograd.Function):
    """(means2d, conics, opacities, features, tiles, absgrad, placed) -> image (H, W, X), alpha (H, W), of one view.

    Shapes: (N, 2), (N, 3), (N,), (N, X). With ``absgrad`` (a list), the backward pass appends to it the sum
    over pixels of the absolute gradients of means2d, (N, 2). With ``placed`` its values are written.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        opacities: Tensor,
        features: Tensor,
        tiles: Tiles,
        absgrad: list[Tensor] | None,
        placed: PlacedChannels | None,
    ) -> tuple[Tensor, Tensor]:
        count, channels = features.shape
        check_tensors(
            "blend",
            features=(features, (len(tiles.bounds), channels), torch.float32),
            means2d=(means2d, (count, 2), torch.float32),
            conics=(conics, (count, 3), torch.float32),
            opacities=(opacities, (count,), torch.float32),
        )
        splats = [tensor.contiguous() for tensor in (means2d, conics, opacities)]
        padded = _widened(features, library().splat_padded_channels(channels))
        image = padded.new_empty(tiles.height, tiles.width, padded.shape[1])
        transmittance = padded.new_empty(tiles.height, tiles.width)
        last = torch.empty((tiles.height, tiles.width), dtype=torch.int32)
        done = library().splat_blend(
            *(padded.shape[1], _splats(splats, padded, tiles), tiles.width, tiles.height),
            *(pointers(image, transmittance, last), *_arguments(placed), threads()),
        )
        assert done, "no kernel for this number of channels"
        ctx.save_for_backward(*splats, padded, transmittance, last)
        ctx.tiles, ctx.channels, ctx.absgrad = tiles, channels, absgrad
        return image[..., :channels], 1 - transmittance

    @staticmethod
    def backward(ctx: Any, g_image: Tensor, g_alpha: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        *splats, padded, transmittance, last = ctx.saved_tensors
        tiles: Tiles = ctx.tiles
        count, width = padded.shape
        g_image, g_alpha = _widened(g_image, width), g_alpha.contiguous()
        row = GEOMETRY_GRADIENTS + width
        workers = max(1, min(threads(), MAX_BUFFER_BYTES // max(1, 4 * count * row)))
        buffers = padded.new_empty(workers, count, row)
        done = library().splat_blend_backward(
            *(width, count, _splats(splats, padded, tiles), tiles.width, tiles.height),
            *(pointers(padded, transmittance, last), pointers(g_image, g_alpha), buffers.data_ptr(), workers),
        )
        assert done, "no kernel for this number of channels"
        sums = buffers[0]
        if ctx.absgrad is not None:
            ctx.absgrad.append(sums[:, 6:8])
        features = sums[:, GEOMETRY_GRADIENTS : GEOMETRY_GRADIENTS + ctx.channels]
        return sums[:, 0:2], sums[:, 2:5], sums[:, 5], features, None, None, None


def _widened(values: Tensor, channels: int) -> Tensor:
    """With channels of zeros at the end; no copy if there are enough."""
    missing = channels - values.shape[-1]
    return F.pad(values, (0, missing)) if missing else values.contiguous()


def _splats(splats: list[Tensor], features: Tensor, tiles: Tiles) -> Any:
    return pointers(*splats, features, tiles.bounds, tiles.offsets, tiles.entries)


def _arguments(placed: PlacedChannels | None) -> tuple[Any, Any]:
    return (None, None) if placed is None else placed.arguments
