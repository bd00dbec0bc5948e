"""The trained run, opened once for all tests of the model; and its Gaussians as a splat without embeddings."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nerfstudio.configs.method_configs import method_configs

from proto_saga_ns.association import AssociationOptions
from proto_saga_ns.cli.associate import Associate
from proto_saga_ns.plugin.adopt.options import NewRunOptions
from proto_saga_ns.plugin.model.image_quality import without_lpips
from proto_saga_ns.plugin.run import Run, load_run
from tests.conftest import TrainedRun

CONSENSUS = AssociationOptions(strategy="consensus")
GAUSSIANS = ("means", "scales", "quats", "opacities", "features_dc", "features_rest")


@pytest.fixture(scope="package")
def loaded(trained_run: TrainedRun) -> Run:
    opened = load_run(trained_run.config)
    opened.model.eval()
    return opened


@pytest.fixture
def opened(loaded: Run) -> Iterator[Run]:
    """The trained run, whose scene goes back to what it was."""
    scene = loaded.model.scene
    yield loaded
    loaded.model.scene = scene


@pytest.fixture(scope="package")
def splatfacto_run(trained_run: TrainedRun, loaded: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that splatfacto's own trainer has written; its Gaussians are those of the trained run.

    Splatfacto itself trains on a GPU only.
    """
    config: Any = copy.deepcopy(method_configs["splatfacto"])
    config.output_dir, config.timestamp, config.vis = tmp_path_factory.mktemp("splats"), "run", "tensorboard"
    config.data = config.pipeline.datamanager.data = trained_run.scene.folder
    config.experiment_name, config.machine.device_type = "tiny", "cpu"
    config.pipeline.datamanager.cache_images = "disk"
    config.pipeline.datamanager.dataparser.load_3D_points = False  # by open3d, which a bare machine cannot import
    config.pipeline.model = replace(
        config.pipeline.model, random_init=True, num_random=20, background_color="white", num_downscales=0
    )
    with without_lpips():
        trainer = config.setup()
        trainer.setup(test_mode="test")
    state = {f"gauss_params.{name}": loaded.model.gauss_params[name].detach() for name in GAUSSIANS}
    trainer.pipeline.model.load_state_dict(state, strict=False)
    config.save_config()
    trainer.save_checkpoint(299)
    return config.get_base_dir() / "config.yml"


@pytest.fixture(scope="package")
def adopted(splatfacto_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``proto-saga associate`` makes of it."""
    place = NewRunOptions(tmp_path_factory.mktemp("adopted"), timestamp="votes")
    before = contents(splatfacto_run.parent)
    Associate(splatfacto_run, association=CONSENSUS, place=place).run()
    assert contents(splatfacto_run.parent) == before, "the run of splatfacto was changed"
    return place.output_dir / "tiny" / "proto-saga" / "votes" / "config.yml"


@pytest.fixture(scope="package")
def votes_alone(adopted: Path) -> Run:
    return load_run(adopted)


def contents(folder: Path) -> dict[str, str]:
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}
