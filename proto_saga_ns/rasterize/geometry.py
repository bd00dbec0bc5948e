"""Where Gaussians are and how much they cover: all that decides their weights in a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Geometry:
    """N Gaussians without what is blended.

    Attributes:
        means: centres, world frame.
        quats: orientations w, x, y, z; of any length.
        scales: standard deviations along the axes, world units.
        opacities: in [0, 1].
        antialiased: whether they were trained with the rasterize mode of this name, which takes opacity from those
            that the blur of a pixel makes larger.
    """

    means: Float[Tensor, "N 3"]
    quats: Float[Tensor, "N 4"]
    scales: Float[Tensor, "N 3"]
    opacities: Float[Tensor, " N"]
    antialiased: bool = field(default=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.means)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means, quats, scales, opacities."""
        return self.means, self.quats, self.scales, self.opacities

    @property
    def shape(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means, quats, scales: what is projected."""
        return self.tensors[:3]

    @property
    def arguments(self) -> dict[str, Any]:
        """By the names that ``rasterization`` has for them."""
        names = ("means", "quats", "scales", "opacities")
        mode = "antialiased" if self.antialiased else "classic"
        return {**dict(zip(names, self.tensors, strict=True)), "rasterize_mode": mode}

    def of(self, chosen: Bool[Tensor, " N"]) -> Geometry:
        """Some of them."""
        return Geometry(*(tensor[chosen] for tensor in self.tensors), antialiased=self.antialiased)

    def detach(self) -> Geometry:
        """The same; no gradient reaches them."""
        return Geometry(*(tensor.detach() for tensor in self.tensors), antialiased=self.antialiased)

    def drawn_opacities(self, compensations: Float[Tensor, "C N"]) -> Float[Tensor, "C N"]:
        """Opacities as they are drawn in each of C views, by what the projection says of the blur there."""
        everywhere = self.opacities.expand(len(compensations), -1)
        return everywhere * compensations if self.antialiased else everywhere
