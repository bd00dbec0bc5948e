"""``softmax(tau * cos(w, F))``: how view classifiers, prototypes and trained classifiers decide (Eqs. 6, 7, 14, 19).

Kernels answer in one pass that keeps no matrix of features x classes: in C++ on the CPU, in Triton on a GPU. Without
Triton, and in double precision, PyTorch does, with as much memory as ``CHUNK_ELEMENTS`` allows.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels import softmax
from proto_saga_ns.kernels.triton.door import runs_on

DEFAULT_TAU = 10.0
"""Temperature of the paper."""
MIN_FEATURE_NORM = 1e-2
"""Features shorter than this are not stretched to unit length in training.

Nearly transparent pixels have nearly zero features. Normalising those exactly would multiply the gradient that the
classifiers send into the geometry by the inverse of that length.
"""
CHUNK_ELEMENTS = 1 << 23
"""Size of the matrix of features x classes that PyTorch makes at a time."""
IGNORED = -1
WITHOUT_TRITON = "PyTorch takes their place: what has to do with masks and instances takes several times as long."


def cross_entropy(
    features: Float[Tensor, "*batch D"], weights: Float[Tensor, "D L"], label_map: Int[Tensor, "*batch"], tau: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean cross entropy over labelled pixels (Eq. 7) and the share of them that the argmax gets right.

    Args:
        features: rendered features, any scale.
        weights: one column per class, any scale.
        label_map: column ``l - 1`` belongs to label ``l``; 0 is unlabelled and takes no part.
        tau: temperature.

    Returns:
        The loss (with gradient) and the accuracy in [0, 1] (without); both zero where no pixel is labelled.

    Raises:
        IndexError: if a label has no column. On a GPU with Triton, where asking would make every step wait for the
            device, the loss is not a number instead.
        ValueError: if features and label map are of different sizes.
    """
    if label_map.shape != features.shape[:-1]:
        raise ValueError(f"a label map {tuple(label_map.shape)} does not fit features {tuple(features.shape)}")
    kernels = _kernels_for(features)
    if kernels is None or features.device.type == "cpu":
        _check_labels(label_map, weights, lowest=0)
    if weights.shape[1] == 0:
        zero = features.sum() * 0.0
        return zero, zero.detach()
    rows, labels = (tau * F.normalize(weights, dim=0)).T, label_map.reshape(-1).to(torch.int32)
    function = _CrossEntropyInChunks if kernels is None else kernels.CrossEntropy
    return function.apply(features.flatten(0, -2), rows, labels, MIN_FEATURE_NORM)


def cosine_logits(
    features: Float[Tensor, "*batch D"], weights: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, "*batch L"]:
    """``tau * cos(w, F)``, the logits of Eqs. 6 and 14, in PyTorch."""
    return _logits(features, (tau * F.normalize(weights, dim=0)).T, MIN_FEATURE_NORM)


def _logits(features: Float[Tensor, "*batch D"], rows: Float[Tensor, "L D"], min_length: float) -> Tensor:
    return (features @ rows.T) / features.norm(dim=-1, keepdim=True).clamp_min(min_length)


