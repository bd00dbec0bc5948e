"""Sorting the Gaussians of a view into tiles: done here on the CPU, taken from gsplat on CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.library import check_tensors, library, threads
from proto_saga_ns.rasterize.arguments import TILE


@dataclass(frozen=True)
class Tiles:
    """Which Gaussians are drawn where, for one view; see csrc/binning.h.

    Attributes:
        bounds: (N, 4) int32 pixels [x0, x1) x [y0, y1); (0, 4) if they are not known: entries are of whole tiles then.
        offsets: (tiles + 1,) int64.
        entries: int32 indices of Gaussians, tile by tile, nearest first.
    """

    bounds: Tensor
    offsets: Tensor
    entries: Tensor
    width: int
    height: int


def tiles_of_gsplat(info: Mapping[str, Any]) -> tuple[tuple[Tensor, Tensor, Tensor], Tiles]:
    """What gsplat's rasterization of one view drew: means2d (N, 2), conics (N, 3) and opacities (N,), and its tiles.

    Args:
        info: what its ``rasterization`` returned, ``packed=False``.

    Raises:
        ProtoSagaError: it is of several views, packed, or of tiles of another size.
    """
    given = {"views": info["n_cameras"], "tile_size": info["tile_size"], "packed": info["means2d"].dim() == 2}
    if given != {"views": 1, "tile_size": TILE, "packed": False}:
        raise ProtoSagaError(
            f"rasterization: sparse channels and contributions take one view, tile_size={TILE} and packed=False, "
            f"not {given}."
        )
    entries, ends = info["flatten_ids"], info["isect_offsets"].flatten()[1:].long()
    offsets = F.pad(F.pad(ends, (1, 0)), (0, 1), value=len(entries))
    splats = [info[name][0].detach() for name in ("means2d", "conics", "opacities")]
    bounds = entries.new_zeros(0, 4)
    return (splats[0], splats[1], splats[2]), Tiles(bounds, offsets, entries, info["width"], info["height"])


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
