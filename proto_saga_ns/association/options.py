"""The choices that the paper leaves open or that Gaga makes differently."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal


@dataclass(frozen=True)
class ConsensusOptions:
    """How masks that agree in most views are found to show the same instance."""

    theta: float | None = None
    """two atoms belong together if they lie in one mask in more than this share of the views that show both; lower
    joins more. None tries 0.3 to 0.6 and takes what explains the masks best"""
    num_atoms: int | None = None
    """groups of Gaussians that are never taken apart; None takes as many as the smallest masks need. Time and
    memory grow with the square up to 6000, and no faster than their number beyond"""
    min_support: int | None = None
    """views that must show an instance in a mask of its own; None takes 3, or a quarter of the views if less"""
    support_share: float = 1 / 3
    """share of the views in which an instance is visible that must do so"""
    visible_share: float = 1 / 2000
    """share of a view from which on an instance counts as visible in it"""
    pure: float = 0.5
    """share of a mask that must lie in its instance for the mask to support it and to vote"""
    top_votes: int = 4
    """instances that are kept for each Gaussian"""
    atom_seed: int = 0
    """seed of the atoms"""

    def __post_init__(self) -> None:
        if self.theta is not None and not 0 < self.theta < 1:
            raise ValueError(f"theta is {self.theta}, expected a share between 0 and 1")
        if self.top_votes < 1 or (self.num_atoms is not None and self.num_atoms < 1):
            raise ValueError(f"num_atoms {self.num_atoms} and top_votes {self.top_votes} must be above 0")

    def required_support(self, num_views: int) -> int:
        """How many of ``num_views`` views must support an instance at the least; at least one."""
        chosen = min(3, num_views // 4) if self.min_support is None else self.min_support
        return max(chosen, 1)


@dataclass(frozen=True)
class AssociationOptions:
    """How masks of different views are found to show the same instance (Sec. 3.2)."""

    strategy: Literal["consensus", "memory-bank"] | None = None
    """consensus: all views at once, by which Gaussians lie in one mask together in most of them; its options are theta
    and those after it. memory-bank: view after view, as in the paper; all other options are its own. None takes
    consensus, or the memory bank if any option of that is given"""
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
    consensus: ConsensusOptions = field(default_factory=ConsensusOptions)

    def __post_init__(self) -> None:
        of_bank, of_consensus = self._changed()
        other = {"consensus": of_bank, "memory-bank": of_consensus}.get(self.strategy or "", [])
        if other:
            raise ValueError(f"{_flags(other)}: nothing to --strategy {self.strategy}. Leave out one or the other")
        if of_bank and of_consensus:
            both = f"{_flags(of_bank)}: of the memory bank, {_flags(of_consensus)}: of consensus"
            raise ValueError(f"{both}. Leave out one or the other")

    def with_strategy(self) -> AssociationOptions:
        """The same, with the strategy that None stands for."""
        meant = "memory-bank" if self._changed()[0] else "consensus"
        return replace(self, strategy=self.strategy or meant)

    def _changed(self) -> tuple[list[str], list[str]]:
        """Options of the memory bank and of consensus that are not the defaults."""
        bank = [item for item in fields(self) if item.name not in ("strategy", "consensus")]
        default = ConsensusOptions()
        return (
            [item.name for item in bank if getattr(self, item.name) != item.default],
            [name for name, value in vars(self.consensus).items() if value != getattr(default, name)],
        )

    def required_views(self, num_views: int) -> int:
        """How many of ``num_views`` views an instance must be seen in to stay; at least one."""
        chosen = min(5, num_views // 12) if self.min_views is None else self.min_views
        return max(chosen, 1)


def _flags(names: list[str]) -> str:
    return " ".join(f"--{name.replace('_', '-')}" for name in names)


BANK = AssociationOptions("memory-bank")
"""The paper's memory bank without what it leaves behind in a few views only."""
PAPER = AssociationOptions("memory-bank", min_views=0)
"""The paper's association: Eqs. 9-16 and nothing else."""
GAGA = replace(PAPER, criteria="depth", rank_within="grid", growth="disjoint", score="sum")
"""Gaga's association, by its published code."""
PAPER_AS_RUN = replace(GAGA, criteria="both")
"""What the paper's own runs very likely did: its criteria (Eq. 16) by Gaga's rules (docs/method.md)."""
