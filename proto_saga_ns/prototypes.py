"""Features averaged over masks, and the segmentation of a view by the nearest prototype (Sec. 3.3).

Row ``t - 1`` of a (T, D) matrix of prototypes belongs to label ``t``; label 0 is no instance.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.cosine_softmax import DEFAULT_TAU, nearest

DEFAULT_MIN_ALPHA = 0.5

MIN_LENGTH = 1e-12
"""Shorter features and prototypes have no direction."""


def view_prototypes(
    features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"], num_instances: int
) -> tuple[Float[Tensor, "T D"], Int64[Tensor, " T"]]:
    """Mean feature over the pixels of each instance in one view (Eq. 17).

    Args:
        features: rendered feature map.
        labels: consistent label map of the view, 0 = unlabelled; moved to the features' device.
        num_instances: T; labels lie in [0, T].

    Returns:
        The means, zero for an instance without pixels, and the number of pixels of each instance.

    Raises:
        ValueError: sizes differ or a label is out of range.
    """
    sums, counts = _sum_by_label(features, labels, num_instances)
    return (sums / counts.clamp_min(1)[:, None]).to(features.dtype), counts


@torch.no_grad()
def classify(
    features: Float[Tensor, "H W D"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
    groups: Int[Tensor, " T"] | None = None,
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Give each pixel the instance whose prototype has the highest cosine with its feature (Eq. 19).

    Memory beyond the results is bounded, whatever the number of instances.

    Args:
        features: rendered feature map, any scale.
        prototypes: any scale; a zero one has no direction and never wins. Moved to the features' device.
        alpha: accumulated opacity in [0, 1].
        tau: temperature of the cosine softmax.
        min_alpha: pixels below it get label 0.
        groups: prototypes with the same number are of one instance; None if each is of another.

    Returns:
        Labels in [0, T], and the softmax probability of the winner's group. Both are 0 where alpha is too small or
        the feature is zero or not finite.
    """
    flat = features.reshape(-1, features.shape[-1])
    prototypes = prototypes.to(flat)
    ids = torch.nonzero(prototypes.norm(dim=1) > MIN_LENGTH)[:, 0]
    if len(ids) == 0:
        return torch.zeros_like(alpha, dtype=torch.int32), torch.zeros_like(alpha)
    groups = None if groups is None else groups.to(ids)[ids]
    rows, confidence = nearest(flat, F.normalize(prototypes[ids], dim=1), tau, groups)
    labels = (ids + 1).to(torch.int32)[rows.long()]
    unrecognised = (alpha.reshape(-1).to(flat.device) < min_alpha) | (rows < 0)
    labels, confidence = (value.masked_fill(unrecognised, 0) for value in (labels, confidence))
    return labels.view(alpha.shape), confidence.view(alpha.shape)


def probabilities(
    features: Float[Tensor, "*shape D"], prototypes: Float[Tensor, "T D"], tau: float = DEFAULT_TAU
) -> Float[Tensor, "*shape T"]:
    """Probability of each label (Eq. 19); 0 for a zero prototype, and 0 for all where a feature has no direction."""
    prototypes = prototypes.to(features)
    unit = F.normalize(features.nan_to_num(), dim=-1)
    logits = unit @ (tau * F.normalize(prototypes, dim=1)).T
    known = prototypes.norm(dim=1) > MIN_LENGTH
    found = logits.masked_fill(~known, -torch.inf).softmax(dim=-1).nan_to_num()
    return found * (unit.norm(dim=-1, keepdim=True) > 0.5)


def _sum_by_label(
    features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"], num_instances: int
) -> tuple[Float[Tensor, "T D"], Int64[Tensor, " T"]]:
    """Sums in double precision: a mask may have a million pixels, and a GPU adds them in any order."""
    if labels.shape != features.shape[:2]:
        raise ValueError(f"labels are {tuple(labels.shape)}, the feature map is {tuple(features.shape[:2])}")
    index = torch.as_tensor(labels, device=features.device).reshape(-1).long()
    if index.numel() and not 0 <= int(index.min()) <= int(index.max()) <= num_instances:
        raise ValueError(f"labels run from {index.min()} to {index.max()}, expected 0 to {num_instances}")
    flat = features.reshape(-1, features.shape[-1]).double()
    sums = flat.new_zeros(num_instances + 1, flat.shape[1]).index_add_(0, index, flat)
    counts = torch.bincount(index, minlength=num_instances + 1)
    return sums[1:], counts[1:]
