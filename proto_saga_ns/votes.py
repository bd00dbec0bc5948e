"""Labels that live on the Gaussians, and the segmentation of a view by them and by prototypes together.

Prototypes know what an instance looks like to the embedding, votes know where it is. Neither alone tells apart two
instances that look alike, nor an instance whose Gaussians few masks show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float32, Int, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.cosine_softmax import CHUNK_ELEMENTS, DEFAULT_TAU
from proto_saga_ns.kernels import votes as kernels
from proto_saga_ns.prototypes import DEFAULT_MIN_ALPHA, MIN_LENGTH
from proto_saga_ns.rasterize.votes import GaussianVotes, RenderedVotes, TileVotes

DOUBT = 1e-3
"""What is added to rendered votes, so that the prototypes decide where nobody has voted. Without prototypes it is what
stands against the votes: no fewer give a label."""
PROTOTYPE_WEIGHT = 0.4
"""Exponent of the prototypes' probability beside the votes. At 1 they overrule votes that know better, at 0 nobody is
asked where votes know little (docs/results.md)."""


@dataclass(frozen=True, eq=False)
class Votes:
    """A distribution over labels (instances, or parts of them) for each Gaussian, of which the F largest are kept.

    Attributes:
        labels: scene-wide ids from 1, the largest share first; 0 where there are fewer than F. On the CPU.
        shares: of all votes for the Gaussian; 0 where the label is 0.
    """

    labels: Int32[Tensor, "N F"]
    shares: Float32[Tensor, "N F"]
    _made: dict[tuple[object, ...], GaussianVotes] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels.shape != self.shares.shape or self.labels.ndim != 2:
            raise ValueError(f"labels are {tuple(self.labels.shape)}, shares {tuple(self.shares.shape)}")

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    def of(self, ids: Sequence[int], device: torch.device | str = "cpu") -> GaussianVotes:
        """Those for some labels, numbered from 0 in their order, to be rendered. What was made last is remembered."""
        key = (*ids, str(device))
        if key not in self._made:
            self._made.clear()
            self._made[key] = GaussianVotes(self._rows(ids).to(device), self.shares.to(device), len(ids))
        return self._made[key]

    def _rows(self, ids: Sequence[int]) -> Int32[Tensor, "N F"]:
        largest = max(int(self.labels.max()) if self.labels.numel() else 0, *ids, 0)
        row = torch.full((largest + 1,), -1, dtype=torch.int32)
        row[list(ids)] = torch.arange(len(ids), dtype=torch.int32)
        return row[self.labels.long()].masked_fill(self.shares == 0, -1)


@torch.no_grad()
def classify_with_votes(
    features: Float[Tensor, "*shape D"],
    votes: RenderedVotes | Float[Tensor, "*shape T"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "*shape"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
    groups: Int[Tensor, " T"] | None = None,
) -> tuple[Int32[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Give each pixel the label with the largest product of probability (Eq. 19, weighted) and votes.

    Memory beyond the results is bounded, whatever the number of labels. Votes that kernels rendered are classified by
    kernels, others by PyTorch.

    Args:
        features: rendered feature map, any scale. Where it is zero or not finite, votes alone decide.
        votes: rendered shares of the Gaussians' votes; column ``t - 1`` belongs to label ``t``.
        prototypes: row ``t - 1`` belongs to label ``t``; a zero one counts by its votes alone.
        alpha: accumulated opacity in [0, 1].
        tau: temperature of the cosine softmax.
        min_alpha: pixels below it get label 0.
        groups: labels with the same number are of one instance; None if each is of another.

    Raises:
        ValueError: if votes that kernels rendered are not of this view or these prototypes.

    Returns:
        Labels in [0, T], and the share of all products that the winner's group has; both 0 where alpha is too small,
        and where nobody has voted if all prototypes are zero.
    """
    count = len(prototypes)
    if count == 0 or alpha.numel() == 0:
        return torch.zeros_like(alpha, dtype=torch.int32), torch.zeros_like(alpha)
    prototypes = prototypes.to(features)
    if isinstance(votes, TileVotes) and not prototypes.any():
        votes = votes.dense()  # the kernel multiplies by what there is not
    if isinstance(votes, TileVotes):
        return _classified_by_kernels(features, votes, prototypes, alpha, tau, min_alpha, groups)
    groups = torch.arange(count, device=features.device) if groups is None else groups.to(features.device)
    size = max(CHUNK_ELEMENTS // count, 1)
    chunks = zip(
        features.reshape(-1, features.shape[-1]).split(size), votes.reshape(-1, count).split(size), strict=True
    )
    parts = [_classified(*chunk, prototypes, tau, groups) for chunk in chunks]
    labels, confidence = (torch.cat(column).view(alpha.shape) for column in zip(*parts, strict=True))
    unrecognised = alpha < min_alpha
    return labels.masked_fill(unrecognised, 0), confidence.masked_fill(unrecognised, 0.0)


def joint_probabilities(
    features: Float[Tensor, "*shape D"],
    votes: RenderedVotes | Float[Tensor, "*shape T"],
    prototypes: Float[Tensor, "T D"],
    tau: float,
) -> Float[Tensor, "*shape T"]:
    """Probability (Eq. 19, weighted) times votes, of each label, as shares of all; see ``classify_with_votes``.

    If all prototypes are zero (an embedding that was never trained) they are the shares of votes and ``DOUBT``.
    """
    votes = votes.dense() if isinstance(votes, TileVotes) else votes
    if not prototypes.any():
        total = votes.sum(dim=-1, keepdim=True)
        return votes / (total + DOUBT) * (total > DOUBT)
    finite = features.isfinite().all(dim=-1, keepdim=True)
    directions = F.normalize(features.where(finite, features.new_zeros(())), dim=-1)
    likeness = (directions @ (PROTOTYPE_WEIGHT * tau * F.normalize(prototypes, dim=1)).T).softmax(dim=-1)
    known = prototypes.norm(dim=1) > MIN_LENGTH
    products = torch.where(known, likeness, likeness.new_tensor(1 / len(prototypes))) * (votes + DOUBT)
    return products / products.sum(dim=-1, keepdim=True)


def _classified(
    features: Float[Tensor, "P D"],
    votes: Float[Tensor, "P T"],
    prototypes: Float[Tensor, "T D"],
    tau: float,
    groups: Int[Tensor, " T"],
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    shares = joint_probabilities(features, votes, prototypes, tau)
    largest, winners = shares.max(dim=-1)
    of_group = shares.masked_fill(groups != groups[winners, None], 0.0)
    return (winners + 1).masked_fill(largest == 0, 0).to(torch.int32), of_group.sum(dim=-1)


def _classified_by_kernels(
    features: Float[Tensor, "H W D"],
    votes: TileVotes,
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    tau: float,
    min_alpha: float,
    groups: Int[Tensor, " T"] | None,
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    if (*features.shape[:2], len(prototypes)) != votes.shape or alpha.shape != votes.shape[:2]:
        raise ValueError(
            f"votes are {votes.shape}, features {tuple(features.shape)}, alpha {tuple(alpha.shape)}, "
            f"prototypes {tuple(prototypes.shape)}"
        )
    known = prototypes.norm(dim=1, keepdim=True) > MIN_LENGTH
    weights = F.normalize(prototypes, dim=1).where(known, prototypes.new_zeros(()))
    numbers = None if groups is None else groups.unique(return_inverse=True)[1].int()
    if numbers is not None and int(numbers.max()) + 1 == len(prototypes):
        numbers = None  # each is one of its own: their products need not be kept to be summed
    tiles = (votes.starts, votes.labels, votes.values)
    settings = {"tau": PROTOTYPE_WEIGHT * tau, "doubt": DOUBT, "min_alpha": min_alpha}
    return kernels.classify(features, alpha, tiles, weights, numbers, **settings)
