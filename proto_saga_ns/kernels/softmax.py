"""The softmax of tau times the cosine on the CPU, in one pass that keeps no matrix of features x rows."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, threads


def nearest(
    features: Float[Tensor, "P D"], unit_weights: Float[Tensor, "T D"], groups: Int[Tensor, " T"] | None, tau: float
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Row with the highest cosine (-1 for a feature without direction) and the probability of its group (0 there).

    Args:
        features: float32 on the CPU, of any length; they may lie apart in memory.
        unit_weights: of unit length, at least one.
        groups: of the rows, in [0, 2^24); None if each is a group of its own.
        tau: temperature.

    Raises:
        ValueError: shapes or types do not fit.
    """
    _check_rows("nearest", features, unit_weights)
    groups = torch.arange(len(unit_weights)) if groups is None else groups
    unit_weights, groups = unit_weights.contiguous(), groups.int().contiguous()
    check_tensors("nearest", groups=(groups, (len(unit_weights),), torch.int32))
    features = features if features.stride(1) == 1 else features.contiguous()
    rows = torch.empty(len(features), dtype=torch.int32)
    probabilities = torch.empty(len(features))
    library().splat_nearest(
        *(*_sizes(features, unit_weights), features.stride(0), features.data_ptr(), unit_weights.data_ptr(), tau),
        *(groups.data_ptr(), rows.data_ptr(), probabilities.data_ptr(), threads()),
    )
    return rows, probabilities


def own_log_probability(
    features: Float[Tensor, "P D"], unit_weights: Float[Tensor, "T D"], rows: Int32[Tensor, " P"], tau: float
) -> Float[Tensor, " P"]:
    """Logarithm of the probability that each feature gives to its own row; arguments as for ``nearest``.

    Raises:
        ValueError: shapes or types do not fit.
    """
    _check_rows("own_log_probability", features, unit_weights)
    check_tensors("own_log_probability", rows=(rows, (len(features),), torch.int32))
    features, unit_weights, rows = features.contiguous(), unit_weights.contiguous(), rows.contiguous()
    result = torch.empty(len(features))
    library().splat_own_log_probability(
        *(*_sizes(features, unit_weights), features.data_ptr(), unit_weights.data_ptr(), tau),
        *(rows.data_ptr(), result.data_ptr(), threads()),
    )
    return result


class _Totals(ctypes.Structure):
    """``splat::CrossEntropy`` of csrc/softmax.h."""

    _fields_ = (("loss", ctypes.c_double), ("labelled", ctypes.c_int64), ("right", ctypes.c_int64))


class CrossEntropy(torch.autograd.Function):
    """(features, weights, labels, min_length) -> mean loss, share that is right; gradients in the forward pass already.

    Shapes: (P, D), (T, D; any length, tau included), (P,) int32 with labels from 1 and 0 for none. Features shorter
    than ``min_length`` are not stretched to unit length. Both results are 0 if nothing is labelled.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, features: Tensor, weights: Tensor, labels: Tensor, min_length: float
    ) -> tuple[Tensor, Tensor]:
        _check_rows("cross_entropy", features, weights)
        check_tensors("cross_entropy", labels=(labels, (len(features),), torch.int32))
        features, weights, labels = features.contiguous(), weights.contiguous(), labels.contiguous()
        gradients = torch.empty_like(features), torch.empty_like(weights)
        totals = _Totals()
        library().splat_cross_entropy(
            *(*_sizes(features, weights), features.data_ptr(), weights.data_ptr(), labels.data_ptr(), min_length),
            *(gradients[0].data_ptr(), gradients[1].data_ptr(), ctypes.byref(totals), threads()),
        )
        ctx.scale = 1 / max(totals.labelled, 1)
        ctx.save_for_backward(*gradients)
        accuracy = torch.tensor(totals.right * ctx.scale)
        ctx.mark_non_differentiable(accuracy)
        return torch.tensor(totals.loss * ctx.scale, dtype=torch.float32), accuracy

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        features, weights = ctx.saved_tensors
        return features * (ctx.scale * upstream), weights * (ctx.scale * upstream), None, None


def _check_rows(kernel: str, features: Tensor, weights: Tensor) -> None:
    dim = features.shape[-1] if features.dim() else 0
    check_tensors(
        kernel, features=(features, (None, dim), torch.float32), weights=(weights, (None, dim), torch.float32)
    )


def _sizes(features: Tensor, weights: Tensor) -> tuple[int, int, int]:
    return len(features), features.shape[1], len(weights)
