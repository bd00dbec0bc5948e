"""A pretended GPU, and two runs on it: one that was trained there, and the one that all tests share."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from common.pretended_cuda import Transfers
from common.pretended_gsplat import pretending_gsplat

from proto_saga_ns.plugin.methods import proto_saga_lite
from proto_saga_ns.plugin.run import Run, load_run
from tests.conftest import TrainedRun
from tests.scenes import TinyScene

STEPS = 12
Settings = Callable[[Any], None]


@pytest.fixture
def gpu() -> Iterator[Transfers]:
    """Torch has a GPU in this test."""
    with pretending_gsplat() as transfers:
        yield transfers


def trainer_of(scene: Path, output: Path, settings: Settings = lambda config: None, steps: int = STEPS) -> Any:
    """A trainer of a run on the GPU, set up: a few steps, among which all that a training does happens."""
    config: Any = copy.deepcopy(proto_saga_lite.config)
    config.machine.device_type, config.max_num_iterations, config.vis = "cuda", steps, "tensorboard"
    config.output_dir, config.experiment_name, config.timestamp = output, "tiny", "run"
    config.data = config.pipeline.datamanager.data = scene
    config.logging.local_writer.enable = False
    config.steps_per_eval_image = config.steps_per_eval_all_images = config.steps_per_save = 10
    model = config.pipeline.model
    model.resolution_schedule, model.warmup_length, model.refine_every, model.stop_split_at = 4, 2, 3, 10
    model.sh_degree_interval = 3
    settings(config)
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    config.save_config()
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    return trainer


@pytest.fixture(scope="package")
def trained_on_gpu(tiny_scene: TinyScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """config.yml of a run that was trained on the GPU from its first step to its association."""
    with pretending_gsplat():
        trainer = trainer_of(tiny_scene.folder, tmp_path_factory.mktemp("gpu"))
        trainer.train()
    return trainer.base_dir / "config.yml"


@pytest.fixture(scope="package")
def on_cpu(trained_run: TrainedRun) -> Run:
    """The shared run."""
    return _opened(trained_run.config)


@pytest.fixture(scope="package")
def loaded_on_gpu(trained_run: TrainedRun) -> Run:
    with pretending_gsplat():
        return _opened(trained_run.config)


@pytest.fixture
def on_gpu(loaded_on_gpu: Run, gpu: Transfers) -> Iterator[Run]:
    """The shared run, opened on the GPU; its scene goes back to what it was."""
    scene = loaded_on_gpu.model.scene
    gpu.counts.clear()
    yield loaded_on_gpu
    loaded_on_gpu.pipeline.eval()
    loaded_on_gpu.model.scene = scene


@pytest.fixture
def copy_of_gpu_run(trained_on_gpu: Path, tmp_path: Path) -> Path:
    """config.yml of a run that was trained on the GPU, to be changed at will."""
    return shutil.copytree(trained_on_gpu.parent, tmp_path / "run") / "config.yml"


def _opened(config: Path) -> Run:
    run = load_run(config)
    run.model.eval()
    return run
