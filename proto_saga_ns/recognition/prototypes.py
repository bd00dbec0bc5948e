"""Prototypes: what they are made of, and the segmentation of a view by the nearest one (Sec. 3.3).

They are made of all masks of all training views, each with its mean feature and its member. Row ``t - 1`` of a (T, D)
matrix of prototypes belongs to label ``t``; label 0 is no instance.

A member is what association found to be one thing; it has one prototype. Instances consist of members: of one, until a
person merges some. Prototypes are a function of this table, so that moving masks to another member gives exactly the
prototypes that pooling all views again would give, without rendering anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU, nearest

DEFAULT_MIN_ALPHA = 0.5

MIN_LENGTH = 1e-12
"""Shorter features and prototypes have no direction."""
NO_VIEW = -1
"""View of a row that is no mask: a clicked point, or a prototype that was found in another way than by masks."""


@torch.no_grad()
def classify(
    features: Float[Tensor, "*shape D"],
    prototypes: Float[Tensor, "T D"],
    alpha: Float[Tensor, "*shape"],
    tau: float = DEFAULT_TAU,
    min_alpha: float = DEFAULT_MIN_ALPHA,
    groups: Int[Tensor, " T"] | None = None,
) -> tuple[Int32[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Give each pixel the instance whose prototype has the highest cosine with its feature (Eq. 19).

    Memory beyond the results is bounded, whatever the number of instances.

    Args:
        features: rendered feature map, any scale.
        prototypes: any scale; a zero one has no direction and never wins. Moved to the features' device.
        alpha: accumulated opacity in [0, 1].
        tau: temperature of the cosine softmax.
        min_alpha: pixels below it get label 0.
        groups: prototypes with the same number are of one instance; None if each is of another.

    Returns:
        Labels in [0, T], and the softmax probability of the winner's group. Both are 0 where alpha is too small or
        the feature is zero or not finite.
    """
    flat = features.reshape(-1, features.shape[-1])
    prototypes = prototypes.to(flat)
    ids = torch.nonzero(prototypes.norm(dim=1) > MIN_LENGTH)[:, 0]
    if len(ids) == 0:
        return torch.zeros_like(alpha, dtype=torch.int32), torch.zeros_like(alpha)
    groups = None if groups is None else groups.to(ids)[ids]
    rows, confidence = nearest(flat, F.normalize(prototypes[ids], dim=1), tau, groups)
    labels = (ids + 1).to(torch.int32)[rows.long()]
    unrecognised = (alpha.reshape(-1).to(flat.device) < min_alpha) | (rows < 0)
    labels, confidence = (value.masked_fill(unrecognised, 0) for value in (labels, confidence))
    return labels.view(alpha.shape), confidence.view(alpha.shape)


def probabilities(
    features: Float[Tensor, "*shape D"], prototypes: Float[Tensor, "T D"], tau: float = DEFAULT_TAU
) -> Float[Tensor, "*shape T"]:
    """Probability of each label (Eq. 19); 0 for a zero prototype, and 0 for all where a feature has no direction."""
    prototypes = prototypes.to(features)
    unit = F.normalize(features.nan_to_num(), dim=-1)
    logits = unit @ (tau * F.normalize(prototypes, dim=1)).T
    known = prototypes.norm(dim=1) > MIN_LENGTH
    found = logits.masked_fill(~known, -torch.inf).softmax(dim=-1).nan_to_num()
    return found * (unit.norm(dim=-1, keepdim=True) > 0.5)


