"""Masked average pooling as the paper writes it down, from a rendered feature map."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor


def view_prototypes(
    features: Float[Tensor, "H W D"], labels: Int[Tensor, "H W"], num_instances: int
) -> tuple[Float[Tensor, "T D"], Int64[Tensor, " T"]]:
    """Mean feature over the pixels of each instance in one view (Eq. 17), zero over none; and numbers of pixels."""
    masks = [labels == instance for instance in range(1, num_instances + 1)]
    means = [features[mask].double().mean(dim=0).nan_to_num() for mask in masks]
    empty = features.new_zeros(0, features.shape[-1])
    pixels = torch.tensor([int(mask.sum()) for mask in masks], dtype=torch.int64)
    return torch.stack(means).to(features) if means else empty, pixels
