"""What a run of proto-saga is made of when the Gaussians come from elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from proto_saga_ns.plugin.adopt.options import NewRunOptions
from proto_saga_ns.plugin.methods import proto_saga
from proto_saga_ns.splats.transform import Similarity

if TYPE_CHECKING:
    from nerfstudio.data.dataparsers.base_dataparser import DataParserConfig

    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModelConfig
    from proto_saga_ns.plugin.trainer import ProtoSagaTrainerConfig

ModelState = Mapping[str, Tensor]
PLACEHOLDERS = 8
"""Gaussians that a model starts with before those of the checkpoint take their place; points of the data, which may be
too few for a start, are not needed."""


@dataclass(frozen=True)
class PlainSplat:
    """A splat without embeddings, and the run that it shall become.

    Attributes:
        source: file that the Gaussians come from.
        config: of the new run.
        remedy: what to do if the Gaussians lie elsewhere than the views look.
        step: of the training that made the Gaussians; 0 if that is not known.
        states: by the frame that the file is taken to be in, parameters of the model in the training frame; given what
            the data parser does to coordinates. More than one if it is to be found out which.
    """

    source: Path
    remedy: str
    config: ProtoSagaTrainerConfig
    step: int
    states: Callable[[Similarity], Mapping[str, ModelState]]


def new_run(
    model: ProtoSagaModelConfig, parser: DataParserConfig, data: Path, options: NewRunOptions, name: str | None = None
) -> ProtoSagaTrainerConfig:
    """Configuration of a run of proto-saga.

    Args:
        model: of its model.
        parser: of its data.
        data: where these lie.
        options: where the run shall lie.
        name: of the experiment, if the options give none; None takes that of the data.
    """
    config: Any = copy.deepcopy(proto_saga.config)
    place = data.resolve()
    config.output_dir = options.output_dir
    config.experiment_name = options.experiment_name or name or (place.parent if place.is_file() else place).stem
    config.timestamp = options.timestamp or datetime.now().strftime("%Y-%m-%d_%H%M%S")
    config.pipeline.model = replace(model, random_init=True, num_random=PLACEHOLDERS)
    config.pipeline.datamanager.dataparser = replace(parser, data=place)
    config.data = config.pipeline.datamanager.data = place
    config.make_paths_absolute()
    return config
