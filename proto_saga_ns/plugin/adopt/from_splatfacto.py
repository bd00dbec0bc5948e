"""A run of splatfacto as a run of proto-saga."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nerfstudio.models.splatfacto import SplatfactoModelConfig
from torch import Tensor

import proto_saga_ns.plugin.methods  # noqa: F401  (lets torch.load read nerfstudio's scheduler states)
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.adopt.options import NewRunOptions
from proto_saga_ns.plugin.adopt.parsers import with_masks
from proto_saga_ns.plugin.adopt.plain_splat import ModelState, PlainSplat, new_run
from proto_saga_ns.plugin.model.checkpoint import GAUSSIAN_PREFIX, SPLAT_PARAMETERS, check_is_splat
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig
from proto_saga_ns.splats.transform import DATAPARSER_FILE, Similarity

if TYPE_CHECKING:
    from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
    from nerfstudio.engine.trainer import TrainerConfig

KEPT = (GAUSSIAN_PREFIX, "camera_optimizer.", "bil_grids.")
"""What a checkpoint of splatfacto has that makes its pictures."""
SAME = 1e-4
"""Difference of two transforms, relative to the largest number in them."""
REMEDY = "Are images and poses those that it was trained on? Give them with --data."
MODEL_PREFIX = "_model."


def is_splatfacto(config: TrainerConfig) -> bool:
    """Whether a run's model is splatfacto's, or made from it."""
    return isinstance(config.pipeline.model, SplatfactoModelConfig)


def run_of_splatfacto(
    config: TrainerConfig,
    checkpoint: Path,
    choice: DataParserConfig | None,
    data: Path | None,
    place: NewRunOptions,
) -> PlainSplat:
    """What a run of proto-saga with the Gaussians of a splatfacto run is made of.

    Args:
        config: of the splatfacto run.
        checkpoint: of the same.
        choice: data parser whose mask options count; None takes the defaults.
        data: where the data lies now, if it has moved since training.
        place: where the new run shall lie.

    Raises:
        ProtoSagaError: the checkpoint cannot be read or holds no Gaussians, or the data is of a format without masks.
    """
    step, state = read_state(checkpoint)
    check_is_splat(state)
    manager: Any = config.pipeline.datamanager
    there = data or config.data or manager.data or manager.dataparser.data
    parser = with_masks(manager.dataparser, choice)
    run = new_run(model_config(config.pipeline.model), parser, there, place, config.experiment_name)

    def states(now: Similarity) -> Mapping[str, ModelState]:
        check_same_frame(checkpoint.parent.parent / DATAPARSER_FILE, now)
        return {"training": state}

    return PlainSplat(checkpoint, REMEDY, run, step, states)


def model_config(model: Any) -> ProtoSagaModelConfig:
    """Our model with splatfacto's settings: what decides how the Gaussians look, and how training would go on."""
    names = [field.name for field in fields(SplatfactoModelConfig) if field.name != "_target" and field.init]
    # Versions of nerfstudio differ in their fields.
    return ProtoSagaModelConfig(**{name: getattr(model, name) for name in names if hasattr(model, name)})


def check_same_frame(file: Path, now: Similarity) -> None:
    """Raise a ``ProtoSagaError`` if the data parser puts the scene elsewhere than in training.

    Args:
        file: what the data parser did in training; not there if the run was ended before its first step.
        now: what it does now.
    """
    if not file.is_file():
        return
    try:
        before = Similarity.from_file(file).matrix()
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ProtoSagaError(f"{file} cannot be read ({error!r}). Restore or delete it.") from error
    if not np.allclose(before, now.matrix(), rtol=0, atol=SAME * abs(before).max()):
        raise ProtoSagaError(
            f"The data parser puts the scene elsewhere now than in training ({file}): poses or images of the data have "
            "changed since, and the Gaussians do not fit them. Restore them as they were."
        )


def read_state(checkpoint: Path) -> tuple[int, dict[str, Tensor]]:
    """Step, and what is kept of the model's state, of a checkpoint of nerfstudio.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        step, pipeline = int(content["step"]), content["pipeline"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise ProtoSagaError(
            f"{checkpoint} cannot be read ({error}). Expected a checkpoint of nerfstudio; it may have been cut off."
        ) from error
    state = {key.removeprefix("module.").removeprefix(MODEL_PREFIX): value for key, value in pipeline.items()}
    for name in SPLAT_PARAMETERS:  # as the first versions of splatfacto called them
        if name in state:
            state[f"{GAUSSIAN_PREFIX}{name}"] = state.pop(name)
    return step, {key: value for key, value in state.items() if key.startswith(KEPT)}
