"""A GPU without gsplat's code: training stops before any mask is made, looking goes on with the CPU."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.configs.method_configs import all_methods

from proto_saga_ns.kernels import device
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import load_run
from tests.conftest import TrainedRun
from tests.kernels.pretended import hide_compilers, pretend_gpu
from tests.scenes import TinyScene


@pytest.fixture
def gpu_without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend_gpu(monkeypatch)
    hide_compilers(monkeypatch)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    device.say_once.cache_clear()


def test_training_stops_before_masks_are_made(
    gpu_without_compiler: None, tiny_scene: TinyScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scene"
    shutil.copytree(tiny_scene.folder, folder, ignore=shutil.ignore_patterns("masks"))
    config = deepcopy(all_methods["proto-saga-lite"].pipeline)
    config.datamanager.data = folder
    with pytest.raises(SystemExit) as ended:
        config.setup(device="cuda", test_mode="val")
    assert ended.value.code == 2
    assert "pip install" in capsys.readouterr().err
    assert not (folder / ".proto_saga").exists()


def test_a_scene_is_looked_at_with_the_cpus_kernels(
    gpu_without_compiler: None, trained_run: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(trained_run.config)
    assert run.model.device.type == "cpu"
    assert capsys.readouterr().err.count("The GPU is not used, the CPU is") == 1
    _, camera, _ = next(run.cameras("test"))
    assert len(np.unique(segment_view(run.model, run.scene, camera).labels)) > 3
