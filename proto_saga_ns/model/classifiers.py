"""View classifiers: one D x L_k matrix per training view (Eq. 6), thrown away after association."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

MIN_FEATURE_NORM = 1e-2
"""Features shorter than this are not stretched to unit length.

Nearly transparent pixels have nearly zero features. Normalising those exactly would multiply the gradient that the
classifiers send into the geometry by the inverse of that length.
"""
IGNORED = -1


def cosine_logits(
    features: Float[Tensor, "*batch D"], weights: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, "*batch L"]:
    """``tau * cos(w, F)``, the logits of Eqs. 6 and 14.

    Args:
        features: features of pixels or embeddings of Gaussians, any scale.
        weights: one column per mask of the view, any scale.
        tau: temperature; 10 in the paper.
    """
    lengths = features.norm(dim=-1, keepdim=True).clamp_min(MIN_FEATURE_NORM)
    return (features @ (tau * F.normalize(weights, dim=0))) / lengths


def labelled_cross_entropy(
    logits: Float[Tensor, "H W L"], label_map: Int[Tensor, "H W"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Mean cross entropy over labelled pixels (Eq. 7) and the share of them that the argmax gets right.

    Args:
        logits: column ``l - 1`` belongs to mask ``l``.
        label_map: 0 is unlabelled and takes no part.

    Returns:
        The loss (with gradient) and the accuracy in [0, 1] (without); both zero where no pixel is labelled.
    """
    targets = label_map.reshape(-1).long() - 1
    labelled = targets >= 0
    if logits.shape[-1] == 0 or not bool(labelled.any()):
        zero = logits.sum() * 0.0
        return zero, zero.detach()
    flat = logits.reshape(-1, logits.shape[-1])
    loss = F.cross_entropy(flat, targets, ignore_index=IGNORED)
    correct = (flat.detach().argmax(dim=-1) == targets).sum() / labelled.sum()
    return loss, correct


class ViewClassifiers(nn.Module):
    """The classifiers of all training views, in data set order.

    A list of parameters rather than one matrix: a view that was not drawn in a step gets no gradient at all, so Adam
    leaves its classifier alone instead of moving it by stale momentum.

    Args:
        embedding_dim: D.
        labels_per_view: L_k for every training view; 0 for a view without masks.
        init_scale: standard deviation of the initial weights. Small ones turn faster at a given learning rate, since
            only their direction counts.
    """

    def __init__(self, embedding_dim: int, labels_per_view: Sequence[int] = (), init_scale: float = 1e-3) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.init_scale = init_scale
        self.weights = nn.ParameterList()
        self.create(labels_per_view)

    def create(self, labels_per_view: Sequence[int], device: torch.device | None = None) -> None:
        """Replace all classifiers by freshly initialised ones, one for each entry of ``labels_per_view``."""
        self.weights = nn.ParameterList(
            nn.Parameter(self.init_scale * torch.randn(self.embedding_dim, count, device=device))
            for count in labels_per_view
        )

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, view: int) -> nn.Parameter:
        return self.weights[view]

    @property
    def labels_per_view(self) -> list[int]:
        """L_k of every view."""
        return [weight.shape[1] for weight in self.weights]

    def match_state(self, state: Mapping[str, Tensor], prefix: str) -> None:
        """Create classifiers of the sizes that stand in a state dict, unless these sizes are there already.

        Existing parameters are kept where they fit, because optimizers hold on to them.
        """
        keys = [key for key in state if key.startswith(f"{prefix}weights.")]
        sizes = [state[f"{prefix}weights.{view}"].shape[1] for view in range(len(keys))]
        if sizes != self.labels_per_view:
            device = self.weights[0].device if len(self) else None
            self.create(sizes, device)
