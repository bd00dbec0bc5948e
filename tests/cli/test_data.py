"""proto-saga data on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from proto_saga_ns.cli.work.data import MAX_ROWS
from tests.commands import run
from tests.evaluation.datasets.folders import TEST_VIEWS, VIEWS, write_dataset


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset("replica", tmp_path_factory.mktemp("data") / "office_0")


def test_a_scene_without_errors_is_a_table_and_exit_code_0(replica: Path, tmp_path: Path) -> None:
    process = run("proto-saga", "data", "check", "replica", replica, "--json", tmp_path / "found.json")
    assert process.returncode == 0, process.stdout + process.stderr
    assert "office_0" in process.stdout and "warning: " in process.stdout and not process.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    (scene,) = found["scenes"]
    assert (scene["train_views"], scene["test_views"], found["errors"]) == (VIEWS, TEST_VIEWS, 0)
    assert found["warnings"] == sum(one["severity"] == "warning" for one in [*found["findings"], *scene["findings"]])


def test_an_error_is_printed_written_and_exit_code_2(replica: Path, tmp_path: Path) -> None:
    truth = next((replica / "semantic_instance").glob("test_*"))
    away = truth.rename(tmp_path / truth.name)
    process = run("proto-saga", "data", "check", "replica", replica, "--json", tmp_path / "found.json")
    away.rename(truth)
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1 and "has 1 error;" in process.stderr and truth.name in process.stderr
    assert f"error: {truth}" in process.stdout
    assert json.loads((tmp_path / "found.json").read_text())["errors"] == 1


@pytest.mark.parametrize("kind", ["gone", "empty"])
def test_where_there_is_nothing_the_hints_are_printed(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    process = run("proto-saga", "data", "check", "davis", folder)
    hints = run("proto-saga", "data", "hints", "davis")
    assert hints.returncode == 0 and "https://davischallenge.org" in hints.stdout
    assert process.returncode == 2 and process.stdout == hints.stdout and str(folder) in process.stderr


def test_an_unknown_data_set_names_those_that_are_known() -> None:
    process = run("proto-saga", "data", "hints", "imagenet")
    assert process.returncode == 2 and "mipnerf360" in process.stdout + process.stderr


def test_of_many_scenes_those_with_trouble_have_a_row(tmp_path: Path) -> None:
    root = write_dataset("davis", tmp_path / "DAVIS")
    for kind in ("JPEGImages", "Annotations"):
        for index in range(MAX_ROWS):
            shutil.copytree(root / kind / "480p" / "standin", root / kind / "480p" / f"video{index:02d}")
    (root / "Annotations/480p/video07/00003.png").unlink()
    process = run("proto-saga", "data", "check", "davis", root)
    assert process.returncode == 2 and f"all {MAX_ROWS + 1}" in process.stdout
    rows = [line for line in process.stdout.splitlines() if line.startswith("│ video")]
    assert len(rows) == 1 and "video07" in rows[0]
