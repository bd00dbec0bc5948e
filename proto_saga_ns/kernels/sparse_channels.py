"""Votes in the tiles of a view: where they lie in memory, and the classification by them and by prototypes at once."""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.library import check_tensors, library, pointers, threads


class _Votes(ctypes.Structure):
    """``splat::Votes`` of csrc/votes.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("rows", "shares")),
        *((name, ctypes.c_int) for name in ("slots", "count")),
    )


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


def votes_struct(rows: Int32[Tensor, "N F"], shares: Float32[Tensor, "N F"], count: int) -> ctypes.Structure:
    """What the kernels take of the votes of N Gaussians; both contiguous, rows in [-1, count).

    Raises:
        ValueError: shapes or types do not fit.
    """
    check_tensors(
        "votes", rows=(rows, tuple(rows.shape), torch.int32), shares=(shares, tuple(rows.shape), torch.float32)
    )
    return _Votes(rows.data_ptr(), shares.data_ptr(), rows.shape[1], count)


def place(
    votes: ctypes.Structure, offsets: Int64[Tensor, " tiles+1"], entries: Int32[Tensor, " E"], width: int, height: int
) -> Int64[Tensor, " tiles+1"]:
    """Number of labels in the tiles before each tile, and at the end in all; arguments as in ``rasterize.blend``."""
    starts = torch.empty(len(offsets), dtype=torch.int64)
    library().splat_place_votes(
        *(ctypes.byref(votes), offsets.data_ptr(), entries.data_ptr(), width, height, starts.data_ptr(), threads())
    )
    return starts


def classify(
    features: Float32[Tensor, "H W D"],
    alpha: Float32[Tensor, "H W"],
    tile_votes: tuple[Int64[Tensor, " tiles+1"], Int32[Tensor, " L"], Float32[Tensor, " V"]],
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
        tile_votes: starts, labels and values of a ``TileVotes``.
        weights: of unit length or zero, at least one.
        groups: of the labels, in [0, 2^24); None if each is one of its own.
        tau: temperature.
        doubt: what is added to votes.
        min_alpha: pixels below it get label 0.

    Raises:
        ValueError: shapes or types do not fit.
    """
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
        *(ctypes.byref(classifier), pointers(*tile_votes), ctypes.byref(view), width, height),
        *(labels.data_ptr(), confidence.data_ptr(), threads()),
    )
    return labels, confidence
