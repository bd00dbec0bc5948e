"""The numbers of consensus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConsensusOptions:
    """How masks that agree in most views are found to show the same instance."""

    theta: float = 0.4
    """two atoms belong together if they lie in one mask in more than this share of the views that show both; lower
    joins more"""
    num_atoms: int | None = None
    """groups of Gaussians that are never taken apart; None takes as many as the smallest masks need, at most 6000.
    Time and memory grow with the square"""
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
    seed: int = 0
    """seed of the atoms"""

    def __post_init__(self) -> None:
        if not 0 < self.theta < 1:
            raise ValueError(f"theta is {self.theta}, expected a share between 0 and 1")
        if self.top_votes < 1 or (self.num_atoms is not None and self.num_atoms < 1):
            raise ValueError(f"num_atoms {self.num_atoms} and top_votes {self.top_votes} must be above 0")

    def required_support(self, num_views: int) -> int:
        """How many of ``num_views`` views must support an instance at the least; at least one."""
        chosen = min(3, num_views // 4) if self.min_support is None else self.min_support
        return max(chosen, 1)
