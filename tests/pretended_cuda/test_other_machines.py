"""Runs that come from a machine with a GPU to one without, and back; and GPUs that are too small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from common.pretended_cuda import Transfers
from common.pretended_gsplat import pretending_gsplat
from nerfstudio.utils.eval_utils import eval_setup

from proto_saga_ns.cli.main import entrypoint
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.model import associate
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run, read_config
from tests.pretended_cuda.conftest import STEPS, trainer_of
from tests.scenes import TinyScene

FAILS = "CUDA out of memory. Tried to allocate 2.00 GiB."


def fail(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError(FAILS)


def test_a_run_of_a_gpu_opens_without_one_and_shows_the_same(trained_on_gpu: Path) -> None:
    def shown(run: Run) -> np.ndarray:
        run.model.eval()
        return np.stack([segment_view(run.model, run.scene, camera).labels for _, camera, _ in run.cameras("test")])

    assert read_config(trained_on_gpu).machine.device_type == "cuda"
    here = load_run(trained_on_gpu)
    assert here.model.device.type == "cpu"
    with pretending_gsplat():
        there = load_run(trained_on_gpu)
        assert there.model.means.is_cuda
        seen_there = shown(there)
    assert np.array_equal(shown(here), seen_there)


def test_nerfstudios_commands_open_it_as_well(trained_on_gpu: Path) -> None:
    """ns-viewer, ns-render and ns-eval open runs by this function."""
    _, pipeline, _, step = eval_setup(trained_on_gpu, test_mode="inference")
    assert str(pipeline.device) == "cpu" and step == STEPS - 1


@pytest.mark.parametrize("from_gpu", [True, False])
def test_a_training_goes_on_on_another_machine(
    trained_on_gpu: Path, tiny_scene: TinyScene, tmp_path: Path, from_gpu: bool
) -> None:
    def elsewhere(config: Any) -> None:
        config.machine.device_type = "cpu"

    def resume(config: Any) -> None:
        config.load_dir = first / "nerfstudio_models"

    def resume_elsewhere(config: Any) -> None:
        resume(config)
        elsewhere(config)

    if from_gpu:
        first = trained_on_gpu.parent
        trainer = trainer_of(tiny_scene.folder, tmp_path, resume_elsewhere, STEPS + 1)
        trainer.train()
    else:
        short = trainer_of(tiny_scene.folder, tmp_path / "cpu", elsewhere, 2)
        short.train()
        first = short.base_dir
        with pretending_gsplat():
            trainer = trainer_of(tiny_scene.folder, tmp_path, resume, 3)
            trainer.train()
            assert trainer.pipeline.model.means.is_cuda
    assert trainer.pipeline.model.scene is not None


def test_a_gpu_that_is_asked_for_and_not_there_is_one_line(
    tiny_scene: TinyScene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        trainer_of(tiny_scene.folder, tmp_path)
    said = capsys.readouterr().err.splitlines()
    assert (
        ended.value.code == 2 and "torch finds no GPU here. To train on the CPU: --machine.device-type cpu" in said[-1]
    )


def error_of_training(trainer: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a training ends that fails by what a person can change."""
    with pytest.raises(SystemExit) as ended:
        trainer.train()
    assert ended.value.code == 2
    (line,) = (text for text in capsys.readouterr().err.splitlines() if "error:" in text)
    return line


def test_training_on_a_small_gpu_ends_with_what_takes_less(
    gpu: Transfers, tiny_scene: TinyScene, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(tiny_scene.folder, tmp_path, steps=2)
    monkeypatch.setattr(ProtoSagaModel, "get_loss_dict", fail)
    line = error_of_training(trainer, capsys)
    assert "not enough memory for training" in line and "--pipeline.datamanager.cache-images cpu" in line
    assert "No checkpoint had been written yet" in line


def test_association_on_a_small_gpu_keeps_what_was_trained(
    gpu: Transfers, tiny_scene: TinyScene, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(tiny_scene.folder, tmp_path, steps=2)
    monkeypatch.setattr(associate, "segmented_views", fail)
    line = error_of_training(trainer, capsys)
    assert "not enough memory for association" in line and "--no-votes" in line
    assert len(list(trainer.checkpoint_dir.glob("*.ckpt"))) == 1


def test_the_viewers_button_says_it_too(on_gpu: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(associate, "associate_views", fail)
    with pytest.raises(ProtoSagaError, match="not enough memory for association"):
        on_gpu.pipeline.associate()


def test_any_command_on_a_small_gpu_ends_with_one_line(
    gpu: Transfers, trained_on_gpu: Path, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("proto_saga_ns.plugin.model.views.render", fail)
    words = ["proto-saga", "segment", "--load-config", trained_on_gpu, "--output-dir", tmp_path / "maps"]
    monkeypatch.setattr("sys.argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as ended:
        entrypoint()
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and "To go on without the GPU: CUDA_VISIBLE_DEVICES=" in said[-1]
    assert not list((tmp_path / "maps").glob("*.json"))


def test_other_errors_stay_what_they_are(on_gpu: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(associate, "associate_views", break_down)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        on_gpu.pipeline.associate()
