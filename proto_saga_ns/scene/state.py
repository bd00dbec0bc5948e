"""A segmented scene as tensors and JSON text, for the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.levels import Joins, Levels
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.votes import BESIDE_MASKS, Votes
from proto_saga_ns.scene.cuts import Cut
from proto_saga_ns.scene.display import Display
from proto_saga_ns.scene.embedding_colors import EmbeddingColors
from proto_saga_ns.scene.segmented_scene import FORMAT_VERSION, SegmentedScene

_COLORS = tuple(f.name for f in fields(EmbeddingColors))
_MASKS = ("view", "label", "pixels", "features", "member")
_JOINS = tuple(f.name for f in fields(Joins))
_TABLES = ("parts", "groups")
_OLD_NAMES = {
    "masks.part": "masks.member",
    "levels.piece_of_gaussian": "levels.part_of_gaussian",
    **{f"levels.pieces.{name}": f"levels.parts.{name}" for name in _JOINS},
}
"""Of tensors in format 2."""


def scene_to_state(scene: SegmentedScene) -> dict[str, Tensor | str]:
    """Tensors and JSON text that ``torch.load(weights_only=True)`` reads; ``scene_from_state`` undoes it."""
    tensors = {f"colors.{name}": getattr(scene.embedding_colors, name).cpu() for name in _COLORS}
    tensors |= {f"masks.{name}": getattr(scene.masks, name).cpu() for name in _MASKS}
    tensors |= {f"cuts.{number}": cut.directions for number, cut in enumerate(scene.cuts)}
    if scene.gaussians is not None:
        tensors |= {"gaussians.ids": scene.gaussians.ids, "gaussians.confidence": scene.gaussians.confidence}
    if scene.votes is not None:
        tensors |= {"votes.labels": scene.votes.labels, "votes.shares": scene.votes.shares}
    if scene.levels is not None:
        tensors |= _levels_to_state(scene.levels)
    text = {
        "version": FORMAT_VERSION,
        "tau": scene.tau,
        "min_alpha": scene.min_alpha,
        "options": dict(scene.options),
        "cuts": [(cut.member, cut.new_member) for cut in scene.cuts],
        "owners": sorted(scene.owners.items()),
        "names": sorted(scene.names.items()),
        "agreement": sorted(scene.agreement.items()),
        "view_names": scene.masks.view_names,
        "display": asdict(scene.display),
    }
    if scene.levels is not None:
        text["levels_theta"] = scene.levels.theta
    if scene.votes is not None:
        text["prototype_weight"] = scene.votes.prototype_weight
    return {**tensors, "json": json.dumps(text)}


def scene_from_state(state: Mapping[str, Any]) -> SegmentedScene:
    """The scene that ``scene_to_state`` saved, on the CPU.

    Raises:
        ProtoSagaError: it was written by another version, or is damaged.
    """
    try:
        text = json.loads(state["json"])
        if text["version"] == 2:
            state = {_OLD_NAMES.get(name, name): value for name, value in state.items()}
        elif text["version"] != FORMAT_VERSION:
            raise ProtoSagaError(
                f"The segmented scene in the checkpoint has format {text['version']}, this version reads "
                f"{FORMAT_VERSION}. Install the version that wrote it, or run `proto-saga associate` again."
            )
        return SegmentedScene(
            masks=MaskTable(*(state[f"masks.{name}"] for name in _MASKS), view_names=tuple(text["view_names"])),
            embedding_colors=EmbeddingColors(*(state[f"colors.{name}"] for name in _COLORS)),
            gaussians=_gaussians(state),
            votes=_votes(state, text),
            levels=_levels(state, text),
            cuts=tuple(Cut(a, b, state[f"cuts.{number}"]) for number, (a, b) in enumerate(text["cuts"])),
            owners={int(member): int(owner) for member, owner in text["owners"]},
            names={int(number): str(name) for number, name in text["names"]},
            # Scenes that were saved before this was counted have none.
            agreement={int(member): float(share) for member, share in text.get("agreement", ())},
            display=_display(text["display"]),
            **{key: text[key] for key in ("tau", "min_alpha", "options")},
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ProtoSagaError(
            f"The segmented scene in the checkpoint is damaged ({error!r}). Run "
            "`proto-saga associate` again, or go back to the checkpoint before."
        ) from error


def _gaussians(state: Mapping[str, Any]) -> GaussianInstances | None:
    if "gaussians.ids" not in state:
        return None
    return GaussianInstances(state["gaussians.ids"], state["gaussians.confidence"])


def _votes(state: Mapping[str, Any], text: Mapping[str, Any]) -> Votes | None:
    """Scenes that were saved before the weight was have votes of masks."""
    if "votes.labels" not in state:
        return None
    return Votes(state["votes.labels"], state["votes.shares"], text.get("prototype_weight", BESIDE_MASKS))


def _display(content: Mapping[str, Any]) -> Display:
    lists = {name: tuple(content[name]) for name in ("selected", "hidden")}
    return Display(**{**content, **lists})


def _levels_to_state(levels: Levels) -> dict[str, Tensor]:
    tables = {f"levels.{kind}.{name}": getattr(getattr(levels, kind), name) for kind in _TABLES for name in _JOINS}
    return {**tables, "levels.part_of_gaussian": levels.part_of_gaussian}


def _levels(state: Mapping[str, Any], text: Mapping[str, Any]) -> Levels | None:
    """None if they were not kept yet when the scene was saved."""
    if "levels.part_of_gaussian" not in state:
        return None
    parts, groups = (Joins(*(state[f"levels.{kind}.{name}"] for name in _JOINS)) for kind in _TABLES)
    return Levels(parts, groups, state["levels.part_of_gaussian"], text["levels_theta"])
