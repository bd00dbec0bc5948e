"""A segmented scene: what association and prototypes leave, and all that viewer and commands need of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.colors import color_table, instance_colors
from proto_saga_ns.cosine_softmax import DEFAULT_TAU
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.prototypes import DEFAULT_MIN_ALPHA, classify

FORMAT_VERSION = 1
"""Of the JSON text; to be raised when its meaning changes."""

QUANTILE_SAMPLES = 100_000
ROBUST_RANGE = (0.02, 0.98)
"""Quantiles of the embeddings' coordinates that are shown as 0 and 1."""


@dataclass(frozen=True)
class EmbeddingColors:
    """A fixed map from features to colours: the three main directions of the unit-length embeddings.

    Fitted once and saved, so that colours flicker neither over a video nor between two sessions.

    Attributes:
        mean: of the unit-length embeddings.
        basis: principal directions as columns, the strongest first; zero where D < 3.
        low: coordinates that are shown as 0.
        high: coordinates that are shown as 1.
    """

    mean: Float[Tensor, " D"]
    basis: Float[Tensor, "D 3"]
    low: Float[Tensor, " 3"]
    high: Float[Tensor, " 3"]

    @classmethod
    @torch.no_grad()
    def fit(cls, embeddings: Float[Tensor, "N D"]) -> EmbeddingColors:
        """Principal directions of the finite embeddings, on their device; there may be none."""
        unit = F.normalize(embeddings[embeddings.isfinite().all(dim=1)].float(), dim=1)
        mean = unit.double().mean(dim=0) if len(unit) else unit.new_zeros(unit.shape[1]).double()
        centred = unit - mean.float()
        basis = _principal_directions((centred.T @ centred).double()).float()
        low, high = _robust_range(centred @ basis)
        return cls(mean.float(), basis, low, high)

    @torch.no_grad()
    def colorize(self, features: Float[Tensor, "H W D"]) -> Float[Tensor, "H W 3"]:
        """Colours in [0, 1] of a feature map of any scale, on its device."""
        mean, basis, low, high = (value.to(features) for value in (self.mean, self.basis, self.low, self.high))
        coordinates = F.linear(F.normalize(features, dim=-1) - mean, basis.T)
        return ((coordinates - low) / (high - low)).nan_to_num(0.0).clamp(0.0, 1.0)


def _principal_directions(scatter: Float[Tensor, "D D"]) -> Float[Tensor, "D 3"]:
    """Eigenvectors of the three largest eigenvalues; the largest component of each is positive."""
    vectors = torch.linalg.eigh(scatter).eigenvectors.flip(1)[:, :3]
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
    vectors = vectors * torch.where(largest < 0, -1.0, 1.0)
    return F.pad(vectors, (0, 3 - vectors.shape[1]))


