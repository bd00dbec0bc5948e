"""SIGKILL at the worst moments: what was saved before stays whole, and the next run picks up."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.plugin.trainer import STAGING_FOLDER, publish
from tests.commands import Started, run
from tests.conftest import TrainedRun, train_arguments

STEPS = 100


def wait_until(condition: Callable[[], bool], process: Started, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, process.stdout
        time.sleep(0.02)


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.rglob("nerfstudio_models/step-*.ckpt"))


def assert_resumes(scene: Path, output: Path, next_output: Path) -> None:
    """The last checkpoint is whole, and a run that starts from it ends with a segmented scene."""
    last = checkpoints(output)[-1]
    torch.load(last, map_location="cpu", weights_only=True)
    process = run("ns-train", *train_arguments(scene, next_output, STEPS), "--load-dir", last.parent)
    assert process.returncode == 0, process.stdout + process.stderr
    config = checkpoints(next_output)[-1].parent.parent / "config.yml"
    assert run("proto-saga", "info", "--load-config", config).returncode == 0


def test_killed_in_training(trained_run: TrainedRun, tmp_path: Path) -> None:
    arguments = train_arguments(trained_run.scene.folder, tmp_path / "a", 100_000)
    process = Started("ns-train", *arguments, "--steps-per-save", 20)
    wait_until(lambda: len(checkpoints(tmp_path / "a")) > 0, process)
    process.kill()
    assert_resumes(trained_run.scene.folder, tmp_path / "a", tmp_path / "b")


def test_killed_in_association(trained_run: TrainedRun, tmp_path: Path) -> None:
    process = Started("ns-train", *train_arguments(trained_run.scene.folder, tmp_path / "a", STEPS))
    wait_until(lambda: "associating" in process.stdout, process)
    process.kill()
    assert_resumes(trained_run.scene.folder, tmp_path / "a", tmp_path / "b")


def test_killed_while_a_checkpoint_is_written(trained_run: TrainedRun, tmp_path: Path) -> None:
    """Saving at every step, the kill falls into a save: half a file lies in the staging folder, none beside."""
    arguments = train_arguments(trained_run.scene.folder, tmp_path / "a", 100_000)
    process = Started("ns-train", *arguments, "--steps-per-save", 1)
    wait_until(lambda: len(checkpoints(tmp_path / "a")) > 0, process)
    wait_until(lambda: any((tmp_path / "a").rglob(f"{STAGING_FOLDER}/*.ckpt")), process)
    process.kill()
    assert_resumes(trained_run.scene.folder, tmp_path / "a", tmp_path / "b")


def test_publishing_replaces_older_checkpoints_only_after_the_new_one_is_there(tmp_path: Path) -> None:
    old, other = tmp_path / "models" / "step-000000001.ckpt", tmp_path / "models" / "notes.txt"
    old.parent.mkdir()
    old.write_text("old")
    other.write_text("kept")
    written = tmp_path / "step-000000002.ckpt"
    written.write_text("new")
    publish(written, old.parent, keep_others=False)
    assert sorted(path.name for path in old.parent.iterdir()) == ["notes.txt", "step-000000002.ckpt"]
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "missing.ckpt", old.parent, keep_others=False)
    assert (old.parent / "step-000000002.ckpt").read_text() == "new"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def no_room_for_large_files():
    """A limit on the size of files stands in for a full disk: writing beyond it fails as writing to one does."""
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, previous)


def test_no_room_leaves_the_old_file(tmp_path: Path, no_room_for_large_files: None) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ProtoSagaError, match="Cannot write"), atomic_file(path) as file:
        file.write(os.urandom(400_000))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
