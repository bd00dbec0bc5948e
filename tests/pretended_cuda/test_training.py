"""Training on a GPU: all that is trained lives there, the checkpoint opens anywhere, and a resume goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from common.pretended_cuda import Transfers, all_on_gpu

from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.scene.state import scene_from_state
from tests.pretended_cuda.conftest import STEPS, trainer_of
from tests.scenes import TinyScene


def checkpoint_of(config: Path) -> Path:
    return max((config.parent / "nerfstudio_models").glob("*.ckpt"))


def test_training_ends_with_a_scene_in_its_checkpoint(trained_on_gpu: Path) -> None:
    content = torch.load(checkpoint_of(trained_on_gpu), weights_only=True)
    scene = scene_from_state(content["pipeline"]["_model._extra_state"]["scene"])
    assert len(scene.ids) > 0 and scene.votes is not None
    assert content["step"] == STEPS - 1


def test_a_resume_trains_everything_on_where_it_lies(gpu: Transfers, trained_on_gpu: Path, tmp_path: Path) -> None:
    def resume(config: Any) -> None:
        config.load_dir = trained_on_gpu.parent / "nerfstudio_models"

    data = load_run(trained_on_gpu).data
    trainer = trainer_of(data, tmp_path, resume, steps=STEPS + 3)
    model = trainer.pipeline.model
    states = [state for optimizer in trainer.optimizers.optimizers.values() for state in optimizer.state.values()]
    assert all_on_gpu(model.parameters()) and all_on_gpu(state["exp_avg"] for state in states)
    before = [parameter.detach().clone() for parameter in model.view_classifiers.parameters()]
    trainer.train()
    moved = zip(before, model.view_classifiers.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in moved) and model.scene is not None


def one_classifier(config: Any) -> None:
    config.pipeline.model.classifiers, config.pipeline.model.lambda_neighbours = "shared", 2.0
    config.pipeline.association = replace(config.pipeline.association, strategy="memory-bank", mask_ids="trust")


def geometry_alone(config: Any) -> None:
    config.pipeline.model.segmentation_moves_geometry = False


def other_pictures(config: Any) -> None:
    model = config.pipeline.model
    model.rasterize_mode, model.sh_degree, model.use_bilateral_grid = "antialiased", 0, True
    model.output_depth_during_training, model.background_color = True, "black"
    model.camera_optimizer.mode, model.use_scale_regularization = "SO3xR3", True
    config.pipeline.datamanager.cache_images = "cpu"


@pytest.mark.parametrize("settings", [one_classifier, geometry_alone, other_pictures])
def test_every_training_ends_with_a_scene(gpu: Transfers, tiny_scene: TinyScene, tmp_path: Path, settings) -> None:
    trainer = trainer_of(tiny_scene.folder, tmp_path, settings, steps=6)
    trainer.train()
    assert all_on_gpu(trainer.pipeline.model.parameters())
    assert trainer.pipeline.model.scene is not None
    assert load_run(trainer.base_dir / "config.yml").scene.ids == trainer.pipeline.model.scene.ids
