"""Labels that live on the Gaussians, and the segmentation of a view by them and by prototypes together.

Prototypes know what an instance looks like to the embedding, votes know where it is. Neither alone tells apart two
instances that look alike, nor an instance whose Gaussians few masks show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels import votes as kernels
from proto_saga_ns.rasterize.contributions import Contributions
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels, TiledChannels
from proto_saga_ns.recognition.cosine_softmax import CHUNK_ELEMENTS, DEFAULT_TAU
from proto_saga_ns.recognition.prototypes import DEFAULT_MIN_ALPHA, MIN_LENGTH

DOUBT = 1e-3
"""What is added to rendered votes, so that the prototypes decide where nobody has voted. Without prototypes it is what
stands against the votes: no fewer give a label."""
BESIDE_MASKS = 0.4
"""Exponent of the prototypes' probability beside votes of masks. At 1 they overrule votes that know better, at 0 nobody
is asked where votes know little (docs/results.md)."""
BESIDE_VIEWS = 0.2
"""The same beside votes of segmented views, which the prototypes have had a say in already. Less recognises as well,
but is less sure than it is right."""


@dataclass(frozen=True, eq=False)
class Votes:
    """A distribution over labels (instances, or parts of them) for each Gaussian, of which the F largest are kept.

    Attributes:
        labels: scene-wide ids from 1, the largest share first; 0 where there are fewer than F. On the CPU.
        shares: of all votes for the Gaussian; 0 where the label is 0.
        prototype_weight: exponent of the prototypes' probability beside these votes.
    """

    labels: Int32[Tensor, "N F"]
    shares: Float32[Tensor, "N F"]
    prototype_weight: float = BESIDE_MASKS
    _made: dict[tuple[object, ...], SparseChannels] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.labels.shape != self.shares.shape or self.labels.ndim != 2:
            raise ValueError(f"labels are {tuple(self.labels.shape)}, shares {tuple(self.shares.shape)}")

    @classmethod
    def largest(
        cls, counts: Contributions, num_gaussians: int, top: int, prototype_weight: float = BESIDE_MASKS
    ) -> Votes:
        """The ``top`` labels of each Gaussian with the largest counts; the smallest among equals.

        Args:
            counts: sorted by Gaussian, then by label, each pair once, above 0. Label 0 counts for nobody.
            num_gaussians: N.
            top: F.
            prototype_weight: see ``Votes``.
        """
        voted = counts.labels != 0
        columns = (counts.gaussians.long(), counts.labels.int(), counts.weights.double())
        rows, ids, weights = (column.cpu()[voted.cpu()].numpy() for column in columns)
        sums = np.bincount(rows, weights, num_gaussians)
        labels = np.zeros((num_gaussians, top), dtype=np.int32)
        shares = np.zeros((num_gaussians, top), dtype=np.float32)
        for rank in range(top):
            firsts = np.flatnonzero(np.diff(rows, prepend=-1))
            best = np.maximum.reduceat(weights, firsts) if len(firsts) else weights
            chosen = np.flatnonzero(weights == np.repeat(best, np.diff(firsts, append=len(rows))))
            chosen = chosen[np.diff(rows[chosen], prepend=-1) > 0]
            labels[rows[chosen], rank] = ids[chosen]
            shares[rows[chosen], rank] = weights[chosen] / sums[rows[chosen]]
            rows, ids, weights = (np.delete(column, chosen) for column in (rows, ids, weights))
        return cls(torch.from_numpy(labels), torch.from_numpy(shares), prototype_weight)

    def __len__(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def top(self) -> int:
        """F."""
        return self.labels.shape[1]

    def of(self, ids: Sequence[int], device: torch.device | str = "cpu") -> SparseChannels:
        """Those for some labels as channels, in their order from 0. What was made last is remembered."""
        key = (*ids, str(device))
        if key not in self._made:
            self._made.clear()
            self._made[key] = SparseChannels(self._rows(ids).to(device), self.shares.to(device), len(ids))
        return self._made[key]

    def _rows(self, ids: Sequence[int]) -> Int32[Tensor, "N F"]:
        largest = max(int(self.labels.max()) if self.labels.numel() else 0, *ids, 0)
        row = torch.full((largest + 1,), -1, dtype=torch.int32)
        row[list(ids)] = torch.arange(len(ids), dtype=torch.int32)
        return row[self.labels.long()].masked_fill(self.shares == 0, -1)


@torch.no_grad()
def classify_with_votes(
    features: Float[Tensor, "*shape D"],
    votes: BlendedChannels | Float[Tensor, "*shape T"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "*shape"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
    groups: Int[Tensor, " T"] | None = None,
    prototype_weight: float = BESIDE_MASKS,
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
        prototype_weight: of the votes; exponent of the prototypes' probability.

    Raises:
        ValueError: if votes that kernels rendered are not of this view or these prototypes.

    Returns:
        Labels in [0, T], and the share of all products that the winner's group has; both 0 where alpha is too small,
        and where nobody has voted if all prototypes are zero.
    """
    count = len(prototypes)
    if count == 0 or alpha.numel() == 0:
        return torch.zeros_like(alpha, dtype=torch.int32), torch.zeros_like(alpha)
    prototypes, sharpness = prototypes.to(features), prototype_weight * tau
    if isinstance(votes, TiledChannels):
        return _classified_by_kernels(features, votes, prototypes, alpha, sharpness, min_alpha, groups)
    groups = torch.arange(count, device=features.device) if groups is None else groups.to(features.device)
    size = max(CHUNK_ELEMENTS // count, 1)
    chunks = zip(
        features.reshape(-1, features.shape[-1]).split(size), votes.reshape(-1, count).split(size), strict=True
    )
    parts = [_classified(*chunk, prototypes, sharpness, groups) for chunk in chunks]
    labels, confidence = (torch.cat(column).view(alpha.shape) for column in zip(*parts, strict=True))
    unrecognised = alpha < min_alpha
    return labels.masked_fill(unrecognised, 0), confidence.masked_fill(unrecognised, 0.0)


def joint_probabilities(
    features: Float[Tensor, "*shape D"],
    votes: BlendedChannels | Float[Tensor, "*shape T"],
    prototypes: Float[Tensor, "T D"],
    sharpness: float,
) -> Float[Tensor, "*shape T"]:
    """Probability (Eq. 19, weighted) times votes, of each label, as shares of all; see ``classify_with_votes``.

    ``sharpness`` is the temperature times the weight of the prototypes, as a probability to the power of that weight
    has it. If all prototypes are zero (an embedding that was never trained) they are the shares of votes and ``DOUBT``.
    """
    votes = votes.dense() if isinstance(votes, TiledChannels) else votes
    if not prototypes.any():
        total = votes.sum(dim=-1, keepdim=True)
        return votes / (total + DOUBT) * (total > DOUBT)
    finite = features.isfinite().all(dim=-1, keepdim=True)
    directions = F.normalize(features.where(finite, features.new_zeros(())), dim=-1)
    likeness = (directions @ (sharpness * F.normalize(prototypes, dim=1)).T).softmax(dim=-1)
    known = prototypes.norm(dim=1) > MIN_LENGTH
    products = torch.where(known, likeness, likeness.new_tensor(1 / len(prototypes))) * (votes + DOUBT)
    return products / products.sum(dim=-1, keepdim=True)


def _classified(
    features: Float[Tensor, "P D"],
    votes: Float[Tensor, "P T"],
    prototypes: Float[Tensor, "T D"],
    sharpness: float,
    groups: Int[Tensor, " T"],
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    shares = joint_probabilities(features, votes, prototypes, sharpness)
    largest, winners = shares.max(dim=-1)
    of_group = shares.masked_fill(groups != groups[winners, None], 0.0)
    return (winners + 1).masked_fill(largest == 0, 0).to(torch.int32), of_group.sum(dim=-1)


def _classified_by_kernels(
    features: Float[Tensor, "H W D"],
    votes: TiledChannels,
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "H W"],
    sharpness: float,
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
    numbers = None if groups is None else groups.unique(return_inverse=True)[1].int().to(features.device)
    if numbers is not None and int(numbers.max()) + 1 == len(prototypes):
        numbers = None  # each is one of its own: their products need not be kept to be summed
    tiles = (votes.starts, votes.labels, votes.values)
    settings = {"tau": sharpness, "doubt": DOUBT, "min_alpha": min_alpha}
    return kernels.classify(features, alpha, tiles, weights, numbers, **settings)
