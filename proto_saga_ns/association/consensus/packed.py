"""Blend weights of a view in about half of their memory, to the bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt

from proto_saga_ns.rasterize.contributions import Contributions


@dataclass(frozen=True)
class PackedContributions:
    """Contributions with the smallest types that hold them: 6 or 7 bytes an entry instead of 12, as a rule.

    Attributes:
        first: Gaussian of the first entry.
        gaps: from the Gaussian of each entry to that of the next.
        labels: of each entry.
        weights: of each entry, as they were.
    """

    first: int
    gaps: UInt[np.ndarray, " E-1"]
    labels: UInt[np.ndarray, " E"]
    weights: Float[np.ndarray, " E"]

    @classmethod
    def of(cls, found: Contributions) -> PackedContributions:
        """Relies on the order of the entries: by Gaussian."""
        gaussians, labels, weights = (column.cpu().numpy() for column in (found.gaussians, found.labels, found.weights))
        first = int(gaussians[0]) if len(gaussians) else 0
        return cls(first, _smallest(np.diff(gaussians)), _smallest(labels), weights)

    def unpack(self) -> Contributions:
        """What was packed, on the CPU, indices as int32."""
        gaussians = np.full(len(self.weights), self.first, dtype=np.int32)
        gaussians[1:] += np.cumsum(self.gaps, dtype=np.int32)
        columns = (gaussians, self.labels.astype(np.int32), self.weights)
        return Contributions(*(torch.from_numpy(column) for column in columns))

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self.gaps.nbytes + self.labels.nbytes + self.weights.nbytes


def _smallest(values: np.ndarray) -> UInt[np.ndarray, " E"]:
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))
