"""Making a run of proto-saga of a plain splat: loaded, segmented by votes alone, written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
import yaml

from proto_saga_ns.association import AssociationOptions
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file, atomic_path, write_atomically
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.plugin.adopt.fit import load_best
from proto_saga_ns.plugin.adopt.plain_splat import PlainSplat
from proto_saga_ns.plugin.model.associate import check_asks_votes_alone, segment_scene
from proto_saga_ns.plugin.model.checkpoint import restart
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.splats.transform import DATAPARSER_FILE

if TYPE_CHECKING:
    from proto_saga_ns.plugin.pipeline import ProtoSagaPipeline, ProtoSagaPipelineConfig
    from proto_saga_ns.plugin.trainer import ProtoSagaTrainerConfig


def adopt(splat: PlainSplat, association: AssociationOptions, scene: SceneOptions) -> tuple[Path, int]:
    """Segment a plain splat by the votes of its masks and write it as a run of proto-saga.

    Args:
        splat: what the run is made of.
        association: of the masks; only consensus works.
        scene: with votes.

    Returns:
        The new config.yml, and the number of instances.

    Raises:
        ProtoSagaError: the options need trained embeddings, the splat does not fit the views, there are no masks, or
            the run is there already or cannot be written.
    """
    check_asks_votes_alone(association, scene)
    config = splat.config
    _check_free(config)
    settings = cast("ProtoSagaPipelineConfig", config.pipeline)
    settings.association, settings.scene = association, scene
    text = yaml.dump(config)  # before the pipeline is built, which puts what it finds into it
    pipeline = _loaded(splat)
    model = pipeline.model
    model.scene = segment_scene(model, pipeline.datamanager, association, scene)
    return _write(config, text, pipeline, splat.step), len(model.scene.ids)


def _loaded(splat: PlainSplat) -> ProtoSagaPipeline:
    """The pipeline with the splat's Gaussians, embeddings of zero, and classifiers of the right sizes."""
    torch.manual_seed(splat.config.machine.seed)
    pipeline: ProtoSagaPipeline = splat.config.pipeline.setup(device=network_device(), test_mode="test")
    pipeline.eval()
    load_best(pipeline.model, pipeline.datamanager, splat)
    restart(pipeline.model.embeddings, 0.0)
    pipeline.model.create_view_classifiers(pipeline.datamanager.view_label_maps.ids)
    return pipeline


def _check_free(config: ProtoSagaTrainerConfig) -> None:
    there = next(config.get_checkpoint_dir().glob("step-*.ckpt"), None)
    if there is not None:
        raise ProtoSagaError(f"There is a run already: {there}. Give another --timestamp or --output-dir.")


def _write(config: ProtoSagaTrainerConfig, text: str, pipeline: ProtoSagaPipeline, step: int) -> Path:
    """The run as training leaves one, config.yml last: where that is, the rest is whole."""
    folder = config.get_base_dir()
    content = {"step": step, "pipeline": pipeline.state_dict(), "optimizers": {}, "schedulers": {}, "scalers": {}}
    with atomic_file(config.get_checkpoint_dir() / f"step-{step:09d}.ckpt") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # what torch makes of a write that fails
            raise OSError(str(error)) from error
    with atomic_path(folder / DATAPARSER_FILE) as path:
        pipeline.datamanager.train_dataparser_outputs.save_dataparser_transform(path)
    write_atomically(folder / "config.yml", text.encode())
    return folder / "config.yml"
