"""The contributions of Gaussians to the labels of a view, on the CPU kernels."""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, pointers, threads

Splats = tuple[Float32[Tensor, "N 2"], Float32[Tensor, "N 3"], Float32[Tensor, " N"]]
Lists = tuple[Int64[Tensor, " starts"], Int32[Tensor, " E"]]


def sum_of_tiles(
    splats: Splats, lists: Lists, label_map: Int32[Tensor, "H W"], bounds: Int32[Tensor, "N 4"]
) -> tuple[Int32[Tensor, " P"], Int32[Tensor, " P"], Float32[Tensor, " P"]]:
    """Gaussians, labels and weights of ``proto_saga_ns.rasterize.contributions.Contributions``.

    Args:
        splats: means2d, conics and opacities.
        lists: of the Gaussians in each tile; see csrc/binning.h.
        label_map: labels from 0.
        bounds: pixels that each Gaussian may touch; see there.

    Raises:
        ValueError: a shape or type does not fit.
    """
    means2d, conics, opacities = splats
    offsets, entries = lists
    count, (height, width) = len(means2d), label_map.shape
    check_tensors(
        "contributions",
        means2d=(means2d, (count, 2), torch.float32),
        conics=(conics, (count, 3), torch.float32),
        opacities=(opacities, (count,), torch.float32),
        bounds=(bounds, (count, 4), torch.int32),
        offsets=(offsets, (None,), torch.int64),
        entries=(entries, (None,), torch.int32),
        label_map=(label_map, (height, width), torch.int32),
    )
    features = means2d.new_zeros(count, 0)
    given = [tensor.contiguous() for tensor in (means2d, conics, opacities, features, bounds, offsets, entries)]
    labels, offsets, entries = label_map.contiguous(), given[5], given[6]
    starts = torch.empty(len(offsets), dtype=torch.int64)
    cells = library().splat_place_tables(
        labels.data_ptr(), offsets.data_ptr(), width, height, starts.data_ptr(), threads()
    )
    tables = torch.empty(cells)
    shared = (width, height, starts.data_ptr(), tables.data_ptr())
    found = library().splat_fill_tables(pointers(*given), labels.data_ptr(), *shared, threads())
    rows = torch.empty((found, 3), dtype=torch.int32)
    lists_of_tiles = (labels.data_ptr(), offsets.data_ptr(), entries.data_ptr())
    total = library().splat_sum_tables(count, *lists_of_tiles, *shared, rows.data_ptr(), threads())
    gaussians, own_labels, weights = (column.contiguous() for column in rows[:total].unbind(1))
    return gaussians, own_labels, weights.view(torch.float32)
