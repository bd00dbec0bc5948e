"""Fixtures that tests share: a tiny scene and one training run on it, made once a session by the real commands.

``make test`` runs two workers of pytest-xdist. What both need is made by the one that needs it first, and tests that
share more than that, those of one file or folder, have the same worker.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from hypothesis import settings
from jaxtyping import config as jaxtyping_config

if not torch.cuda.is_available():
    # Triton's kernels then run in Python, on tensors of the CPU. It is read when a kernel is decorated.
    os.environ.setdefault("TRITON_INTERPRET", "1")

import proto_saga_ns.plugin.methods  # noqa: F401  (lets torch.load read nerfstudio's scheduler states)
from proto_saga_ns.kernels.library import library
from tests.commands import run
from tests.scenes import TinyScene, write_tiny_scene

settings.register_profile("untimed", deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("untimed")

Made = TypeVar("Made")

STEPS = 300
FOLDERS_OF_ONE_WORKER = ("tests/browser/", "tests/plugin/model/", "tests/plugin/viewer/", "tests/pretended_cuda/")
"""Their tests share one browser, or runs that are open. They take longest, and begin first."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Workers of xdist take whole files or folders.

    Its marks for the same (``--dist loadgroup`` of 3.8) do nothing from pytest 9.2 on.
    """
    from xdist.scheduler import LoadScopeScheduling

    class WholeGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return WholeGroups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker, what takes longest comes first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: group_of(item.nodeid) not in FOLDERS_OF_ONE_WORKER)


def group_of(test: str) -> str:
    """The folder or the file whose tests one worker has."""
    return next((folder for folder in FOLDERS_OF_ONE_WORKER if test.startswith(folder)), test.partition("::")[0])


def made_once(folder: Path, make: Callable[[Path], Made]) -> Made:
    """What ``make`` returns of a folder that is not there yet; it is called by one worker, and the others wait."""
    made = folder.with_suffix(".made")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            made.write_bytes(pickle.dumps(make(folder)))
    return pickle.loads(made.read_bytes())


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
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all workers of a session see."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def tiny_scene(shared_folder: Path) -> TinyScene:
    """Twelve views of a room with seven instances."""
    return made_once(shared_folder / "room", write_tiny_scene)


def train_arguments(scene: Path, output: Path, steps: int = STEPS) -> list[object]:
    """Arguments for ``ns-train`` on a tiny scene."""
    return [
        *("proto-saga-lite", "--data", scene, "--output-dir", output, "--experiment-name", "tiny"),
        *("--timestamp", "run", "--max-num-iterations", steps, "--vis", "tensorboard"),
        *("--pipeline.model.num-downscales", 0, "--logging.local-writer.enable", "False"),
    ]


@pytest.fixture(scope="session")
def trained_run(tiny_scene: TinyScene, shared_folder: Path) -> TrainedRun:
    """One training run; tests must leave it as it is (``copy_of_run`` gives a copy)."""

    def train(output: Path) -> TrainedRun:
        process = run("ns-train", *train_arguments(tiny_scene.folder, output))
        assert process.returncode == 0, process.stdout + process.stderr
        config = output / "tiny" / "proto-saga-lite" / "run" / "config.yml"
        return TrainedRun(tiny_scene, config, process.stdout)

    return made_once(shared_folder / "outputs", train)


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


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Lets shapes that do not fit through to the code that shall refuse them."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)
