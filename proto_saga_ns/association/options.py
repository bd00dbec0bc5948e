"""The choices that the paper leaves open or that Gaga makes differently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class AssociationOptions:
    """How masks of different views are found to show the same instance (Sec. 3.2)."""

    mask_ids: Literal["ignore", "seed", "trust"] = "ignore"
    """what the ids in the mask files mean across views. ignore: nothing. trust: the same id is the same instance, and
    no memory bank is asked. seed: the same id is the same instance, and the memory bank joins ids that show one
    instance, such as what a tracker lost and found again. Ids of a tracker or of Gaussian Grouping's object_mask/ hold
    across views; those of Segment Anything do not"""
    criteria: Literal["both", "depth", "probability"] = "both"
    """which Gaussians a mask claims: the nearest (Eq. 10), the most probable by its view classifier (Eq. 15), or the
    union of the two (Eq. 16)"""
    rank_within: Literal["mask", "grid"] = "mask"
    """whether Gaussians are ranked within the whole mask (paper) or within each cell of a 32x32 image grid (Gaga)"""
    growth: Literal["union", "disjoint"] = "union"
    """whether an instance takes all Gaussians of a mask (Eq. 13) or only those that nobody owns yet (Gaga)"""
    score: Literal["mask", "sum"] = "mask"
    """overlap n(both) / n(mask) (Eq. 12) or n(both) / (n(mask) + n(both)) (Gaga)"""
    view_order: Literal["name", "seed", "best-first"] = "name"
    """natural order of file names; a random order; or names, after the view that fills the memory bank best"""
    order_seed: int = 0
    """seed of the random order"""
    delta_d: float = 0.2
    """share of the Gaussians that the depth criterion keeps"""
    delta_s: float = 0.2
    """share of the Gaussians that the probability criterion keeps"""
    delta: float = 0.1
    """a mask joins the instance with the highest overlap if that is above this, else it founds a new one"""
    min_views: int | None = None
    """drop instances that fewer views than this contain; None takes 5, or a twelfth of the views if less; 0 keeps
    all, as the paper does"""

    def required_views(self, num_views: int) -> int:
        """How many of ``num_views`` views an instance must be seen in to stay; at least one."""
        chosen = min(5, num_views // 12) if self.min_views is None else self.min_views
        return max(chosen, 1)


PAPER = AssociationOptions(min_views=0)
"""The paper's association: Eqs. 9-16 and nothing else."""
GAGA = AssociationOptions(criteria="depth", rank_within="grid", growth="disjoint", score="sum", min_views=0)
"""Gaga's association, by its published code."""