def labelled_cross_entropy(
    logits: Float[Tensor, "*batch L"], label_map: Int[Tensor, "*batch"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The results of ``cross_entropy`` from logits, in PyTorch."""
    targets = label_map.reshape(-1).long() - 1
    labelled = (targets >= 0).sum().clamp_min(1)
    flat = logits.reshape(-1, logits.shape[-1])
    loss = F.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum") / labelled
    return loss, (flat.detach().argmax(dim=-1) == targets).sum() / labelled


class _CrossEntropyInChunks(torch.autograd.Function):
    """As ``kernels.softmax.CrossEntropy``, in PyTorch: some pixels at a time, so that memory is bounded."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, features: Tensor, rows: Tensor, labels: Tensor, min_length: float
    ) -> tuple[Tensor, Tensor]:
        size = max(CHUNK_ELEMENTS // len(rows), 1)
        loss, accuracy = features.new_zeros(()), torch.zeros((), device=features.device)
        of_features, of_rows = torch.empty_like(features), torch.zeros_like(rows)
        labelled = (labels > 0).sum().clamp_min(1)
        chunks = zip(features.split(size), labels.split(size), of_features.split(size), strict=True)
        for part, own, gradient in chunks:
            part = part.detach().where((own > 0)[:, None], part.new_zeros(()))  # whatever those are that do not count
            leaves = part.requires_grad_(), rows.detach().requires_grad_()
            share = (own > 0).sum() / labelled
            with torch.enable_grad():
                mean, right = labelled_cross_entropy(_logits(*leaves, min_length), own)
                part_of_loss = share * mean
            first, second = torch.autograd.grad(part_of_loss, leaves)
            gradient.copy_(first)
            of_rows += second
            loss += part_of_loss.detach()
            accuracy += share * right
        ctx.save_for_backward(of_features, of_rows)
        ctx.mark_non_differentiable(accuracy)
        return loss, accuracy

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        of_features, of_rows = ctx.saved_tensors
        return of_features * upstream, of_rows * upstream, None, None


def own_log_probability(
    features: Float[Tensor, "M D"], labels: Int[Tensor, " M"], weights: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, " M"]:
    """Logarithm of the probability that each feature gives to its own label (Eq. 14); labels from 1.

    Raises:
        IndexError: if a label has no column.
    """
    _check_labels(labels, weights, lowest=1)
    unit = F.normalize(weights, dim=0).T
    kernels = _kernels_for(features)
    if kernels is not None:
        return kernels.own_log_probability(features, unit, (labels - 1).to(torch.int32), tau)
    size = max(CHUNK_ELEMENTS // max(len(unit), 1), 1)
    parts = [
        (F.normalize(part, dim=-1) @ (tau * unit.T)).log_softmax(dim=-1).gather(1, own.long()[:, None] - 1)[:, 0]
        for part, own in zip(features.split(size), labels.split(size), strict=True)
    ]
    return torch.cat(parts) if parts else features.new_zeros(0)


def nearest(
    features: Float[Tensor, "P D"],
    unit_weights: Float[Tensor, "T D"],
    tau: float,
    groups: Int[Tensor, " T"] | None = None,
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Row with the highest cosine (-1 for a feature without direction) and its probability (0 there; Eq. 19).

    Args:
        features: of any length.
        unit_weights: of unit length, at least one.
        tau: temperature.
        groups: rows with the same number (in [0, 2^24)) are one thing, whose probability is the sum of theirs; None
            if each is a thing of its own.
    """
    kernels = _kernels_for(features)
    if kernels is not None:
        return kernels.nearest(features, unit_weights, groups, tau)
    if groups is None:
        groups = torch.arange(len(unit_weights), device=features.device)
    size = max(CHUNK_ELEMENTS // len(unit_weights), 1)
    parts = [_nearest_of_chunk(chunk, unit_weights, tau, groups) for chunk in features.split(size)]
    rows, probabilities = (torch.cat(column) for column in zip(*parts, strict=True))
    return rows, probabilities


def _nearest_of_chunk(
    features: Float[Tensor, "P D"], unit_weights: Float[Tensor, "T D"], tau: float, groups: Int[Tensor, " T"]
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    lengths = features.norm(dim=1)
    has_direction = (lengths > 0) & lengths.isfinite()
    scores = (features / lengths[:, None]).nan_to_num(0.0) @ (tau * unit_weights.T)
    best, winners = scores.max(dim=1)
    shares = (scores - best[:, None]).exp_()
    of_group = shares.masked_fill(groups != groups[winners, None], 0.0)
    probabilities = of_group.sum(dim=1) / shares.sum(dim=1)
    rows = winners.to(torch.int32).masked_fill(~has_direction, -1)
    return rows, probabilities.masked_fill(~has_direction, 0.0)


def _check_labels(labels: Tensor, weights: Tensor, lowest: int) -> None:
    if not labels.numel():
        return
    least, highest = (int(bound) for bound in labels.aminmax())
    if highest > weights.shape[1] or least < lowest:
        wrong = highest if highest > weights.shape[1] else least
        raise IndexError(f"label {wrong}, but the classifier has {weights.shape[1]} columns")


def _kernels_for(features: Tensor) -> ModuleType | None:
    """The module that answers in one pass where the features are; None if PyTorch has to."""
    if features.dtype != torch.float32:
        return None
    if features.device.type == "cpu":
        return softmax
    if runs_on(features.device, WITHOUT_TRITON):
        from proto_saga_ns.kernels.triton import softmax as on_gpu

        return on_gpu if features.shape[-1] <= on_gpu.LONGEST else None
    return None
