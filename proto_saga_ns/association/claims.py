"""Which Gaussians the masks of one view claim (Eqs. 9, 10 and 14-16).

Claims are sparse: pairs of a mask (its label, from 1) and a Gaussian, sorted by mask and then by Gaussian, each pair
once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.association.options import AssociationOptions

GRID = 32
NEAR_PLANE = 0.01
PROBABILITY_CHUNK = 1 << 16


@dataclass(frozen=True)
class View:
    """A training view as association needs it.

    Attributes:
        name: image stem.
        viewmat: world to camera, OpenCV axes.
        K: pinhole intrinsics in pixels.
        width: image width in pixels.
        height: image height in pixels.
        label_map: labels 1..L without gaps, 0 = unlabelled.
        classifier: the view classifier; None if there is none.
    """

    name: str
    viewmat: Float[Tensor, "4 4"]
    K: Float[Tensor, "3 3"]
    width: int
    height: int
    label_map: Int[Tensor, "H W"]
    classifier: Float[Tensor, "D L"] | None = None


@dataclass(frozen=True)
class Candidates:
    """Gaussians whose centre falls on a mask of one view (Eq. 9).

    Attributes:
        gaussians: their indices, ascending.
        labels: the mask that each centre falls on, from 1.
        depths: z in the camera frame.
        cells: cell of the 32x32 image grid that each centre falls into.
    """

    gaussians: Int[Tensor, " M"]
    labels: Int[Tensor, " M"]
    depths: Float[Tensor, " M"]
    cells: Int[Tensor, " M"]


def candidates(means: Float[Tensor, "N 3"], view: View) -> Candidates:
    """Project the centres and look up their masks; neither opacity nor occlusion is asked, as in Gaga."""
    points = means @ view.viewmat[:3, :3].T + view.viewmat[:3, 3]
    index = torch.nonzero(points[:, 2] > NEAR_PLANE)[:, 0]
    points = points[index]
    pixels = points[:, :2] / points[:, 2:] * view.K[[0, 1], [0, 1]] + view.K[:2, 2]
    # Clamped before rounding: far outside the image a float has no integer.
    x, y = pixels.clamp(-1e6, 1e6).round().long().unbind(dim=-1)
    inside = (x >= 0) & (x < view.width) & (y >= 0) & (y < view.height)
    index, x, y, depths = index[inside], x[inside], y[inside], points[inside, 2]
    labels = view.label_map.to(index.device)[y, x].long()
    on_mask = labels > 0
    cells = (y * GRID // view.height) * GRID + x * GRID // view.width
    return Candidates(index[on_mask], labels[on_mask], depths[on_mask], cells[on_mask])


def own_probability(
    embeddings: Float[Tensor, "M D"], labels: Int[Tensor, " M"], classifier: Float[Tensor, "D L"], tau: float
) -> Float[Tensor, " M"]:
    """Softmax probability of each Gaussian for its own mask (Eq. 14); labels from 1."""
    weights = tau * F.normalize(classifier, dim=0)
    parts = [
        (F.normalize(part, dim=-1) @ weights).log_softmax(dim=-1).gather(1, own[:, None] - 1)[:, 0]
        for part, own in zip(embeddings.split(PROBABILITY_CHUNK), labels.split(PROBABILITY_CHUNK), strict=True)
    ]
    return torch.cat(parts).exp() if parts else embeddings.new_zeros(0)


def lowest_ranks(
    keys: Float[Tensor, " M"], groups: Int[Tensor, " M"], share: float, at_most: bool
) -> Int[Tensor, " K"]:
    """Positions of the elements with the lowest keys in each group; ties go to the earlier element.

    Args:
        keys: what is ranked.
        groups: ranks are counted within each of these.
        share: of a group of E elements, those with rank (from 0) below ``share * E`` are kept (Eqs. 10 and 15).
        at_most: round the number down instead, but keep one at least, as Gaga does.
    """
    order = keys.argsort(stable=True)
    order = order[groups[order].argsort(stable=True)]
    _, sizes = torch.unique_consecutive(groups[order], return_counts=True)
    starts = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    rank = torch.arange(len(order), device=order.device) - starts
    limit = share * sizes.double()
    # Rounded before the ceiling: 0.2 * 5 is not quite 1 in floating point.
    count = limit.floor().clamp_min(1) if at_most else (limit - 1e-9).ceil().clamp_min(1)
    return order[rank < torch.repeat_interleave(count.long(), sizes)]


def claims(
    means: Float[Tensor, "N 3"], embeddings: Float[Tensor, "N D"], view: View, tau: float, options: AssociationOptions
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Masks (labels from 1) and the Gaussians that they claim: Eqs. 10, 15 or 16.

    Raises:
        ValueError: if the probability is asked for in a view without classifier.
    """
    found = candidates(means, view)
    groups = found.labels
    if options.rank_within == "grid":
        groups = found.labels * GRID * GRID + found.cells
    at_most = options.rank_within == "grid"
    kept = []
    if options.criteria in ("both", "depth"):
        kept.append(lowest_ranks(found.depths, groups, options.delta_d, at_most))
    if options.criteria in ("both", "probability"):
        if view.classifier is None:
            raise ValueError(f"view {view.name} has no classifier for the criterion {options.criteria!r}")
        probability = own_probability(embeddings[found.gaussians], found.labels, view.classifier, tau)
        kept.append(lowest_ranks(-probability, groups, options.delta_s, at_most))
    claimed = torch.zeros(len(groups), dtype=torch.bool, device=groups.device)
    claimed[torch.cat(kept)] = True
    position = torch.nonzero(claimed)[:, 0]
    position = position[found.labels[position].argsort(stable=True)]
    return found.labels[position].cpu().numpy(), found.gaussians[position].cpu().numpy()
