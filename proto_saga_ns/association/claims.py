"""Which Gaussians the masks of one view claim (Eqs. 9, 10 and 14-16).

Claims are sparse: pairs of a mask (its label, from 1) and a Gaussian, sorted by mask and then by Gaussian, each pair
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from proto_saga_ns.association.options import AssociationOptions
from proto_saga_ns.rasterize.pinhole import see_centers
from proto_saga_ns.recognition.cosine_softmax import own_log_probability

GRID = 32
LARGE_GROUP = 256  # from this size on, a call for each group costs less than sorting all elements


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
        mask_ids: what each label 1..L is called in the file of masks, above 0; None if nobody knows.
    """

    name: str
    viewmat: Float[Tensor, "4 4"]
    K: Float[Tensor, "3 3"]
    width: int
    height: int
    label_map: Int[Tensor, "H W"]
    classifier: Float[Tensor, "D L"] | None = None
    mask_ids: Int[np.ndarray, " L"] | None = None


class Views(Protocol):
    """Views by index, a list of them or something that makes each when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> View: ...


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
    seen = see_centers(means, view.viewmat, view.K, view.width, view.height)
    labels = torch.where(seen.inside, view.label_map.to(means.device).reshape(-1)[seen.pixels], 0)
    index = torch.nonzero(labels)[:, 0]
    pixel = seen.pixels[index]
    y, x = pixel // view.width, pixel % view.width
    cells = (y * GRID // view.height) * GRID + x * GRID // view.width
    return Candidates(index, labels[index].long(), seen.depths[index], cells)


def lowest_ranks(
    keys: Float[np.ndarray, " M"], groups: Int[np.ndarray, " M"], share: float, at_most: bool
) -> Int[np.ndarray, " K"]:
    """Positions of the elements with the lowest keys in each group; ties go to the earlier element.

    Args:
        keys: what is ranked.
        groups: ranks are counted within each of these; not negative.
        share: of a group of E elements, those with rank (from 0) below ``share * E`` are kept (Eqs. 10 and 15).
        at_most: round the number down instead, but keep one at least, as Gaga does.
    """
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64)
    order = stable_order(groups)
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.diff(starts, append=len(order))
    limit = share * sizes
    # Rounded before the ceiling: 0.2 * 5 is not quite 1 in floating point.
    counts = np.maximum(np.floor(limit) if at_most else np.ceil(limit - 1e-9), 1).astype(np.int64)
    if len(order) < LARGE_GROUP * len(starts):
        return _lowest_by_sorting(keys, groups, starts, counts)
    return _lowest_by_selection(keys, order, starts, counts)


def stable_order(values: Int[np.ndarray, " M"]) -> Int[np.ndarray, " M"]:
    """Stable argsort of non-negative integers, 16 bits a pass: NumPy has a radix sort for those only."""
    order = np.argsort(values.astype(np.uint16), kind="stable")
    for shift in range(16, int(values.max(initial=0)).bit_length(), 16):
        order = order[np.argsort((values[order] >> shift).astype(np.uint16), kind="stable")]
    return order


def _lowest_by_sorting(
    keys: Float[np.ndarray, " M"],
    groups: Int[np.ndarray, " M"],
    starts: Int[np.ndarray, " G"],
    counts: Int[np.ndarray, " G"],
) -> Int[np.ndarray, " K"]:
    """For many small groups: sort everything."""
    order = np.argsort(keys, kind="stable")
    order = order[stable_order(groups[order])]
    sizes = np.diff(starts, append=len(order))
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    return order[rank < np.repeat(counts, sizes)]


def _lowest_by_selection(
    keys: Float[np.ndarray, " M"],
    order: Int[np.ndarray, " M"],
    starts: Int[np.ndarray, " G"],
    counts: Int[np.ndarray, " G"],
) -> Int[np.ndarray, " K"]:
    """For few large groups: find the last key that is kept in each, in linear time."""
    kept = []
    for members, count in zip(np.split(order, starts[1:]), counts.tolist(), strict=True):
        own = keys[members]
        last = np.partition(own, count - 1)[count - 1] if count < len(own) else own.max()
        below = members[own < last]
        kept += [below, members[own == last][: max(count - len(below), 0)]]
    return np.concatenate(kept)


def claims(
    means: Float[Tensor, "N 3"], embeddings: Float[Tensor, "N D"], view: View, tau: float, options: AssociationOptions
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Masks (labels from 1) and the Gaussians that they claim: Eqs. 10, 15 or 16.

    Raises:
        ValueError: if the probability is asked for in a view without classifier.
    """
    found = candidates(means, view)
    labels, at_most = found.labels.cpu().numpy(), options.rank_within == "grid"
    groups = labels * GRID * GRID + found.cells.cpu().numpy() if at_most else labels
    claimed = np.zeros(len(labels), dtype=bool)
    if options.criteria in ("both", "depth"):
        claimed[lowest_ranks(found.depths.cpu().numpy(), groups, options.delta_d, at_most)] = True
    if options.criteria in ("both", "probability"):
        if view.classifier is None:
            raise ValueError(f"view {view.name} has no classifier for the criterion {options.criteria!r}")
        probability = own_log_probability(embeddings[found.gaussians], found.labels, view.classifier, tau)
        claimed[lowest_ranks(-probability.cpu().numpy(), groups, options.delta_s, at_most)] = True
    position = np.flatnonzero(claimed)
    position = position[stable_order(labels[position])]
    return labels[position], found.gaussians.cpu().numpy()[position]
