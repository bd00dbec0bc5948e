"""Parts and groups of instances: coarser and finer levels of one segmentation, nested in each other.

Two things are shown as one if they lie in one mask in more than a share of the views that show both. At the level of
objects that share is theta, the one by which the instances were found; a lower share joins instances to groups, a
higher one takes instances apart into parts. A granularity in [0, 1] stands for the share: 0.5 is theta, 0 is no view
at all, 1 is every view, and between these it is linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int32
from torch import Tensor

from proto_saga_ns.recognition.granularity import OBJECTS


@dataclass(frozen=True, eq=False)
class Joins:
    """What becomes one with what, the largest share first, and no share above one before it where they build on it.

    Attributes:
        ids: each is in here once.
        into: what it joins.
        share: of the views that show both, those in which both lie in one mask.
    """

    ids: Int32[Tensor, " J"]
    into: Int32[Tensor, " J"]
    share: Float64[Tensor, " J"]

    @classmethod
    def of(cls, rows: list[tuple[int, int, float]]) -> Joins:
        """From ids, what they join, and shares."""
        ids, into, share = zip(*rows, strict=True) if rows else ((), (), ())
        first, second = (torch.tensor(column, dtype=torch.int32) for column in (ids, into))
        return cls(first, second, torch.tensor(share, dtype=torch.float64))

    def above(self, share: float) -> Iterator[tuple[int, int]]:
        """What joins what if more than a share of the views is asked for."""
        kept = self.share > share
        return zip(self.ids[kept].tolist(), self.into[kept].tolist(), strict=True)


@dataclass(frozen=True, eq=False)
class Levels:
    """The hierarchy that association leaves beside its instances.

    Attributes:
        parts: an instance with parts has two or more; the largest has the instance's id, the others have ids that no
            instance has. All that belong to one instance join in the end.
        groups: joins of instances.
        part_of_gaussian: the part of each Gaussian; 0 for Gaussians of instances without parts. On the CPU.
        theta: share of views of the objects, above 0 and below 1.
    """

    parts: Joins
    groups: Joins
    part_of_gaussian: Int32[Tensor, " N"]
    theta: float

    def __post_init__(self) -> None:
        if not 0 < self.theta < 1:
            raise ValueError(f"theta is {self.theta}, expected a share between 0 and 1")

    @property
    def largest_id(self) -> int:
        """Of instances and parts that join; 0 if none does."""
        return max((int(ids.max()) for ids in (self.parts.ids, self.groups.ids) if len(ids)), default=0)

    def share(self, granularity: float) -> float:
        """Of the views that show two things, those that must show them in one mask for them to be one."""
        if granularity <= OBJECTS:
            return self.theta * granularity / OBJECTS
        return self.theta + (1 - self.theta) * (granularity - OBJECTS) / (1 - OBJECTS)

    def joined_parts(self, granularity: float) -> dict[int, int]:
        """What each part is shown as: all as their instance up to the objects' level, fewer and fewer above it."""
        shown = {number: number for number in (*self.parts.ids.tolist(), *self.parts.into.tolist())}
        least = self.share(granularity) if granularity > OBJECTS else -1.0
        for gone, kept in self.parts.above(least):
            shown |= {part: shown[kept] for part, seen in shown.items() if seen == gone}
        return shown

    def joined_groups(self, granularity: float) -> list[tuple[int, int]]:
        """Instances that are one: none at the level of the objects and above, more and more below it."""
        return list(self.groups.above(self.share(granularity))) if granularity < OBJECTS else []
