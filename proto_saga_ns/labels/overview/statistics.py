"""Figures about label maps: masks a view, coverage, sizes. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

AREA_BINS: tuple[float, ...] = (0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1)
"""Edges of the histogram of mask sizes, as shares of the image; two bins a factor of ten."""

SMALL = 1e-3
"""A mask under this share of the image is counted as small."""


@dataclass(frozen=True)
class ViewStatistics:
    """Figures of one view."""

    name: str
    """file name of its image"""
    areas: Float[np.ndarray, " L"] | None
    """size of each mask as a share of the image; None without a label map"""

    @property
    def masks(self) -> int:
        """How many masks; 0 without a label map."""
        return 0 if self.areas is None else len(self.areas)

    @property
    def coverage(self) -> float:
        """Share of the image that is labelled, in [0, 1]."""
        return 0.0 if self.areas is None else float(self.areas.sum())

    @property
    def small(self) -> int:
        """How many masks are smaller than ``SMALL``."""
        return 0 if self.areas is None else int((self.areas < SMALL).sum())


@dataclass(frozen=True)
class ReportStatistics:
    """Figures of all views, in file-name order."""

    views: Sequence[ViewStatistics]

    @property
    def masks(self) -> Int[np.ndarray, " V"]:
        """Masks in each view."""
        return np.array([view.masks for view in self.views], int)

    @property
    def coverage(self) -> Float[np.ndarray, " V"]:
        """Labelled share of each view."""
        return np.array([view.coverage for view in self.views], float)

    @property
    def without_map(self) -> list[str]:
        """Views without a label map."""
        return [view.name for view in self.views if view.areas is None]

    @property
    def empty(self) -> list[str]:
        """Views whose label map has no mask in it."""
        return [view.name for view in self.views if view.areas is not None and view.masks == 0]

    @property
    def histogram(self) -> Int[np.ndarray, " bins"]:
        """Masks of all views by size, in the bins of ``AREA_BINS``."""
        areas = [view.areas for view in self.views if view.areas is not None]
        return np.histogram(np.concatenate([*areas, np.zeros(0)]), AREA_BINS)[0]

    def summary(self) -> dict[str, str]:
        """The figures that matter, for people."""
        seen = self.masks[self.masks > 0]
        total = int(self.masks.sum())
        small = sum(view.small for view in self.views)
        return {
            "views": str(len(self.views)),
            "views without masks": str(len(self.without_map) + len(self.empty)),
            "masks": str(total),
            "masks a view": f"{np.median(seen):.0f} ({seen.min()} to {seen.max()})" if len(seen) else "none",
            "coverage": f"{self.coverage.mean():.1%}" if len(self.views) else "none",
            f"masks under {SMALL:.1%} of the image": f"{small} ({small / max(total, 1):.0%})",
        }


def view_statistics(name: str, labels: Int[np.ndarray, "H W"] | None) -> ViewStatistics:
    """Figures of a label map; None for a view without one."""
    if labels is None:
        return ViewStatistics(name, None)
    counts = np.bincount(labels.reshape(-1))
    counts[:1] = 0
    return ViewStatistics(name, counts[counts > 0] / labels.size)
