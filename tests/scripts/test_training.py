"""A training that a script starts: whole or an error, and gone when the script is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from common.training import Training, train

from proto_saga_ns.errors import ProtoSagaError
from tests.scripts import SCRIPTS

SCRIPT = """
import sys
from pathlib import Path
from common import training
training.sysconfig.get_path = lambda _: sys.argv[1]
training.train(training.Training("proto-saga-lite", Path("data"), Path("outputs"), "name", 0, 10))
"""
NS_TRAIN = """
import os, time
from pathlib import Path
Path(__file__).with_name("pid").write_text(str(os.getpid()))
time.sleep(60)
"""


def test_a_training_that_was_interrupted_is_not_taken_for_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After Ctrl-C ns-train ends with code 0."""
    training = Training("proto-saga-lite", Path("dining"), tmp_path, "seed0", 0, steps=10)
    monkeypatch.setattr("common.training.subprocess.run", lambda command, **_: subprocess.CompletedProcess(command, 0))
    checkpoints = tmp_path / "dining" / "proto-saga-lite" / "seed0" / "nerfstudio_models"
    checkpoints.mkdir(parents=True)
    (checkpoints / "step-000000005.ckpt").touch()
    with pytest.raises(ProtoSagaError, match="interrupted"):
        train(training)
    (checkpoints / "step-000000009.ckpt").touch()
    assert train(training) == checkpoints.parent / "config.yml"


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux only")
def test_a_killed_script_leaves_no_training_behind(tmp_path: Path) -> None:
    (tmp_path / "ns-train").write_text(NS_TRAIN)
    script, pid = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path], cwd=SCRIPTS), tmp_path / "pid"
    try:
        _wait(lambda: pid.is_file() and pid.read_text())
        assert not _is_gone(int(pid.read_text()))
        script.kill()
        script.wait()
        _wait(lambda: _is_gone(int(pid.read_text())))
    finally:
        script.kill()


def _is_gone(pid: int) -> bool:
    """Or waits for somebody to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _wait(until: Callable[[], object]) -> None:
    for _ in range(600):
        if until():
            return
        time.sleep(0.05)
    pytest.fail("waited for 30 seconds")
