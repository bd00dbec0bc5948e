"""``softmax(tau * cos(w, F))``: how view classifiers, prototypes and trained classifiers decide (Eqs. 6, 7, 14, 19).

On the CPU compiled kernels answer in one pass; elsewhere, and in double precision, PyTorch does.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels import softmax

DEFAULT_TAU = 10.0
"""Temperature of the paper."""
MIN_FEATURE_NORM = 1e-2
"""Features shorter than this are not stretched to unit length in training.

Nearly transparent pixels have nearly zero features. Normalising those exactly would multiply the gradient that the
classifiers send into the geometry by the inverse of that length.
"""
CHUNK_ELEMENTS = 1 << 25
"""Size of the matrix of features x classes that PyTorch makes at a time."""
IGNORED = -1


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
        IndexError: if a label has no column.
        ValueError: if features and label map are of different sizes.
    """
    _check_labels(label_map, weights, lowest=0)
    if label_map.shape != features.shape[:-1]:
        raise ValueError(f"a label map {tuple(label_map.shape)} does not fit features {tuple(features.shape)}")
    if weights.shape[1] == 0:
        zero = features.sum() * 0.0
        return zero, zero.detach()
    if _is_for_kernels(features):
        rows = (tau * F.normalize(weights, dim=0)).T
        labels = label_map.reshape(-1).to(torch.int32)
        return softmax.CrossEntropy.apply(features.flatten(0, -2), rows, labels, MIN_FEATURE_NORM)
    return labelled_cross_entropy(cosine_logits(features, weights, tau), label_map)


def cosine_logits(
    features: Float[Tensor, "*batch D"], weights: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, "*batch L"]:
    """``tau * cos(w, F)``, the logits of Eqs. 6 and 14, in PyTorch."""
    lengths = features.norm(dim=-1, keepdim=True).clamp_min(MIN_FEATURE_NORM)
    return (features @ (tau * F.normalize(weights, dim=0))) / lengths


def labelled_cross_entropy(
    logits: Float[Tensor, "*batch L"], label_map: Int[Tensor, "*batch"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The results of ``cross_entropy`` from logits, in PyTorch."""
    targets = label_map.reshape(-1).long() - 1
    labelled = targets >= 0
    if not bool(labelled.any()):
        zero = logits.sum() * 0.0
        return zero, zero.detach()
    flat = logits.reshape(-1, logits.shape[-1])
    loss = F.cross_entropy(flat, targets, ignore_index=IGNORED)
    correct = (flat.detach().argmax(dim=-1) == targets).sum() / labelled.sum()
    return loss, correct


def own_log_probability(
    features: Float[Tensor, "M D"], labels: Int[Tensor, " M"], weights: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, " M"]:
    """Logarithm of the probability that each feature gives to its own label (Eq. 14); labels from 1.

    Raises:
        IndexError: if a label has no column.
    """
    _check_labels(labels, weights, lowest=1)
    unit = F.normalize(weights, dim=0).T
    if _is_for_kernels(features):
        return softmax.own_log_probability(features, unit, (labels - 1).to(torch.int32), tau)
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
    if groups is None:
        groups = torch.arange(len(unit_weights), device=features.device)
    if _is_for_kernels(features):
        return softmax.nearest(features, unit_weights, groups, tau)
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


def _is_for_kernels(features: Tensor) -> bool:
    return features.device.type == "cpu" and features.dtype == torch.float32
