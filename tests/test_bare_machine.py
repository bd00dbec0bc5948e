"""Everything that this package is for works without the libraries of a screen, which servers lack.

Of nerfstudio's dependencies two need them: open3d (libEGL, libGL, libusb) and pymeshlab (libOpenGL).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import Started, run
from tests.conftest import TrainedRun, train_arguments
from tests.scenes import TinyScene
from tests.test_nerfstudio_commands import wait_for_page

NEED_A_SCREEN = ("open3d", "pymeshlab")


@pytest.mark.slow
def test_training_and_association(tiny_scene: TinyScene, tmp_path: Path) -> None:
    process = run("ns-train", *train_arguments(tiny_scene.folder, tmp_path, steps=20), without=NEED_A_SCREEN)
    assert process.returncode == 0, process.stdout + process.stderr


COMMANDS = {
    "associate": ("proto-saga", "associate", "--load-config", "CONFIG"),
    "segment": ("proto-saga", "segment", "--load-config", "CONFIG", "--output-dir", "OUT"),
    "evaluate": ("proto-saga", "evaluate", "--load-config", "CONFIG", "--ground-truth", "TRUTH"),
    "report": ("proto-saga", "report", "--load-config", "CONFIG", "--ground-truth", "TRUTH", "--output", "OUT.html"),
    "export": ("proto-saga", "export", "--load-config", "CONFIG", "--output-dir", "OUT"),
    "render": ("proto-saga", "render", "--load-config", "CONFIG", "--output-path", "OUT.gif", "--path", "turntable"),
    "ns-eval": ("ns-eval", "--load-config", "CONFIG", "--output-path", "OUT.json"),
    "ns-render": ("ns-render", "dataset", "--load-config", "CONFIG", "--output-path", "OUT"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(copy_of_run: TrainedRun, tmp_path: Path, name: str) -> None:
    places = {"CONFIG": copy_of_run.config, "TRUTH": copy_of_run.scene.folder / "instances"}
    program, *words = COMMANDS[name]
    arguments = [places.get(word, word.replace("OUT", str(tmp_path / "out"))) for word in words]
    process = run(program, *arguments, without=NEED_A_SCREEN)
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_viewer(trained_run: TrainedRun) -> None:
    port = 7800 + os.getpid() % 200
    options = ("--load-config", trained_run.config, "--viewer.websocket-port", port)
    viewer = Started("ns-viewer", *options, without=NEED_A_SCREEN)
    try:
        assert "<html" in wait_for_page(f"http://127.0.0.1:{port}", viewer).lower()
    finally:
        viewer.kill()
