"""Features as colours that flicker neither over a video nor between two sessions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

QUANTILE_SAMPLES = 100_000
ROBUST_RANGE = (0.02, 0.98)
"""Quantiles of the embeddings' coordinates that are shown as 0 and 1."""


@dataclass(frozen=True)
class EmbeddingColors:
    """A fixed map from features to colours: the three main directions of the unit-length embeddings.

    Fitted once and saved, so that colours flicker neither over a video nor between two sessions.

    Attributes:
        mean: of the unit-length embeddings.
        basis: principal directions as columns, the strongest first; zero where D < 3.
        low: coordinates that are shown as 0.
        high: coordinates that are shown as 1.
    """

    mean: Float[Tensor, " D"]
    basis: Float[Tensor, "D 3"]
    low: Float[Tensor, " 3"]
    high: Float[Tensor, " 3"]

    @classmethod
    @torch.no_grad()
    def fit(cls, embeddings: Float[Tensor, "N D"]) -> EmbeddingColors:
        """Principal directions of the finite embeddings, on their device; there may be none."""
        unit = F.normalize(embeddings[embeddings.isfinite().all(dim=1)].float(), dim=1)
        mean = unit.double().mean(dim=0) if len(unit) else unit.new_zeros(unit.shape[1]).double()
        centred = unit - mean.float()
        basis = _principal_directions((centred.T @ centred).double()).float()
        low, high = _robust_range(centred @ basis)
        return cls(mean.float(), basis, low, high)

    @torch.no_grad()
    def colorize(self, features: Float[Tensor, "H W D"]) -> Float[Tensor, "H W 3"]:
        """Colours in [0, 1] of a feature map of any scale, on its device."""
        mean, basis, low, high = (value.to(features) for value in (self.mean, self.basis, self.low, self.high))
        coordinates = F.linear(F.normalize(features, dim=-1) - mean, basis.T)
        return ((coordinates - low) / (high - low)).nan_to_num(0.0).clamp(0.0, 1.0)


def _principal_directions(scatter: Float[Tensor, "D D"]) -> Float[Tensor, "D 3"]:
    """Eigenvectors of the three largest eigenvalues; the largest component of each is positive."""
    vectors = torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, :3]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * torch.where(largest < 0, -1.0, 1.0)
    return F.pad(vectors, (0, 3 - vectors.shape[1]))


def _robust_range(coordinates: Float[Tensor, "N 3"]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Low and high quantiles, never closer than what makes a division safe."""
    if len(coordinates) == 0:
        return coordinates.new_full((3,), -1.0), coordinates.new_full((3,), 1.0)
    sample = coordinates[:: len(coordinates) // QUANTILE_SAMPLES + 1]
    low, high = torch.quantile(sample, sample.new_tensor(ROBUST_RANGE), dim=0)
    middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-3)
    return middle - half, middle + half