@dataclass(frozen=True)
class MaskTable:
    """M masks, and perhaps rows that are none (``NO_VIEW``), on the CPU.

    Attributes:
        view: index into ``view_names``, or ``NO_VIEW``.
        label: in the label map of that view, from 1; 0 for a row without view.
        pixels: of the mask.
        features: mean rendered feature over these pixels (Eq. 17, for one mask).
        member: scene-wide id, 0 = none.
        view_names: image stems of the training views.
    """

    view: Int32[Tensor, " M"]
    label: Int32[Tensor, " M"]
    pixels: Int64[Tensor, " M"]
    features: Float[Tensor, "M D"]
    member: Int32[Tensor, " M"]
    view_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.view, self.label, self.pixels, self.features, self.member)}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        if len(self.member) and int(self.member.min()) < 0:
            raise ValueError("member ids are never negative")
        if len(self.view) and not NO_VIEW <= int(self.view.min()) <= int(self.view.max()) < len(self.view_names):
            raise ValueError(f"views run from {self.view.min()} to {self.view.max()}, there are {len(self.view_names)}")

    @classmethod
    def of_views(cls, views: Iterable[MaskedView], dim: int) -> MaskTable:
        """The masks of all views that have pixels; ``dim`` is D, for the case that there are none."""
        tables, names = [], []
        for number, view in enumerate(views):
            names.append(view.name)
            labels = torch.nonzero(view.pixels)[:, 0]
            member = torch.as_tensor(view.member_of_mask)[labels + 1].to(torch.int32)
            label = (labels + 1).to(torch.int32)
            columns = (
                torch.full_like(member, number),
                label,
                view.pixels[labels],
                view.features[labels].float(),
                member,
            )
            tables.append(columns)
        empty = cls.without_views(torch.zeros(0, dim), ())
        return cls(*(torch.cat(c) for c in zip(empty._columns(), *tables, strict=True)), view_names=tuple(names))

    @classmethod
    def without_views(cls, features: Float[Tensor, "P D"], members: Iterable[int]) -> MaskTable:
        """Rows that are no masks: a feature for each of ``members``."""
        member = torch.tensor(list(members), dtype=torch.int32)
        zero = torch.zeros_like(member)
        return cls(zero + NO_VIEW, zero, zero.long(), features.detach().float().cpu(), member)

    def _columns(self) -> tuple[Tensor, ...]:
        return self.view, self.label, self.pixels, self.features, self.member

    def __add__(self, other: MaskTable) -> MaskTable:
        """The rows of both; ``other`` has no views of its own."""
        if other.view_names:
            raise ValueError("only rows without view can be added")
        columns = zip(self._columns(), other._columns(), strict=True)
        return MaskTable(*(torch.cat(column) for column in columns), view_names=self.view_names)

    def with_members(self, member: Int[Tensor, " M"]) -> MaskTable:
        """The same masks in other members."""
        return replace(self, member=member.to(torch.int32))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Members that have a row, ascending."""
        return tuple(sorted({*self.member.tolist()} - {0}))

    @cached_property
    def view_prototypes(self) -> tuple[Int64[Tensor, " S"], Float[Tensor, "S D"]]:
        """v_k(t) of every view that contains a member: row of ``ids``, and mean over pixels (Eq. 17)."""
        keep = self.member > 0
        rows = torch.searchsorted(torch.tensor(self.ids, dtype=torch.int32), self.member[keep].contiguous())
        # A row without view stands for a view of its own.
        alone = NO_VIEW - torch.arange(len(rows))
        view = torch.where(self.view[keep] == NO_VIEW, alone, self.view[keep].long())
        pairs, group = torch.stack([rows, view], dim=1).unique(dim=0, return_inverse=True)
        weights = self.pixels[keep].clamp_min(1).double()
        totals = torch.zeros(len(pairs), dtype=torch.float64).index_add_(0, group, weights)
        sums = torch.zeros(len(pairs), self.features.shape[1], dtype=torch.float64)
        sums.index_add_(0, group, self.features[keep].double() * weights[:, None])
        return pairs[:, 0], (sums / totals[:, None]).float()

    @cached_property
    def prototypes(self) -> Float[Tensor, "P D"]:
        """Mean over the views that contain the member (Eq. 18), in the order of ``ids``."""
        rows, means = self.view_prototypes
        sums = torch.zeros(len(self.ids), means.shape[1], dtype=torch.float64).index_add_(0, rows, means.double())
        return (sums / torch.bincount(rows, minlength=len(self.ids)).clamp_min(1)[:, None]).float()

    def size(self, members: Iterable[int]) -> tuple[int, int]:
        """Pixels over all views, and number of views, of some members together.

        Raises:
            KeyError: no such member.
        """
        pixels, views = zip((0, frozenset()), *(self._sizes[member] for member in {*members}), strict=True)
        return sum(pixels), len(frozenset().union(*views))

    @cached_property
    def _sizes(self) -> dict[int, tuple[int, frozenset[int]]]:
        """Pixels and views of each member."""
        pixels, views = dict.fromkeys(self.ids, 0), {member: set() for member in self.ids}
        for member, count, view in zip(self.member.tolist(), self.pixels.tolist(), self.view.tolist(), strict=True):
            if member:
                pixels[member] += count
                views[member].add(view)
        return {member: (pixels[member], frozenset(views[member] - {NO_VIEW})) for member in self.ids}

    def member_of_mask(self) -> dict[str, Int32[Tensor, " _labels"]]:
        """For each view by name, the member of each label; entry 0 is 0."""
        tables = {}
        for number, name in enumerate(self.view_names):
            mine = self.view == number
            largest = int(self.label[mine].max()) if bool(mine.any()) else 0
            tables[name] = torch.zeros(largest + 1, dtype=torch.int32)
            tables[name][self.label[mine].long()] = self.member[mine]
        return tables


@dataclass(frozen=True)
class MaskedView:
    """The masks 1..L of one view.

    Attributes:
        name: image stem.
        features: mean feature of each mask.
        pixels: of each mask.
        member_of_mask: member of each label, entry 0 for label 0.
    """

    name: str
    features: Float[Tensor, "L D"]
    pixels: Int64[Tensor, " L"]
    member_of_mask: Int[Tensor, " L+1"]
