"""Fixtures that tests share: a tiny scene and one training run on it, made once a session by the real commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import proto_saga_ns.config  # noqa: F401  (lets torch.load read nerfstudio's scheduler states)
from proto_saga_ns.kernels.library import library
from tests.commands import run
from tests.scenes import TinyScene, write_tiny_scene

STEPS = 300


@dataclass(frozen=True)
class TrainedRun:
    """A finished ``ns-train proto-saga-lite``."""

    scene: TinyScene
    config: Path
    console: str

    @property
    def folder(self) -> Path:
        return self.config.parent

    @property
    def checkpoint(self) -> Path:
        return max((self.folder / "nerfstudio_models").glob("step-*.ckpt"))


@pytest.fixture(scope="session")
def tiny_scene(tmp_path_factory: pytest.TempPathFactory) -> TinyScene:
    """Twelve views of a room with seven instances."""
    return write_tiny_scene(tmp_path_factory.mktemp("tiny") / "room")


def train_arguments(scene: Path, output: Path, steps: int = STEPS) -> list[object]:
    """Arguments for ``ns-train`` on a tiny scene."""
    return [
        *("proto-saga-lite", "--data", scene, "--output-dir", output, "--experiment-name", "tiny"),
        *("--timestamp", "run", "--max-num-iterations", steps, "--vis", "tensorboard"),
        *("--pipeline.model.num-downscales", 0, "--logging.local-writer.enable", "False"),
    ]


@pytest.fixture(scope="session")
def trained_run(tiny_scene: TinyScene, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """One training run; tests must leave it as it is (``copy_of_run`` gives a copy)."""
    output = tmp_path_factory.mktemp("outputs")
    process = run("ns-train", *train_arguments(tiny_scene.folder, output))
    assert process.returncode == 0, process.stdout + process.stderr
    config = output / "tiny" / "proto-saga-lite" / "run" / "config.yml"
    return TrainedRun(tiny_scene, config, process.stdout)


@pytest.fixture
def copy_of_run(trained_run: TrainedRun, tmp_path: Path) -> TrainedRun:
    """The same run in a folder of its own, to be changed at will."""
    folder = tmp_path / "moved"
    shutil.copytree(trained_run.folder, folder)
    return TrainedRun(trained_run.scene, folder / "config.yml", trained_run.console)


@pytest.fixture
def fresh_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test choose the instruction set, and forgets the choice afterwards."""
    library.cache_clear()
    yield monkeypatch
    library.cache_clear()
