"""``make`` says what is missing before it installs anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections import namedtuple
from pathlib import Path

import pytest

from scripts import check_prerequisites
from scripts.check_prerequisites import find_missing

ROOT = Path(__file__).parents[2]


def test_the_machine_that_runs_the_tests_has_everything(tmp_path: Path) -> None:
    rest = [lack for lack in find_missing(str(tmp_path / ".venv")) if "GB of disk" not in lack]
    assert not rest, "the tests run here, so it was installed here"


@pytest.mark.parametrize("version", [(3, 9), (3, 13)])
def test_a_python_that_does_not_fit_is_named(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert f"this is 3.{version[1]}" in find_missing(".venv")[0]


def test_headers_compiler_venv_and_disk_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": "/nowhere"})
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(check_prerequisites, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 2e9))
    told = " ".join(find_missing("/nowhere/at/all/.venv"))
    assert all(word in told for word in ("python3-dev", "g++", "python3-venv", "2.0 are free"))


@pytest.mark.parametrize(
    ("variables", "told"),
    [({"CXX": "no-such-compiler"}, "a C++ compiler"), ({"PYTHON": "no-such-python"}, "no-such-python")],
)
def test_make_stops_in_a_line_with_the_command_that_installs_it(
    tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    make = ["make", "demo", f"VENV={tmp_path / '.venv'}", *(f"{k}={v}" for k, v in variables.items() if k != "CXX")]
    process = subprocess.run(make, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    assert process.returncode == 2 and not (tmp_path / ".venv").exists()
    assert told in process.stderr and "sudo apt-get install git make g++ python3-dev python3-venv" in process.stderr
