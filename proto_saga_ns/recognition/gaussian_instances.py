"""Which instance each Gaussian belongs to; what export takes apart and the viewer hides.

Gaussians are given to instances by votes: in every view a Gaussian votes for the instance of each pixel, with the
weight with which it is blended into that pixel (``rasterize/contributions.py``). What it weighs where no instance is
(id 0) counts as a vote for none. Sums are exact (``rasterize/exact.py``).

A Gaussian that lies behind something opaque in every view, in a wall or below the floor, is given to what it shines
through, but is no part of it: it would be dust around an object that is shown alone. So the confidence of one that is
hardly seen is 0. It goes when its instance is taken away, and is not there when its instance is alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL, Contributions, in_units

ID_BITS = 32
MIN_SEEN = 0.1
"""Share of what a Gaussian would paint if nothing were before it, under which it is hardly seen. More makes holes, less
leaves dust (docs/results.md, Objects taken out)."""


@dataclass(frozen=True)
class GaussianInstances:
    """An instance for each of N Gaussians, on the CPU unless moved.

    Attributes:
        ids: scene-wide instance ids, 0 = none.
        confidence: in [0, 1]; 0 where the id is 0, and where the training views hardly see the Gaussian.
    """

    ids: Int32[Tensor, " N"]
    confidence: Float[Tensor, " N"]

    def __post_init__(self) -> None:
        if self.ids.shape != self.confidence.shape:
            raise ValueError(f"{len(self.ids)} ids, {len(self.confidence)} confidences")

    @property
    def seen_ids(self) -> Int32[Tensor, " N"]:
        """The ids of Gaussians that are seen; 0 for all others: what an instance consists of when it is alone."""
        return self.ids.masked_fill(self.confidence == 0, 0)

    def to(self, device: torch.device | str) -> GaussianInstances:
        """The same elsewhere, to be shown."""
        return GaussianInstances(self.ids.to(device), self.confidence.to(device))


class InstanceVotes:
    """Adds up the contributions of views whose label maps hold instance ids (0 = none).

    Where these are, on the CPU or a GPU. Memory is 16 bytes for each different pair of a Gaussian and an id, however
    many views come, and twice that while a view is added.
    """

    def __init__(self) -> None:
        self._keys = torch.zeros(0, dtype=torch.int64)  # Gaussian and id in one number, ascending
        self._units = torch.zeros(0, dtype=torch.int64)

    def __len__(self) -> int:
        """How many pairs are in memory."""
        return len(self._keys)

    def add(self, view: Contributions) -> None:
        """Take one view."""
        gaussians, labels, units = in_units(view)
        keys = (gaussians.long() << ID_BITS) + labels
        own, sums = self._keys.to(keys.device), self._units.to(keys.device)
        places = torch.searchsorted(own, keys)
        known = F.pad(own, (0, 1), value=-1)[places] == keys
        sums[places[known]] += units[known]  # a view has each pair once
        places, keys, units = places[~known], keys[~known], units[~known]
        self._keys, self._units = _inserted(own, places, keys), _inserted(sums, places, units)

    def total(self) -> Contributions:
        """The sum over views, in pixels, on the CPU."""
        keys, units = self._keys.cpu(), self._units.cpu()
        return Contributions(keys >> ID_BITS, keys & (1 << ID_BITS) - 1, units.double() / UNITS_PER_PIXEL)


def _inserted(values: Tensor, places: Int64[Tensor, " I"], new: Int64[Tensor, " I"]) -> Int64[Tensor, " E"]:
    """Values (E - I,) with new ones before those at the given places, which ascend."""
    if len(new) == 0:
        return values
    at = places + torch.arange(len(new), device=new.device)
    together = new.new_empty(len(values) + len(new))
    is_old = torch.ones_like(together, dtype=torch.bool).index_fill_(0, at, False)
    together[at] = new
    return together.masked_scatter_(is_old, values)


def elect(votes: Contributions, num_gaussians: int, seen_share: Float[Tensor, " N"] | None = None) -> GaussianInstances:
    """Give each Gaussian to the id with the largest weight; the smallest id among equals.

    Args:
        votes: entries sorted by Gaussian, then by id, each pair once.
        num_gaussians: N. A Gaussian without votes belongs to 0.
        seen_share: of what each Gaussian would paint with nothing before it, what it paints; None takes all for seen.

    Returns:
        The winners, and the winner's share of all weight as confidence; 0 for Gaussians that are hardly seen.
    """
    gaussians = votes.gaussians.long()
    totals = _by_gaussian(gaussians, votes.weights, num_gaussians, "sum")
    best = _by_gaussian(gaussians, votes.weights, num_gaussians, "amax")
    winning = torch.nonzero(votes.weights == best[gaussians])[:, 0].flip(0)  # the smallest id is written last
    ids = torch.zeros(num_gaussians, dtype=torch.int32)
    ids[gaussians[winning]] = votes.labels[winning].int()
    confidence = (best / totals.clamp_min(torch.finfo(totals.dtype).tiny)).float()
    nobody = ids == 0 if seen_share is None else (ids == 0) | (seen_share < MIN_SEEN)
    return GaussianInstances(ids, confidence.masked_fill(nobody, 0.0))


def _by_gaussian(gaussians: Tensor, weights: Tensor, num_gaussians: int, how: str) -> Float[Tensor, " N"]:
    return weights.new_zeros(num_gaussians).scatter_reduce_(0, gaussians, weights, how)
