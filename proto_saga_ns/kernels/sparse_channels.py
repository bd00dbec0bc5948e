"""Sparse channels in the tiles of a view: what the CPU kernels take of them, and where they lie in memory."""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, threads


class _SparseChannels(ctypes.Structure):
    """``splat::SparseChannels`` of csrc/sparse_channels.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("labels", "values")),
        *((name, ctypes.c_int) for name in ("slots", "count")),
    )


def channels_struct(labels: Int32[Tensor, "N F"], values: Float32[Tensor, "N F"], count: int) -> ctypes.Structure:
    """What the kernels take of the sparse channels of N Gaussians; both contiguous, labels in [-1, count).

    Raises:
        ValueError: shapes or types do not fit.
    """
    shape = tuple(labels.shape)
    check_tensors("sparse channels", labels=(labels, shape, torch.int32), values=(values, shape, torch.float32))
    return _SparseChannels(labels.data_ptr(), values.data_ptr(), labels.shape[1], count)


def place(
    channels: ctypes.Structure,
    offsets: Int64[Tensor, " offsets"],
    entries: Int32[Tensor, " E"],
    width: int,
    height: int,
) -> Int64[Tensor, " offsets"]:
    """Number of labels in the tiles before each tile, and at the end in all; arguments as in ``rasterize.blend``."""
    starts = torch.empty(len(offsets), dtype=torch.int64)
    library().splat_place_channels(
        *(ctypes.byref(channels), offsets.data_ptr(), entries.data_ptr(), width, height, starts.data_ptr(), threads())
    )
    return starts
