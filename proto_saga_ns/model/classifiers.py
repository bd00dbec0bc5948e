"""View classifiers: one D x L_k matrix per training view (Eq. 6), thrown away after association."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


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