def _robust_range(coordinates: Float[Tensor, "N 3"]) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Low and high quantiles, never closer than what makes a division safe."""
    if len(coordinates) == 0:
        return coordinates.new_full((3,), -1.0), coordinates.new_full((3,), 1.0)
    sample = coordinates[:: len(coordinates) // QUANTILE_SAMPLES + 1]
    low, high = torch.quantile(sample, sample.new_tensor(ROBUST_RANGE), dim=0)
    middle, half = (low + high) / 2, ((high - low) / 2).clamp_min(1e-3)
    return middle - half, middle + half


@dataclass(frozen=True)
class Instance:
    """One object of a scene.

    Attributes:
        id: scene-wide, from 1.
        name: for people; "instance 7" unless given.
        pixels: labelled pixels in the training views.
        n_views: training views that contain it.
        n_gaussians: Gaussians in its memory bank.
    """

    id: int
    name: str = ""
    pixels: int = 0
    n_views: int = 0
    n_gaussians: int = 0

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"instance {self.id}")

    @property
    def color(self) -> tuple[int, int, int]:
        """8-bit RGB, a function of the id alone."""
        r, g, b = (int(value) for value in instance_colors(np.array([self.id]))[0])
        return r, g, b


@dataclass(frozen=True)
class SegmentedScene:
    """Instances, prototypes and their settings. Works on the device of what it is given.

    Attributes:
        prototypes: (T, D); row i belongs to ``instances[i]``.
        instances: in the order of the prototypes.
        embedding_colors: map from features to colours.
        tau: temperature of the confidence.
        min_alpha: pixels with less accumulated opacity stay unlabelled.
        options: how the scene was segmented; plain JSON values.
        mask_instances: for each training view by name, the instance of each label of its label map; [0] is 0.
        selected: ids of the instances that the user has chosen; none chosen means all.
    """

    prototypes: Float[Tensor, "T D"]
    instances: tuple[Instance, ...]
    embedding_colors: EmbeddingColors
    tau: float = DEFAULT_TAU
    min_alpha: float = DEFAULT_MIN_ALPHA
    options: dict[str, Any] = field(default_factory=dict)
    mask_instances: dict[str, list[int]] = field(default_factory=dict)
    selected: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.prototypes) != len(self.instances):
            raise ValueError(f"{len(self.prototypes)} prototypes for {len(self.instances)} instances")
        ids = [instance.id for instance in self.instances]
        if len(set(ids)) < len(ids) or min(ids, default=1) < 1:
            raise ValueError("instance ids must be different from each other and at least 1")

    def segment(
        self, features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W"]
    ) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
        """Instance ids of a rendered view and their probability (Eq. 19); both 0 where none was found."""
        rows, confidence = classify(features, self.prototypes, alpha, self.tau, self.min_alpha)
        return self._ids(rows), confidence

    def _ids(self, rows: Int32[Tensor, "H W"]) -> Int32[Tensor, "H W"]:
        """Instance ids of rows of the prototypes, counted from 1."""
        ids = [0, *(instance.id for instance in self.instances)]
        if ids == list(range(len(ids))):
            return rows
        return torch.tensor(ids, dtype=torch.int32, device=rows.device)[rows.long()]

    def colorize(self, labels: Int[Tensor, "H W"]) -> Float[Tensor, "H W 3"]:
        """Colours in [0, 1] of a map of instance ids, black where it is 0, on the map's device."""
        largest = np.array([int(labels.max()) if labels.numel() else 0])
        table = torch.from_numpy(color_table(largest)).to(labels.device).float() / 255
        return table[labels.long()]

    def is_selected(self, labels: Int[Tensor, "H W"]) -> Bool[Tensor, "H W"]:
        """Where the selected instances are; everywhere if none is selected."""
        if not self.selected:
            return torch.ones_like(labels, dtype=torch.bool)
        return torch.isin(labels, torch.tensor(self.selected, dtype=labels.dtype, device=labels.device))

    def with_selected(self, ids: tuple[int, ...]) -> SegmentedScene:
        """The same scene with other instances selected."""
        return replace(self, selected=ids)

    def with_name(self, instance_id: int, name: str) -> SegmentedScene:
        """The same scene with one instance renamed; an empty name brings the default back."""
        renamed = (replace(i, name=name) if i.id == instance_id else i for i in self.instances)
        return replace(self, instances=tuple(renamed))

    def to_state(self) -> dict[str, Tensor | str]:
        """Tensors and JSON text that ``torch.load(weights_only=True)`` reads; ``from_state`` undoes it."""
        colors = {f"colors.{f.name}": getattr(self.embedding_colors, f.name).cpu() for f in fields(EmbeddingColors)}
        text = {
            "version": FORMAT_VERSION,
            "tau": self.tau,
            "min_alpha": self.min_alpha,
            "options": self.options,
            "instances": [asdict(instance) for instance in self.instances],
            "mask_instances": self.mask_instances,
            "selected": list(self.selected),
        }
        return {"prototypes": self.prototypes.detach().cpu(), **colors, "json": json.dumps(text)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SegmentedScene:
        """The scene that ``to_state`` saved, on the CPU.

        Raises:
            ProtoSagaError: it was written by a newer version, or is damaged.
        """
        try:
            text = json.loads(state["json"])
            _check_version(text["version"])
            colors = EmbeddingColors(*(state[f"colors.{f.name}"] for f in fields(EmbeddingColors)))
            return cls(
                state["prototypes"],
                tuple(Instance(**entry) for entry in text["instances"]),
                colors,
                **{key: text[key] for key in ("tau", "min_alpha", "options", "mask_instances")},
                selected=tuple(text["selected"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtoSagaError(
                f"The segmented scene in the checkpoint is damaged ({error!r}). Run "
                "`proto-saga associate` again, or go back to the checkpoint before."
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Content of ``instances.json``: the instances with names, colours and sizes, and the settings."""
        instances = [{**asdict(instance), "color": list(instance.color)} for instance in self.instances]
        return {
            "version": FORMAT_VERSION,
            "instances": instances,
            "tau": self.tau,
            "min_alpha": self.min_alpha,
            "options": self.options,
        }


def _check_version(version: object) -> None:
    if version != FORMAT_VERSION:
        raise ProtoSagaError(
            f"The segmented scene in the checkpoint has format {version}, this version reads "
            f"{FORMAT_VERSION}. Install the version that wrote it, or run `proto-saga associate` again."
        )
