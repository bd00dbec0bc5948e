"""Alpha blending of projected Gaussians on the CPU, with gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.library import check_tensors, library, pointers, threads
from proto_saga_ns.rasterize.arguments import TILE

if TYPE_CHECKING:
    from proto_saga_ns.rasterize.votes import Voting

GEOMETRY_GRADIENTS = 8
MAX_CHANNELS = 32
"""More channels are blended in several passes."""
MAX_BUFFER_BYTES = 1 << 30
"""Every thread sums gradients in a buffer of its own; where these would take more, fewer threads are used."""


@dataclass(frozen=True)
class Tiles:
    """Which Gaussians are drawn where, for one view; see csrc/binning.h.

    Attributes:
        bounds: (N, 4) int32 pixels [x0, x1) x [y0, y1).
        offsets: (tiles + 1,) int64.
        entries: int32 indices of Gaussians, tile by tile, nearest first.
    """

    bounds: Tensor
    offsets: Tensor
    entries: Tensor
    width: int
    height: int


def bin_splats(
    means2d: Tensor, conics: Tensor, opacities: Tensor, depths: Tensor, radii: Tensor, width: int, height: int
) -> Tiles:
    """Sort the Gaussians of one view into tiles. Shapes: (N, 2), (N, 3), (N,), (N,), (N,).

    Raises:
        ValueError: shapes or types do not fit.
    """
    count = len(means2d)
    check_tensors(
        "bin_splats",
        means2d=(means2d, (count, 2), torch.float32),
        conics=(conics, (count, 3), torch.float32),
        opacities=(opacities, (count,), torch.float32),
        depths=(depths, (count,), torch.float32),
        radii=(radii, (count,), torch.int32),
    )
    means2d, conics, opacities, depths, radii = (
        tensor.detach().contiguous() for tensor in (means2d, conics, opacities, depths, radii)
    )
    bounds = torch.empty((count, 4), dtype=torch.int32)
    tiles = -(-width // TILE) * -(-height // TILE)
    offsets = torch.empty(tiles + 1, dtype=torch.int64)
    total = library().splat_count_entries(
        *(count, means2d.data_ptr(), conics.data_ptr(), opacities.data_ptr(), radii.data_ptr()),
        *(width, height, bounds.data_ptr(), offsets.data_ptr(), threads()),
    )
    entries = torch.empty(total, dtype=torch.int32)
    library().splat_fill_entries(
        *(count, depths.data_ptr(), bounds.data_ptr(), width, height),
        *(offsets.data_ptr(), entries.data_ptr(), threads()),
    )
    return Tiles(bounds, offsets, entries, width, height)


class Blend(torch.autograd.Function):
    """(means2d, conics, opacities, features, tiles, absgrad, voting) -> image (H, W, X), alpha (H, W), of one view.

    Shapes: (N, 2), (N, 3), (N,), (N, X). With ``absgrad`` (a list), the backward pass appends to it the sum
    over pixels of the absolute gradients of means2d, (N, 2). With ``voting`` its values are written.
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
        voting: Voting | None,
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
            *(pointers(image, transmittance, last), *_voting(voting), threads()),
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


def _voting(voting: Voting | None) -> tuple[Any, Any]:
    return (None, None) if voting is None else voting.arguments
