"""Segmentation of a view by prototypes and by rendered votes of the Gaussians together.

Prototypes know what an instance looks like to the embedding, votes know where it is. Neither alone tells apart two
instances that look alike, nor an instance whose Gaussians few masks show.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from proto_saga_ns.cosine_softmax import DEFAULT_TAU, cosine_logits
from proto_saga_ns.prototypes import DEFAULT_MIN_ALPHA, MIN_LENGTH

DOUBT = 1e-3
"""What is added to rendered votes, so that the prototypes decide where nobody has voted."""


@torch.no_grad()
def classify_with_votes(
    features: Float[Tensor, "H W D"],
    votes: Float[Tensor, "H W T"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Give each pixel the instance with the largest product of probability (Eq. 19) and votes.

    Args:
        features: rendered feature map, any scale.
        votes: rendered shares of the Gaussians' votes; column ``t - 1`` belongs to label ``t``.
        prototypes: row ``t - 1`` belongs to label ``t``; a zero one counts by its votes alone.
        alpha: accumulated opacity in [0, 1].
        tau: temperature of the cosine softmax.
        min_alpha: pixels below it get label 0.

    Returns:
        Labels in [0, T], and the winner's share of all products; both 0 where alpha is too small.
    """
    if prototypes.shape[0] == 0:
        return torch.zeros_like(alpha, dtype=torch.int32), torch.zeros_like(alpha)
    likeness = cosine_logits(features, prototypes.to(features).T, tau).softmax(dim=-1)
    known = prototypes.to(features).norm(dim=1) > MIN_LENGTH
    products = torch.where(known, likeness, likeness.new_tensor(1 / len(prototypes))) * (votes + DOUBT)
    best, winners = products.max(dim=-1)
    unrecognised = alpha < min_alpha
    labels = (winners + 1).to(torch.int32).masked_fill(unrecognised, 0)
    return labels, (best / products.sum(dim=-1)).masked_fill(unrecognised, 0.0)
