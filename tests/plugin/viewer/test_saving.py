"""Saving from the panel: the checkpoint holds the corrections, and is whole whatever happens."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.model.checkpoint import PREVIOUS_FOLDER
from proto_saga_ns.plugin.pipeline import MODEL_FOLDER
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.plugin.viewer.session import Session
from tests.conftest import TrainedRun

SCENE = "_model._extra_state"
NAME = "<b>{1+1}</b>"


def saver(run: Run, folder: Path, trainer: object = None) -> Callable[[], None]:
    """As in ns-viewer, whose log lies in the run's folder."""
    viewer: Any = SimpleNamespace(log_filename=folder / "viewer_log_filename.txt", trainer=trainer)
    return lambda: run.pipeline.save_scene(viewer)


def content(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, map_location="cpu", weights_only=True)


def same(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    return a == b


@pytest.fixture
def corrected(run: Run) -> Session:
    """Two instances merged and called by a nasty name, a third one hidden."""
    session = Session(run.model)
    first, second, third = session.scene.ids[:3]
    session.select([first, second])
    session.merge_selected()
    session.rename_selected(NAME)
    session.select([third])
    session.hide_selected()
    return session


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """A limit on the size of files stands in for a full disk."""
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)


def test_the_checkpoint_gets_the_corrections_and_nothing_else(
    run: Run, corrected: Session, copy_of_run: TrainedRun
) -> None:
    before, bytes_before = content(copy_of_run.checkpoint), copy_of_run.checkpoint.read_bytes()
    corrected.save(saver(run, copy_of_run.folder))
    after = content(copy_of_run.checkpoint)
    assert not same(before["pipeline"].pop(SCENE)["scene"], after["pipeline"].pop(SCENE)["scene"])
    assert same(before, after)
    assert (copy_of_run.folder / PREVIOUS_FOLDER / copy_of_run.checkpoint.name).read_bytes() == bytes_before
    assert [path.name for path in (copy_of_run.folder / MODEL_FOLDER).iterdir()] == [copy_of_run.checkpoint.name]
    scene = load_run(copy_of_run.config).scene
    assert scene.owners == corrected.scene.owners and scene.names == corrected.scene.names
    assert NAME in scene.names.values()
    assert scene.display == corrected.scene.display and scene.instances == corrected.scene.instances


def test_a_checkpoint_that_is_gone_is_said(run: Run, corrected: Session, copy_of_run: TrainedRun) -> None:
    name = copy_of_run.checkpoint.name
    copy_of_run.checkpoint.unlink()
    with pytest.raises(ProtoSagaError, match=f"{name}.* is gone; nothing was saved"):
        corrected.save(saver(run, copy_of_run.folder))
    assert corrected.editor.unsaved == 2


@pytest.mark.parametrize("copy_fits", [False, True])
def test_a_full_disk_leaves_both_checkpoints_as_they_were(
    run: Run, corrected: Session, copy_of_run: TrainedRun, monkeypatch: pytest.MonkeyPatch, copy_fits: bool
) -> None:
    """Whether the disk is full before the old checkpoint was copied or after that."""
    save = saver(run, copy_of_run.folder)
    save()
    kept = copy_of_run.folder / PREVIOUS_FOLDER / copy_of_run.checkpoint.name
    before, size = copy_of_run.checkpoint.read_bytes(), copy_of_run.checkpoint.stat().st_size
    expected = before if copy_fits else kept.read_bytes()
    with ExitStack() as stack:
        copy = shutil.copy2

        def then_full(source: Path, target: Path) -> None:
            if copy_fits:
                copy(source, target)
            stack.enter_context(room_for(size // 2))
            if not copy_fits:
                copy(source, target)

        monkeypatch.setattr(shutil, "copy2", then_full)
        with pytest.raises(ProtoSagaError, match="Cannot write"):
            corrected.save(save)
    assert copy_of_run.checkpoint.read_bytes() == before and kept.read_bytes() == expected
    assert corrected.editor.unsaved == 2
    for path in (copy_of_run.checkpoint, kept):
        assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_while_training_the_trainer_saves_its_current_step(run: Run, copy_of_run: TrainedRun) -> None:
    saved: list[int] = []
    trainer = SimpleNamespace(step=17, save_checkpoint=saved.append)
    before = copy_of_run.checkpoint.read_bytes()
    saver(run, copy_of_run.folder, trainer)()
    assert saved == [17] and copy_of_run.checkpoint.read_bytes() == before
