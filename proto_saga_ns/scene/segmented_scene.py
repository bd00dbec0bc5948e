"""Instances, the prototypes that recognise them, and the Gaussians that belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.labels.colors import color_table, instance_colors
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels
from proto_saga_ns.recognition.agreement import DOUBTFUL
from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.levels import Levels
from proto_saga_ns.recognition.prototypes import DEFAULT_MIN_ALPHA, MaskTable, classify, probabilities
from proto_saga_ns.recognition.votes import BESIDE_MASKS, Votes, classify_with_votes, joint_probabilities
from proto_saga_ns.scene.cuts import Cut, cut_members
from proto_saga_ns.scene.display import Display
from proto_saga_ns.scene.embedding_colors import EmbeddingColors

FORMAT_VERSION = 3
"""Of the saved scene; to be raised when its meaning changes."""


@dataclass(frozen=True)
class Instance:
    """One object of a scene.

    Attributes:
        id: scene-wide, from 1.
        name: for people; "instance 7" unless given.
        pixels: of its masks in the training views.
        n_views: training views that contain it.
        n_gaussians: Gaussians that belong to it, hardly seen ones too; 0 if that is not known.
        agreement: share of the training views that show it in which its pixels and its masks agree, in [0, 1]
            (``recognition/agreement.py``); None if that was never counted, or a person has made the instance what it
            is.
    """

    id: int
    name: str = ""
    pixels: int = 0
    n_views: int = 0
    n_gaussians: int = 0
    agreement: float | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"instance {self.id}")

    @property
    def color(self) -> tuple[int, int, int]:
        """8-bit RGB, a function of the id alone."""
        r, g, b = (int(value) for value in instance_colors(np.array([self.id]))[0])
        return r, g, b

    @property
    def is_doubtful(self) -> bool:
        """Whether it agrees with its masks in so few views that it may be no object."""
        return self.agreement is not None and self.agreement < DOUBTFUL


@dataclass(frozen=True)
class SegmentedScene:
    """A scene taken apart. Answers on the device of what it is asked about.

    Everything is kept for members (see ``MaskTable``); ``owners`` says which instance a member belongs to. So instances
    can be merged without any change of what the model recognises: a merged instance is where its members were.

    Attributes:
        masks: all masks with their features and members.
        embedding_colors: map from features to colours.
        gaussians: the member of each Gaussian; None if that was never decided.
        votes: for members, as they were before cuts; None if nothing but prototypes recognises them.
        levels: what members consist of and which go together, as association left it; None if it found no such thing.
        cuts: members that a person has taken apart further; each adds a member.
        owners: the instance of a member; a member that is not in here is an instance of its own, with its own id. The
            id of an instance is that of one of its members.
        names: of instances that were given one, by id.
        agreement: of members with their masks (``recognition/agreement.py``); empty if that was never counted.
        display: what is shown, and how.
        tau: temperature of the confidence.
        min_alpha: pixels with less accumulated opacity stay unlabelled.
        options: how the scene was segmented; plain JSON values.
    """

    masks: MaskTable
    embedding_colors: EmbeddingColors
    gaussians: GaussianInstances | None = None
    votes: Votes | None = None
    levels: Levels | None = None
    cuts: tuple[Cut, ...] = ()
    owners: Mapping[int, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    agreement: Mapping[int, float] = field(default_factory=dict)
    display: Display = field(default_factory=Display)
    tau: float = DEFAULT_TAU
    min_alpha: float = DEFAULT_MIN_ALPHA
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        heads = {member for member in self.member_ids if member not in self.owners}
        if not heads.issuperset(self.owners.values()) or not {*self.owners}.issubset(self.member_ids):
            raise ValueError("the id of an instance is that of one of its members")
        if self.masks.features.shape[1:] != self.embedding_colors.mean.shape:
            raise ValueError("masks and colours are for features of different lengths")

    @property
    def prototypes(self) -> Float[Tensor, "P D"]:
        """Row i belongs to member ``masks.ids[i]``, as it was before it was cut."""
        return self.masks.prototypes

    @cached_property
    def member_ids(self) -> tuple[int, ...]:
        """All members, ascending."""
        return tuple(sorted({*self.masks.ids, *(cut.new_member for cut in self.cuts)}))

    @property
    def largest_id(self) -> int:
        """Of all members, and of the parts that they consist of; 0 if there is none."""
        return max((*self.member_ids, 0 if self.levels is None else self.levels.largest_id), default=0)

    @cached_property
    def cut_masks(self) -> MaskTable:
        """The masks, each in the member where the cuts put it. Its prototypes recognise nothing."""
        if not self.cuts:
            return self.masks
        return self.masks.with_members(cut_members(self.cuts, self.masks.member, self.masks.features))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Instance ids, ascending."""
        return tuple(sorted(self._members))

    @cached_property
    def _members(self) -> dict[int, tuple[int, ...]]:
        members: dict[int, tuple[int, ...]] = {}
        for member in self.member_ids:
            owner = self.owners.get(member, member)
            members[owner] = (*members.get(owner, ()), member)
        return members

    def members(self, instance_id: int) -> tuple[int, ...]:
        """The members of an instance, ascending.

        Raises:
            KeyError: no such instance.
        """
        if instance_id not in self._members:
            raise KeyError(f"no instance {instance_id}")
        return self._members[instance_id]

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """In the order of their ids."""
        counts = self._gaussian_counts()
        return tuple(
            Instance(
                *(number, self.names.get(number, ""), *self.size(self.members(number)), counts.get(number, 0)),
                self._agreement_of(number),
            )
            for number in self.ids
        )

    def _agreement_of(self, instance_id: int) -> float | None:
        """None of what was merged or cut: a person knows better than the masks."""
        is_corrected = self.members(instance_id) != (instance_id,) or any(
            cut.member == instance_id for cut in self.cuts
        )
        return None if is_corrected else self.agreement.get(instance_id)

    def size(self, members: Iterable[int]) -> tuple[int, int]:
        """Pixels over all views, and number of views, of the masks of some members."""
        return self.cut_masks.size(member for member in members if member in self.cut_masks.ids)

    def _gaussian_counts(self) -> dict[int, int]:
        if self.gaussians is None:
            return {}
        ids, counts = self.owners_of(self.gaussians.ids).unique(return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist(), strict=True))

    def instance(self, instance_id: int) -> Instance:
        """The instance of this id.

        Raises:
            KeyError: no such instance.
        """
        self.members(instance_id)
        return self.instances[self.ids.index(instance_id)]

    @cached_property
    def mask_instances(self) -> dict[str, list[int]]:
        """For each training view by name, the instance of each label of its label map; entry 0 is 0."""
        return {name: self.owners_of(members).tolist() for name, members in self.cut_masks.member_of_mask().items()}

    def is_of(self, num_gaussians: int) -> bool:
        """Whether what it says about Gaussians, if anything, is about so many. Else training went on since."""
        known = (None if self.gaussians is None else self.gaussians.ids, self.votes)
        return all(found is None or len(found) == num_gaussians for found in known)

    def votes_of(self, num_gaussians: int, device: torch.device | str = "cpu") -> SparseChannels | None:
        """The votes to render, for ``masks.ids`` in their order.

        None if there are none, or if the Gaussians are others now (training went on): then prototypes decide alone.
        """
        if self.votes is None or len(self.votes) != num_gaussians:
            return None
        return self.votes.of(self.masks.ids, device)

    @property
    def _prototype_weight(self) -> float:
        """Rendered votes of a scene without votes are those of masks."""
        return BESIDE_MASKS if self.votes is None else self.votes.prototype_weight

    def segment(
        self, features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W"], votes: BlendedChannels | None = None
    ) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
        """Instance ids of a rendered view and their probability, summed over the members that were merged.

        By prototypes (Eq. 19), or with rendered votes by both. Labels and probability are 0 where none was found.
        """
        members, confidence = self.recognise(features, alpha, votes)
        return self.owners_of(members), confidence

    def recognise(
        self,
        features: Float[Tensor, "*shape D"],
        alpha: Float[Tensor, "*shape"],
        votes: BlendedChannels | Float[Tensor, "*shape P"] | None = None,
    ) -> tuple[Int32[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The same for members instead of instances."""
        owners = torch.tensor([self.owners.get(member, member) for member in self.masks.ids], dtype=torch.int64)
        settings = (self.prototypes, alpha, self.tau, self.min_alpha, owners)
        if votes is None:
            rows, confidence = classify(features, *settings)
        else:
            rows, confidence = classify_with_votes(features, votes, *settings, self._prototype_weight)
        members = cut_members(self.cuts, self._lookup((0, *self.masks.ids), rows), features)
        if self._cut_across_instances:  # then the members of an instance are not the same in every pixel
            own = self.owners_of(members)[..., None] == torch.tensor(self.ids, device=members.device)
            confidence = (self.probabilities(features, alpha, votes) * own).sum(dim=-1)
        return members, confidence

    @cached_property
    def _cut_across_instances(self) -> bool:
        """Whether a cut leaves its member to two instances of which one has more members."""
        sides = [
            (self.owners.get(cut.member, cut.member), self.owners.get(cut.new_member, cut.new_member))
            for cut in self.cuts
        ]
        return any(a != b and len(self.members(a)) + len(self.members(b)) > 2 for a, b in sides)

    @torch.no_grad()
    def probabilities(
        self,
        features: Float[Tensor, "*shape D"],
        alpha: Float[Tensor, "*shape"],
        votes: BlendedChannels | Float[Tensor, "*shape P"] | None = None,
    ) -> Float[Tensor, "*shape {len(self.ids)}"]:
        """Probability of each instance, in the order of ``ids``; what ``segment`` gives is that of the winner.

        All are 0 where too little light is stopped.
        """
        prototypes = self.prototypes.to(features)
        if votes is None:
            found = probabilities(features, prototypes, self.tau)
        else:
            found = joint_probabilities(features, votes, prototypes, self._prototype_weight * self.tau)
        members = dict(zip(self.masks.ids, found.unbind(dim=-1), strict=True))
        for cut in self.cuts:
            beyond = cut.is_beyond(features)
            members[cut.new_member] = members[cut.member] * beyond
            members[cut.member] = members[cut.member] * ~beyond
        nothing = torch.zeros_like(alpha)
        together = [sum((members[member] for member in self.members(number)), nothing) for number in self.ids]
        seen = (alpha >= self.min_alpha)[..., None]
        return torch.stack(together, dim=-1) * seen if together else features.new_zeros(*alpha.shape, 0)

    def owners_of(self, members: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
        """The instances of a map of members."""
        largest = max(self.member_ids, default=0)
        return self._lookup(tuple(self.owners.get(member, member) for member in range(largest + 1)), members)

    @staticmethod
    def _lookup(table: tuple[int, ...], rows: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
        if table == tuple(range(len(table))):
            return rows
        return torch.tensor(table, dtype=torch.int32, device=rows.device)[rows.long()]

    def instances_of(self, embeddings: Float[Tensor, "N D"]) -> GaussianInstances:
        """The instance of each Gaussian.

        As it was decided, or if the Gaussians are others now (training went on) or nobody ever decided, the nearest
        prototype of each one's own embedding.
        """
        found = self.members_of(embeddings)
        return replace(found, ids=self.owners_of(found.ids))

    def members_of(self, embeddings: Float[Tensor, "N D"]) -> GaussianInstances:
        """The same for members instead of instances."""
        if self.gaussians is not None and len(self.gaussians.ids) == len(embeddings):
            return self.gaussians
        alpha = torch.ones(1, len(embeddings), device=embeddings.device)
        members, confidence = self.recognise(embeddings.detach()[None], alpha)
        return GaussianInstances(members[0].cpu(), confidence[0].cpu())

    def colorize(self, labels: Int[Tensor, "H W"]) -> Float[Tensor, "H W 3"]:
        """Colours in [0, 1] of a map of instance ids, black where it is 0, on the map's device."""
        largest = np.array([int(labels.max()) if labels.numel() else 0])
        table = torch.from_numpy(color_table(largest)).to(labels.device).float() / 255
        return table[labels.long()]

    def with_display(self, **changes: Any) -> SegmentedScene:
        """The same scene with some fields of its display changed."""
        return replace(self, display=replace(self.display, **changes))

    def to_json(self) -> dict[str, Any]:
        """Content of ``instances.json``: the instances with names, colours and sizes, and the settings."""
        instances = [{**asdict(instance), "color": list(instance.color)} for instance in self.instances]
        return {
            "version": FORMAT_VERSION,
            "instances": instances,
            "tau": self.tau,
            "min_alpha": self.min_alpha,
            "options": dict(self.options),
        }
