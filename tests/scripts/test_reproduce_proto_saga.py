"""The sweep over the paper's tables: killed half-way it goes on, and finished work is not done again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import reproduce_proto_saga
from common.table_cells import Outcome
from reproduce_proto_saga import Reproduce

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin
from tests.scripts import SCRIPTS

SCRIPT = SCRIPTS / "reproduce_proto_saga.py"


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    """A table without any cell would look whole."""
    (tmp_path / "data" / ".hidden").mkdir(parents=True)
    data = tmp_path / "data"
    wrong = (
        (Reproduce(seeds=0), "--seeds is 0"),
        (Reproduce(steps=0), "--steps is 0"),
        (Reproduce(table=("8",)), "no table 8"),
    )
    for sweep, said in wrong:
        with pytest.raises(ProtoSagaError, match=said):
            sweep.run()
    for sweep, said in (
        (Reproduce(data=tmp_path / "nowhere"), "holds no scene"),
        (Reproduce(data=data), "holds no scene"),
        (Reproduce(table=("I",), scenes=("demo",)), "no seed of a stand-in. Scenes"),
        (Reproduce(scenes=("demi",)), "and not demo"),
    ):
        with pytest.raises(ProtoSagaError, match=said):
            replace(sweep, folder=tmp_path / "results")._table(sweep.table[0])
    (data / "office").mkdir()
    with pytest.raises(ProtoSagaError, match="no scene room; there are office"):
        Reproduce(data=data, scenes=("room",))._table("1")


def test_a_table_that_cannot_be_made_takes_no_other_along(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce_proto_saga, "run_jobs", lambda jobs, *_: [Outcome([], []) for _ in jobs])
    (tmp_path / "office").mkdir()
    assert not Reproduce(table=("I", "1"), data=tmp_path, folder=tmp_path / "results").run()
    assert "Table I cannot be made" in capsys.readouterr().err
    assert (tmp_path / "results" / "table-1.md").is_file()


def reproduce(folder: Path, data: Path, *arguments: str) -> str:
    options = ("--method", "proto-saga-lite", "--steps", "60", "--seeds", "1", "--data", data, "--folder", folder)
    command = [sys.executable, SCRIPT, *options, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    options = StandinOptions("replica", seed=2, views=8, test_views=2, width=64, height=48, points=400, samples=1)
    write_standin(folder / "office", options, PRESETS["default"], "default")
    return folder


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    table = (tmp_path / "table-3.md", tmp_path / "table-3.tex")
    first = reproduce(tmp_path, data, "--table", "3")
    assert first.count("office 0 ") == 6
    text = table[0].read_text()
    assert text.startswith("Table 3") and "STAND-IN" in text and "not comparable" in text
    assert "(42.8)" in text and text in first and r"\toprule" in table[1].read_text()
    cells = sorted((tmp_path / "cells" / "table-3" / "office").iterdir())
    cell = json.loads(cells[0].read_text())
    assert len(cells) == 6 and cell["scene"] == "office" and cell["versions"]["nerfstudio"]
    (config,) = tmp_path.glob("outputs/office/proto-saga-lite/*/config.yml")
    trained = config.stat().st_mtime_ns

    # As if killed before the last row: the training and the other rows stay as they are.
    cells[-1].unlink()
    table[0].unlink()
    again = reproduce(tmp_path, data, "--table", "3")
    assert again.count("office 0 ") == 1 and table[0].read_text() == text
    assert config.stat().st_mtime_ns == trained
