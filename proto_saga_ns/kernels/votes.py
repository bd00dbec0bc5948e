"""The classification of pixels by votes and prototypes at once: on the CPU kernels, for CUDA by those of Triton."""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, pointers, threads


class _Classifier(ctypes.Structure):
    """``splat::Classifier`` of csrc/votes.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("weights", "groups")),
        *((name, ctypes.c_int) for name in ("dim", "count")),
        *((name, ctypes.c_float) for name in ("tau", "doubt", "min_alpha")),
    )


class _View(ctypes.Structure):
    """``splat::View`` of csrc/votes.h."""

    _fields_ = (("features", ctypes.c_void_p), ("alpha", ctypes.c_void_p), ("stride", ctypes.c_int64))


def classify(
    features: Float32[Tensor, "H W D"],
    alpha: Float32[Tensor, "H W"],
    votes: tuple[Int64[Tensor, " starts"], Int32[Tensor, " L"], Float32[Tensor, " V"]],
    weights: Float32[Tensor, "T D"],
    groups: Int32[Tensor, " T"] | None,
    *,
    tau: float,
    doubt: float,
    min_alpha: float,
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Labels and confidence of ``proto_saga_ns.recognition.votes.classify_with_votes``.

    Args:
        features: of any length; pixels may lie apart in memory.
        alpha: accumulated opacity.
        votes: starts, labels and values of the ``TiledChannels`` that they were blended into.
        weights: of unit length or zero, at least one.
        groups: of the labels, in [0, 2^24); None if each is one of its own.
        tau: temperature.
        doubt: what is added to votes.
        min_alpha: pixels below it get label 0.

    Raises:
        ValueError: shapes or types do not fit.
    """
    if features.is_cuda:  # as votes are that kernels have blended there
        from proto_saga_ns.kernels.triton import votes as triton

        return triton.classify(features, alpha, votes, weights, groups, tau=tau, doubt=doubt, min_alpha=min_alpha)
    height, width, dim = features.shape
    check_tensors(
        "classify",
        features=(features, (height, width, dim), torch.float32),
        alpha=(alpha, (height, width), torch.float32),
        weights=(weights, (None, dim), torch.float32),
        **({} if groups is None else {"groups": (groups, (len(weights),), torch.int32)}),
    )
    if features.stride()[::2] != (width * features.stride(1), 1):
        features = features.contiguous()
    alpha, weights = alpha.contiguous(), weights.contiguous()
    groups = None if groups is None else groups.contiguous()
    labels = torch.empty((height, width), dtype=torch.int32)
    confidence = torch.empty((height, width))
    of_groups = None if groups is None else groups.data_ptr()
    classifier = _Classifier(weights.data_ptr(), of_groups, dim, len(weights), tau, doubt, min_alpha)
    view = _View(features.data_ptr(), alpha.data_ptr(), features.stride(1))
    library().splat_classify_votes(
        *(ctypes.byref(classifier), pointers(*votes), ctypes.byref(view), width, height),
        *(labels.data_ptr(), confidence.data_ptr(), threads()),
    )
    return labels, confidence
