"""How far two splats are from each other, field by field."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree

from proto_saga_ns.splats.splat import Splat


@dataclass(frozen=True)
class Differences:
    """Largest absolute differences.

    Attributes:
        mean: in the units of the scene.
        log_scale: of the logarithms.
        opacity: of 0 to 1.
        constant: of the harmonics of degree 0; times 0.28 it is that of a colour from 0 to 1.
        harmonics: of the others, as far as both have them.
        angle: degrees from one orientation to the other.
    """

    mean: float
    log_scale: float
    opacity: float
    constant: float
    harmonics: float
    angle: float

    def within(self, **bounds: float) -> bool:
        """Whether those that are named are no larger than told."""
        return all(getattr(self, name) <= bound for name, bound in bounds.items())


def matched(splat: Splat, other: Splat) -> Splat:
    """The Gaussians of ``other`` in the order of those of ``splat`` that they are nearest to, each once."""
    assert len(splat) == len(other)
    nearest = torch.from_numpy(cKDTree(other.means.numpy()).query(splat.means.numpy())[1]).reshape(-1)
    assert len(nearest.unique()) == len(splat)
    return other.select(nearest)


def differences(splat: Splat, other: Splat) -> Differences:
    """Of Gaussians in the same order."""
    one, two = splat.unit_quats().double(), other.unit_quats().double()
    nearer = torch.where((one * two).sum(dim=1, keepdim=True) < 0, -two, two)
    shared = min(splat.harmonics.shape[1], other.harmonics.shape[1])
    pairs = {
        "mean": (splat.means, other.means),
        "log_scale": (splat.log_scales, other.log_scales),
        "opacity": (splat.opacity_logits.sigmoid(), other.opacity_logits.sigmoid()),
        "constant": (splat.harmonics[:, 0], other.harmonics[:, 0]),
        "harmonics": (splat.harmonics[:, 1:shared], other.harmonics[:, 1:shared]),
    }
    angle = 4 * ((one - nearer).norm(dim=1) / 2).clamp(max=1).asin().rad2deg().max()
    largest = {name: float((a - b).abs().max()) if a.numel() else 0.0 for name, (a, b) in pairs.items()}
    return Differences(**largest, angle=float(angle))
