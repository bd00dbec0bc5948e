"""Which instance each Gaussian belongs to; what export takes apart and the viewer hides."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int32
from torch import Tensor


@dataclass(frozen=True)
class GaussianInstances:
    """An instance for each of N Gaussians, on the CPU.

    Attributes:
        ids: scene-wide instance ids, 0 = none.
        confidence: in [0, 1]; 0 where the id is 0.
    """

    ids: Int32[Tensor, " N"]
    confidence: Float[Tensor, " N"]

    def __post_init__(self) -> None:
        if self.ids.shape != self.confidence.shape:
            raise ValueError(f"{len(self.ids)} ids, {len(self.confidence)} confidences")
