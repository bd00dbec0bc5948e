"""Sorting the Gaussians of a view into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, threads
from proto_saga_ns.rasterize.arguments import TILE

if TYPE_CHECKING:
    pass


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
