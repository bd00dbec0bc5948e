"""The Gaussians of a scene as 3D Gaussian Splatting keeps them, before any activation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

CONSTANT_BASIS = 0.28209479177387814
"""Value of the spherical harmonic of degree 0."""
MAX_DEGREE = 4
LOGIT_MARGIN = 1e-6
"""Colours that are nearer to 0 or 1 have no logit in single precision."""
OPACITY_MARGIN = 1e-7
"""The same of opacities, which files of 8 bits give as 0 and 1."""


@dataclass(frozen=True)
class Splat:
    """N Gaussians. Their colour is the sum of their harmonics plus 0.5, never below 0.

    Attributes:
        means: centres.
        quats: orientations w, x, y, z.
        log_scales: logarithms of the standard deviations along their own axes.
        opacity_logits: opacity is the sigmoid of these.
        harmonics: K = (degree + 1)^2 coefficients of each colour channel.
    """

    means: Float[Tensor, "N 3"]
    quats: Float[Tensor, "N 4"]
    log_scales: Float[Tensor, "N 3"]
    opacity_logits: Float[Tensor, " N"]
    harmonics: Float[Tensor, "N K 3"]

    def __post_init__(self) -> None:
        n, k = self.harmonics.shape[:2]
        expected = {"means": (n, 3), "quats": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,)}
        wrong = {name: tuple(getattr(self, name).shape) for name in expected}
        if wrong != expected or self.harmonics.shape != (n, k, 3):
            raise ValueError(f"shapes {wrong} do not fit harmonics of {tuple(self.harmonics.shape)}")
        if k not in {(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)}:
            raise ValueError(f"{k} harmonics make no whole degree up to {MAX_DEGREE}")

    @classmethod
    @torch.no_grad()
    def from_parameters(cls, parameters: Mapping[str, Tensor]) -> Splat:
        """From splatfacto's parameters, on the CPU.

        A model without spherical harmonics keeps logits of plain colours; they become harmonics of degree 0.
        """
        given = {name: value.detach().cpu().float() for name, value in parameters.items()}
        constant, rest = given["features_dc"][:, None, :], given["features_rest"]
        if rest.shape[1] == 0:
            constant = constant_harmonics(constant.sigmoid())
        return cls(
            means=given["means"],
            quats=given["quats"],
            log_scales=given["scales"],
            opacity_logits=given["opacities"].squeeze(-1),
            harmonics=torch.cat([constant, rest], dim=1),
        )

    @torch.no_grad()
    def to_parameters(self) -> dict[str, Tensor]:
        """Splatfacto's parameters; ``from_parameters`` undoes it.

        Of degree 0 it keeps logits of colours: those that are 0, 1 or beyond (``has_plain_colors``) come out changed.
        """
        constant = self.harmonics[:, 0]
        return {
            "means": self.means,
            "scales": self.log_scales,
            "quats": self.quats,
            "features_dc": constant if self.degree > 0 else plain_colors(constant).logit(eps=LOGIT_MARGIN),
            "features_rest": self.harmonics[:, 1:],
            "opacities": self.opacity_logits[:, None],
        }

    def has_plain_colors(self) -> bool:
        """Whether the harmonics of degree 0 show as colours between 0 and 1."""
        rgb = plain_colors(self.harmonics[:, 0])
        return bool(((rgb > LOGIT_MARGIN) & (rgb < 1 - LOGIT_MARGIN)).all())

    def padded(self, degree: int) -> Splat:
        """The same splat with harmonics of at least this degree, zero where there were none."""
        missing = max((degree + 1) ** 2 - self.harmonics.shape[1], 0)
        return replace(self, harmonics=F.pad(self.harmonics, (0, 0, 0, missing)))

    def __len__(self) -> int:
        return len(self.means)

    @property
    def degree(self) -> int:
        """Of the spherical harmonics."""
        return math.isqrt(self.harmonics.shape[1]) - 1

    def select(self, chosen: Bool[Tensor, " N"] | Int64[Tensor, " _n"] | slice) -> Splat:
        """The Gaussians where a mask is true, in their order; those of some indices; of a slice without a copy."""
        return Splat(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def is_finite(self) -> Bool[Tensor, " N"]:
        """Which Gaussians have no NaN and no infinity; viewers stumble over the others."""
        if len(self) == 0:
            return torch.zeros(0, dtype=torch.bool)
        parts = [getattr(self, f.name).reshape(len(self), -1).isfinite().all(dim=1) for f in fields(self)]
        return torch.stack(parts).all(dim=0)

    def unit_quats(self) -> Float[Tensor, "N 4"]:
        """Orientations of unit length; the identity where there is none."""
        unit = F.normalize(self.quats, dim=1)
        identity = unit.new_tensor([1.0, 0.0, 0.0, 0.0])
        return torch.where((unit == 0).all(dim=1, keepdim=True), identity, unit)


@dataclass(frozen=True)
class SplatFile:
    """What a file of a splat holds.

    Attributes:
        splat: its Gaussians, in the coordinates that a PLY of the same scene has.
        antialiased: whether it says that it was trained to be shown with antialiasing; None: it says nothing.
        may_be_turned: its format is written in two ways, of which one is turned by half a turn about x.
    """

    splat: Splat
    antialiased: bool | None = None
    may_be_turned: bool = False


def logits(opacities: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Logits of opacities in [0, 1], finite for 0 and 1 as well."""
    return opacities.logit(eps=OPACITY_MARGIN)


def plain_colors(constant: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """What coefficients of degree 0 show as; ``constant_harmonics`` undoes it."""
    return constant * CONSTANT_BASIS + 0.5


def constant_harmonics(rgb: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Coefficients of degree 0 that show as colours in [0, 1]."""
    return (rgb - 0.5) / CONSTANT_BASIS
