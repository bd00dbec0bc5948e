"""No command prints a warning of a library that the user can do nothing about, and no other warning is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path

import pytest

from proto_saga_ns.library_warnings import SILENCED, Silenced, silence, silence_in_nerfstudio
from tests.commands import has_libraries_of_a_screen, python_warnings
from tests.conftest import TrainedRun, train_arguments


def run_alone(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in a process that starts from nothing, as users start it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    words = [str(Path(sysconfig.get_path("scripts")) / program), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, env=environment)


def test_commands_start_without_warnings(trained_run: TrainedRun, tmp_path: Path) -> None:
    training = train_arguments(trained_run.scene.folder, tmp_path, 3)
    commands = [
        ("ns-train", *training, "--steps-per-eval-image", 1),
        ("ns-eval", "--load-config", trained_run.config, "--output-path", tmp_path / "eval.json"),
        ("proto-saga", "info", "--load-config", trained_run.config),
    ]
    if has_libraries_of_a_screen():
        commands.append(("ns-export", "gaussian-splat", "--load-config", trained_run.config, "--output-dir", tmp_path))
    for program, *arguments in commands:
        process = run_alone(program, *arguments)
        assert process.returncode == 0, process.stderr
        assert python_warnings(process.stdout + process.stderr) == []


def shown(*options: str, message: str, module: str, category: str) -> bool:
    """Whether a process of Python with these options shows a warning, as its library gives it."""
    code = (
        "import warnings; from proto_saga_ns.library_warnings import silence; silence()\n"
        f"warnings.warn_explicit({message!r}, {category}, 'file.py', 1, module={module!r})"
    )
    process = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    return python_warnings(process.stderr) != []


def test_nothing_else_is_hidden_and_users_may_see_all() -> None:
    first = SILENCED[0]
    given = {"message": f"{first.message}. Do this.", "module": first.module, "category": first.category.__name__}
    assert not shown(**given)
    assert shown("-W", "always", **given)
    assert shown(**{**given, "message": "something else"})
    assert shown(**{**given, "module": "users.module"})
    assert shown(**{**given, "category": "UserWarning"})


@pytest.mark.parametrize(("program", "hides"), [("/usr/bin/ns-train", True), ("train.py", False), ("", False)])
def test_importing_torch_hides_warnings_in_nerfstudios_commands_only(
    program: str, hides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program])
    with warnings.catch_warnings():
        warnings.resetwarnings()
        silence_in_nerfstudio()
        assert bool(warnings.filters) is hides


@pytest.mark.parametrize("each", SILENCED, ids=lambda each: each.message[:30])
def test_each_is_hidden_once_by_a_filter_of_its_own(each: Silenced) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        silence()
        silence()
        assert len(warnings.filters) == len(SILENCED)
        warnings.warn_explicit(each.message, each.category, "file.py", 1, module=each.module)
    assert caught == []
