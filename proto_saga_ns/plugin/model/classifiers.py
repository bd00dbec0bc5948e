"""What training classifies its views by: one D x L_k matrix per view (Eq. 6), or one matrix for all of them.

Those of single views are thrown away after association. The shared one is Gaussian Grouping's way: the ids of the masks
must hold across views, there is nothing to associate, and its columns are the classifier of novel views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from proto_saga_ns.recognition.cosine_softmax import cosine_logits

if TYPE_CHECKING:
    pass


NEIGHBOURS, SAMPLES, MAX_POINTS, INTERVAL = 5, 1000, 200_000, 5
"""Of Gaussian Grouping's published configuration: neighbours of a Gaussian, itself among them; Gaussians that are drawn
for a step; Gaussians among which neighbours are looked for; steps from one time to the next."""


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

    def create_for(self, ids_per_view: Sequence[Int[np.ndarray, " _L"]], device: torch.device | None = None) -> None:
        """``create`` for views whose masks have these ids in their files; what the ids are, does not count."""
        self.create([len(ids) for ids in ids_per_view], device)

    def fit(self, ids_per_view: Sequence[Int[np.ndarray, " _L"]]) -> bool:
        """Whether they are those of views with as many masks."""
        return [len(ids) for ids in ids_per_view] == self.labels_per_view

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, view: int) -> nn.Parameter:
        return self.weights[view]

    def task(self, view: int, label_map: Int[Tensor, "H W"]) -> tuple[Float[Tensor, "D L"], Int[Tensor, "H W"]]:
        """The matrix that a training view is classified by, and its label map in columns of that, from 1."""
        return self[view], label_map

    @property
    def labels_per_view(self) -> list[int]:
        """L_k of every view."""
        return [weight.shape[1] for weight in self.weights]

    def match_state(self, state: Mapping[str, Tensor], prefix: str, device: torch.device | None = None) -> None:
        """Create classifiers of the sizes that stand in a state dict, unless these sizes are there already.

        Existing parameters are kept where they fit, because optimizers hold on to them. Before loading there may be
        none that could tell the ``device``.
        """
        keys = [key for key in state if key.startswith(f"{prefix}weights.")]
        sizes = [state[f"{prefix}weights.{view}"].shape[1] for view in range(len(keys))]
        if sizes != self.labels_per_view:
            self.create(sizes, device)


class SharedClassifier(nn.Module):
    """One D x T matrix for the masks of all training views: a column for each id, ascending.

    It can be asked for the classifier of a view, D x L_k, like ``ViewClassifiers``.

    Args:
        embedding_dim: D.
        ids_per_view: for every training view the ids of its masks; label l of a view has the id ``ids[l - 1]``.
        init_scale: standard deviation of the initial weights.
    """

    ids: Int[Tensor, " T"]
    columns: Int[Tensor, " M"]
    counts: Int[Tensor, " V"]

    def __init__(
        self, embedding_dim: int, ids_per_view: Sequence[Int[np.ndarray, " _L"]] = (), init_scale: float = 1e-3
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.init_scale = init_scale
        self.create_for(ids_per_view)

    def create_for(self, ids_per_view: Sequence[Int[np.ndarray, " _L"]], device: torch.device | None = None) -> None:
        """Replace it by a freshly initialised one for views whose masks have these ids."""
        every = np.concatenate([np.zeros(0, np.int64), *ids_per_view])
        ids, columns = np.unique(every, return_inverse=True)
        self._set(len(ids), device)
        for name, values in (("ids", ids), ("columns", columns), ("counts", [len(view) for view in ids_per_view])):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.int64, device=device))

    def fit(self, ids_per_view: Sequence[Int[np.ndarray, " _L"]]) -> bool:
        """Whether it is that of views whose masks have these ids."""
        every = np.concatenate([np.zeros(0, np.int64), *ids_per_view])
        same_counts = [len(ids) for ids in ids_per_view] == self.labels_per_view
        return same_counts and np.array_equal(every, self.ids[self.columns].cpu().numpy())

    def _set(self, count: int, device: torch.device | None) -> None:
        weight = self.init_scale * torch.randn(self.embedding_dim, count, device=device)
        self.weights = nn.ParameterList([nn.Parameter(weight)])

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, view: int) -> Float[Tensor, "D L"]:
        return self.weights[0][:, self._columns_of(view)]

    def _columns_of(self, view: int) -> Int[Tensor, " L"]:
        if not 0 <= view < len(self):
            raise IndexError(view)
        return self.columns.split(self.labels_per_view)[view]

    def task(self, view: int, label_map: Int[Tensor, "H W"]) -> tuple[Float[Tensor, "D T"], Int[Tensor, "H W"]]:
        """All columns, and the label map of a training view in numbers of these, from 1."""
        columns = self._columns_of(view)
        return self.weights[0], torch.cat([columns.new_zeros(1), columns + 1])[label_map.long()]

    def of_masks(self, views: Int[Tensor, " M"], labels: Int[Tensor, " M"]) -> Float[Tensor, "M D"]:
        """The column of each mask, given its view and its label (from 1)."""
        starts = self.counts.cumsum(0) - self.counts
        views, labels = (column.to(starts) for column in (views, labels))
        return self.weights[0].T[self.columns[starts[views] + labels - 1]]

    @property
    def labels_per_view(self) -> list[int]:
        """L_k of every view."""
        return self.counts.tolist()

    def match_state(self, state: Mapping[str, Tensor], prefix: str, device: torch.device | None = None) -> None:
        """Create a classifier of the size that stands in a state dict, unless it has that size already."""
        saved = state[f"{prefix}weights.0"]
        if saved.shape != self.weights[0].shape:
            self._set(saved.shape[1], device)
        for name in ("ids", "columns", "counts"):
            self.register_buffer(name, state[f"{prefix}{name}"].to(device, copy=True))


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
