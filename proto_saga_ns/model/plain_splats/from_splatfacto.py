"""A run of splatfacto as a run of proto-saga."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from nerfstudio.models.splatfacto import SplatfactoModelConfig
from torch import Tensor

from proto_saga_ns.data.parser_choice import with_masks
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.model.checkpoint import GAUSSIAN_PREFIX, SPLAT_PARAMETERS, check_is_splat
from proto_saga_ns.model.plain_splats.options import NewRunOptions
from proto_saga_ns.model.plain_splats.plain_splat import PlainSplat, new_run
from proto_saga_ns.model.proto_saga import ProtoSagaModelConfig

if TYPE_CHECKING:
    from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig
    from nerfstudio.engine.trainer import TrainerConfig

KEPT = (GAUSSIAN_PREFIX, "camera_optimizer.", "bil_grids.")
"""What a checkpoint of splatfacto has that makes its pictures."""
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
    return PlainSplat(checkpoint, REMEDY, run, step, lambda _: {"training": state})


def model_config(model: Any) -> ProtoSagaModelConfig:
    """Our model with splatfacto's settings: what decides how the Gaussians look, and how training would go on."""
    names = [field.name for field in fields(SplatfactoModelConfig) if field.name != "_target" and field.init]
    # Versions of nerfstudio differ in their fields.
    return ProtoSagaModelConfig(**{name: getattr(model, name) for name in names if hasattr(model, name)})


def read_state(checkpoint: Path) -> tuple[int, dict[str, Tensor]]:
    """Step, and what is kept of the model's state, of a checkpoint of nerfstudio.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    import proto_saga_ns.config  # noqa: F401  (lets torch.load read nerfstudio's scheduler states)

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
