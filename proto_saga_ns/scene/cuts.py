"""Members that a person has taken apart further than the masks did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor
from torch.nn import functional as F

ROUNDS = 10


@dataclass(frozen=True)
class Cut:
    """A member in two, by the direction of features; recognising the member itself is left as it is.

    Attributes:
        member: what is cut; it keeps what is nearer to the first direction.
        new_member: what is nearer to the second.
        directions: of unit length.
    """

    member: int
    new_member: int
    directions: Float[Tensor, "2 D"]

    def is_beyond(self, features: Float[Tensor, "*shape D"]) -> Bool[Tensor, "*shape"]:
        """Where features (of any length) are nearer to the second direction."""
        first, second = self.directions.to(features)
        return features @ (second - first) > 0


def cut_members(
    cuts: Iterable[Cut], members: Int[Tensor, "*shape"], features: Float[Tensor, "*shape D"]
) -> Int[Tensor, "*shape"]:
    """Members as they are after all cuts, in their order."""
    for cut in cuts:
        members = members.masked_fill((members == cut.member) & cut.is_beyond(features), cut.new_member)
    return members


def cut_between(
    member: int,
    new_member: int,
    points: Float[Tensor, "2 D"],
    features: Float[Tensor, "M D"],
    pixels: Int64[Tensor, " M"],
) -> Cut:
    """The cut that keeps two points apart and follows the masks of the member.

    The directions are two-means of the masks' directions, weighted by pixels, where each point weighs as much as all
    masks on its side: so they cannot wander off to other things than were clicked. Should the masks still put both
    points on one side, the directions are the points themselves.

    Args:
        member: to be cut.
        new_member: id of the second point's side.
        points: unit features.
        features: of the masks of the member; there may be none.
        pixels: of these masks.
    """
    found = Cut(member, new_member, _two_means(points, F.normalize(features, dim=1), pixels.clamp_min(1).float()))
    return found if found.is_beyond(points).tolist() == [False, True] else Cut(member, new_member, points)


def _two_means(
    points: Float[Tensor, "2 D"], unit: Float[Tensor, "M D"], weights: Float[Tensor, " M"]
) -> Float[Tensor, "2 D"]:
    directions, second = points, unit @ (points[1] - points[0]) > 0
    for _ in range(ROUNDS):
        sides = [(unit * weights[:, None])[chosen].sum(dim=0) for chosen in (~second, second)]
        directions = F.normalize(points + F.normalize(torch.stack(sides), dim=1), dim=1)
        before, second = second, unit @ (directions[1] - directions[0]) > 0
        if torch.equal(before, second):
            break
    return directions
