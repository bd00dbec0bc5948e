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
from proto_saga_ns.rasterize.sparse_channels import GaussianVotes, RenderedVotes
from proto_saga_ns.recognition.agreement import DOUBTFUL
from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.levels import Levels
from proto_saga_ns.recognition.prototypes import DEFAULT_MIN_ALPHA, MaskTable, classify, probabilities
from proto_saga_ns.recognition.votes import BESIDE_MASKS, Votes, classify_with_votes, joint_probabilities
from proto_saga_ns.scene.cuts import Cut, cut_parts
from proto_saga_ns.scene.display import Display
from proto_saga_ns.scene.embedding_colors import EmbeddingColors

FORMAT_VERSION = 2
"""Of the saved scene; to be raised when its meaning changes."""


@dataclass(frozen=True)
class SegmentedScene:
    """A scene taken apart. Answers on the device of what it is asked about.

    Everything is kept for parts (see ``mask_table``); ``owners`` says which instance a part belongs to. So instances
    can be merged without any change of what the model recognises: a merged instance is where its parts were.

    Attributes:
        masks: all masks with their features and parts.
        embedding_colors: map from features to colours.
        gaussians: the part of each Gaussian; None if that was never decided.
        votes: for parts, as they were before cuts; None if nothing but prototypes recognises them.
        levels: what parts consist of and which go together, as association left it; None if it found no such thing.
        cuts: parts that a person has taken apart further; each adds a part.
        owners: the instance of a part; a part that is not in here is an instance of its own, with its own id. The id
            of an instance is that of one of its parts.
        names: of instances that were given one, by id.
        agreement: of parts with their masks (``mask_agreement``); empty if that was never counted.
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
        heads = {part for part in self.part_ids if part not in self.owners}
        if not heads.issuperset(self.owners.values()) or not {*self.owners}.issubset(self.part_ids):
            raise ValueError("the id of an instance is that of one of its parts")
        if self.masks.features.shape[1:] != self.embedding_colors.mean.shape:
            raise ValueError("masks and colours are for features of different lengths")

    @property
    def prototypes(self) -> Float[Tensor, "P D"]:
        """Row i belongs to part ``masks.ids[i]``, as it was before it was cut."""
        return self.masks.prototypes

    @cached_property
    def part_ids(self) -> tuple[int, ...]:
        """All parts, ascending."""
        return tuple(sorted({*self.masks.ids, *(cut.new_part for cut in self.cuts)}))

    @property
    def largest_id(self) -> int:
        """Of all parts, and of the pieces that they consist of; 0 if there is none."""
        return max((*self.part_ids, 0 if self.levels is None else self.levels.largest_id), default=0)

    @cached_property
    def cut_masks(self) -> MaskTable:
        """The masks, each in the part where the cuts put it. Its prototypes recognise nothing."""
        if not self.cuts:
            return self.masks
        return self.masks.with_parts(cut_parts(self.cuts, self.masks.part, self.masks.features))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Instance ids, ascending."""
        return tuple(sorted(self._parts))

    @cached_property
    def _parts(self) -> dict[int, tuple[int, ...]]:
        parts: dict[int, tuple[int, ...]] = {}
        for part in self.part_ids:
            owner = self.owners.get(part, part)
            parts[owner] = (*parts.get(owner, ()), part)
        return parts

    def parts(self, instance_id: int) -> tuple[int, ...]:
        """The parts of an instance, ascending.

        Raises:
            KeyError: no such instance.
        """
        if instance_id not in self._parts:
            raise KeyError(f"no instance {instance_id}")
        return self._parts[instance_id]

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """In the order of their ids."""
        counts = self._gaussian_counts()
        return tuple(
            Instance(
                *(number, self.names.get(number, ""), *self.size(self.parts(number)), counts.get(number, 0)),
                self._agreement_of(number),
            )
            for number in self.ids
        )

    def _agreement_of(self, instance_id: int) -> float | None:
        """None of what was merged or cut: a person knows better than the masks."""
        is_corrected = self.parts(instance_id) != (instance_id,) or any(cut.part == instance_id for cut in self.cuts)
        return None if is_corrected else self.agreement.get(instance_id)

    def size(self, parts: Iterable[int]) -> tuple[int, int]:
        """Pixels over all views, and number of views, of the masks of some parts."""
        return self.cut_masks.size(part for part in parts if part in self.cut_masks.ids)

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
        self.parts(instance_id)
        return self.instances[self.ids.index(instance_id)]

    @cached_property
    def mask_instances(self) -> dict[str, list[int]]:
        """For each training view by name, the instance of each label of its label map; entry 0 is 0."""
        return {name: self.owners_of(parts).tolist() for name, parts in self.cut_masks.part_of_mask().items()}

    def is_of(self, num_gaussians: int) -> bool:
        """Whether what it says about Gaussians, if anything, is about so many. Else training went on since."""
        known = (None if self.gaussians is None else self.gaussians.ids, self.votes)
        return all(found is None or len(found) == num_gaussians for found in known)

    def votes_of(self, num_gaussians: int, device: torch.device | str = "cpu") -> GaussianVotes | None:
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
        self, features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W"], votes: RenderedVotes | None = None
    ) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
        """Instance ids of a rendered view and their probability, summed over the parts that were merged.

        By prototypes (Eq. 19), or with rendered votes by both. Labels and probability are 0 where none was found.
        """
        parts, confidence = self.recognise(features, alpha, votes)
        return self.owners_of(parts), confidence

    def recognise(
        self,
        features: Float[Tensor, "*shape D"],
        alpha: Float[Tensor, "*shape"],
        votes: RenderedVotes | Float[Tensor, "*shape P"] | None = None,
    ) -> tuple[Int32[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The same for parts instead of instances."""
        owners = torch.tensor([self.owners.get(part, part) for part in self.masks.ids])
        settings = (self.prototypes, alpha, self.tau, self.min_alpha, owners)
        if votes is None:
            rows, confidence = classify(features, *settings)
        else:
            rows, confidence = classify_with_votes(features, votes, *settings, self._prototype_weight)
        parts = cut_parts(self.cuts, self._lookup((0, *self.masks.ids), rows), features)
        if self._cut_across_instances:  # then the parts of an instance are not the same in every pixel
            own = self.owners_of(parts)[..., None] == torch.tensor(self.ids, device=parts.device)
            confidence = (self.probabilities(features, alpha, votes) * own).sum(dim=-1)
        return parts, confidence

    @cached_property
    def _cut_across_instances(self) -> bool:
        """Whether a cut leaves its part to two instances of which one has more parts."""
        sides = [
            (self.owners.get(cut.part, cut.part), self.owners.get(cut.new_part, cut.new_part)) for cut in self.cuts
        ]
        return any(a != b and len(self.parts(a)) + len(self.parts(b)) > 2 for a, b in sides)

    @torch.no_grad()
    def probabilities(
        self,
        features: Float[Tensor, "*shape D"],
        alpha: Float[Tensor, "*shape"],
        votes: RenderedVotes | Float[Tensor, "*shape P"] | None = None,
    ) -> Float[Tensor, "*shape T"]:
        """Probability of each instance, in the order of ``ids``; what ``segment`` gives is that of the winner.

        All are 0 where too little light is stopped.
        """
        prototypes = self.prototypes.to(features)
        if votes is None:
            found = probabilities(features, prototypes, self.tau)
        else:
            found = joint_probabilities(features, votes, prototypes, self._prototype_weight * self.tau)
        parts = dict(zip(self.masks.ids, found.unbind(dim=-1), strict=True))
        for cut in self.cuts:
            beyond = cut.is_beyond(features)
            parts[cut.new_part] = parts[cut.part] * beyond
            parts[cut.part] = parts[cut.part] * ~beyond
        nothing = torch.zeros_like(alpha)
        together = [sum((parts[part] for part in self.parts(number)), nothing) for number in self.ids]
        seen = (alpha >= self.min_alpha)[..., None]
        return torch.stack(together, dim=-1) * seen if together else features.new_zeros(*alpha.shape, 0)

    def owners_of(self, parts: Int32[Tensor, "*shape"]) -> Int32[Tensor, "*shape"]:
        """The instances of a map of parts."""
        largest = max(self.part_ids, default=0)
        return self._lookup(tuple(self.owners.get(part, part) for part in range(largest + 1)), parts)

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
        found = self.parts_of(embeddings)
        return replace(found, ids=self.owners_of(found.ids))

    def parts_of(self, embeddings: Float[Tensor, "N D"]) -> GaussianInstances:
        """The same for parts instead of instances."""
        if self.gaussians is not None and len(self.gaussians.ids) == len(embeddings):
            return self.gaussians
        alpha = torch.ones(1, len(embeddings), device=embeddings.device)
        parts, confidence = self.recognise(embeddings.detach()[None], alpha)
        return GaussianInstances(parts[0].cpu(), confidence[0].cpu())

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
            (``mask_agreement``); None if that was never counted, or a person has made the instance what it is.
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
