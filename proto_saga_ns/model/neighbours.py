"""Nearby Gaussians shall be of one class (Gaussian Grouping, Sec. 3.2, its 3D regularisation)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.cosine_softmax import cosine_logits

NEIGHBOURS, SAMPLES, MAX_POINTS, INTERVAL = 5, 1000, 200_000, 5
"""Of Gaussian Grouping's published configuration: neighbours of a Gaussian, itself among them; Gaussians that are drawn
for a step; Gaussians among which neighbours are looked for; steps from one time to the next."""


def neighbour_divergence(
    means: Float[Tensor, "N 3"],
    embeddings: Float[Tensor, "N D"],
    weights: Float[Tensor, "D T"],
    tau: float,
    samples: int = SAMPLES,
) -> Float[Tensor, ""]:
    """Mean KL divergence of the class probabilities of some Gaussians from those of their nearest, divided by T.

    Args:
        means: centres, world frame; they get no gradient.
        embeddings: of the same Gaussians.
        weights: a classifier for all of them.
        tau: temperature of the cosine softmax.
        samples: how many are drawn by torch's generator.
    """
    pool = torch.randperm(len(means), device=means.device)[:MAX_POINTS]
    centres, drawn = means.detach()[pool], pool[:samples]
    distances = torch.cdist(centres[:samples], centres)
    nearest = pool[distances.topk(min(NEIGHBOURS, len(pool)), largest=False).indices]
    own = cosine_logits(embeddings[drawn], weights, tau).log_softmax(-1)[:, None]
    others = cosine_logits(embeddings[nearest], weights, tau).log_softmax(-1)
    return (own.exp() * (own - others)).sum(-1).mean() / weights.shape[1]
