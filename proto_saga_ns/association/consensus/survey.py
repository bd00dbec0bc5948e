"""What views show of Gaussians, masks and the scene, in one look at each view.

How much of the scene there is to see is asked of small cells of it, not of single Gaussians: what one of many Gaussians
that lie behind each other contributes is a matter of which happens to be in front.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.association.consensus.agreement import ANY_SHARE, MIN_SHOWN_SHARE
from proto_saga_ns.association.consensus.blended_views import BlendedViews, sums
from proto_saga_ns.progress import Progress, unseen

SHARE_IN_VIEW = 0.15
"""Of a room, in a view of it, at the least: views of the demo scene show a fifth of it, of a house of four rooms a
tenth."""
CELLS = 4096
"""Of a scene: a room of a house has hundreds."""
BITS = 10
"""Of a place along each axis."""


@dataclass(frozen=True)
class Survey:
    """Sums over views of what Gaussians and labels are shown with, in units.

    Attributes:
        total: what each Gaussian contributes to all views together.
        once: what it contributes to a view that shows its cell, in the mean. The sum is the weight of a picture that
            shows the whole scene once.
        of_labels: what each label of each view gets.
    """

    total: Int[np.ndarray, " N"]
    once: Float[np.ndarray, " N"]
    of_labels: list[Int[np.ndarray, " _labels"]]

    @cached_property
    def of_view(self) -> float:
        """What a view shows, in the mean."""
        return sum(int(view.sum()) for view in self.of_labels) / max(len(self.of_labels), 1)

    @cached_property
    def of_scene(self) -> float:
        """What a view would show that shows as little of the scene as a view of a room may."""
        return SHARE_IN_VIEW * math.fsum(self.once)

    @property
    def least_shown(self) -> Fraction:
        """From which share on of what the best view shows an atom is observed.

        Where views show less of a scene than of a room there are walls between them, with gaps. In a room, what a view
        shows little of is far away, and seen all the same.
        """
        return MIN_SHOWN_SHARE if self.of_scene > self.of_view else ANY_SHARE


def survey(views: BlendedViews, means: Float[np.ndarray, "N 3"], progress: Progress = unseen) -> Survey:
    """Look at every view once.

    A view shows a cell if it shows a twentieth of what the view does that shows most of it, as with atoms
    (``masks_of_atoms``): what is seen through a gap would make a scene seem small.

    Args:
        views: blend weights.
        means: centres of the Gaussians.
        progress: of the views.
    """
    cells = cells_of(means)
    count = int(cells.max(initial=-1)) + 1
    total = np.zeros(len(means), dtype=np.int64)
    of_cells = np.zeros((len(views), count), dtype=np.int64)
    of_labels: list[Int[np.ndarray, " _labels"]] = [np.zeros(0, dtype=np.int64)] * len(views)
    for index in progress(range(len(views)), "Blending views"):
        view = views[index]
        np.add.at(total, view.gaussians, view.units)
        of_cells[index] = sums(cells[view.gaussians], view.units, count)
        of_labels[index] = sums(view.labels, view.units, view.num_labels)
    share = shown_once(of_cells) / np.maximum(of_cells.sum(axis=0), 1)
    return Survey(total, total * share[cells], of_labels)


def shown_once(weights: Int[np.ndarray, "views C"]) -> Float[np.ndarray, " C"]:
    """The mean weight of each cell over the views that show it."""
    largest = weights.max(axis=0, initial=0) * MIN_SHOWN_SHARE.numerator
    is_shown = (weights > 0) & (weights * MIN_SHOWN_SHARE.denominator >= largest)
    return np.where(is_shown, weights, 0).sum(axis=0) / np.maximum(is_shown.sum(axis=0), 1)


def cells_of(means: Float[np.ndarray, "N 3"], count: int = CELLS) -> Int[np.ndarray, " N"]:
    """Gaussians in cells of equally many, near ones in one cell: cut along a curve through space (Morton's).

    Places are ranks along each axis, so that no distant background takes the room of all else.
    """
    size = max(len(means), 1)
    codes = np.zeros(len(means), dtype=np.int64)
    for axis, column in enumerate(means.T):
        places = _ranks_of(column) * (1 << BITS) // size
        for bit in range(BITS):
            codes |= (places >> bit & 1) << (3 * bit + axis)
    return _ranks_of(codes) * min(count, size) // size


def _ranks_of(values: Float[np.ndarray, " N"] | Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks
