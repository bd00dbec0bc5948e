"""Cells are made once, again when their settings change, and fail alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import paper_tables
import pytest
import table_cells
from paper_tables import TABLES, Row
from table_cells import Job, Schedule, cell_file, cells_of, demo_scene, places_of
from table_text import slug
from training import Training

from proto_saga_ns.association import PAPER
from proto_saga_ns.demo import DINING
from proto_saga_ns.errors import ProtoSagaError

FIGURES = {"mIoU": 50.0, "precision": 40.0, "recall": 30.0, "PSNR": 20.0}


@pytest.fixture
def schedule(tmp_path: Path) -> Schedule:
    return Schedule("proto-saga-lite", 10, "truth", tmp_path)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Names of the runs that a training stood in for; those with `tau` in their name fail."""
    done: list[tuple[str, ...]] = []

    def train(training: Training) -> None:
        done.append((training.name, *training.parser))
        if "tau" in training.name:
            raise ProtoSagaError("out of memory")

    monkeypatch.setattr(table_cells, "train", train)
    monkeypatch.setattr(table_cells, "load_run", lambda config: None)
    monkeypatch.setattr(table_cells, "_figures", lambda *_: FIGURES)
    rows = (
        Row("quoted", published=(1.0,)),
        Row("ours", PAPER),
        Row("other", replace(PAPER, delta=0.2)),
        Row("failing", PAPER, training=("--pipeline.model.tau", "3")),
        Row("failing too", PAPER, training=("--pipeline.model.tau", "3")),
        Row("tracked", PAPER, masks=("--mask-source", "mastsam")),
    )
    monkeypatch.setitem(paper_tables.TABLES, "1", replace(TABLES["1"], rows=rows))
    return done


def test_every_row_scene_and_seed_has_a_file_of_its_own(schedule: Schedule) -> None:
    """Names have dots: lambda 0.05, mastsam.matcher."""
    files = [
        cell_file(Job(number, Path(scene), seed), row, schedule)
        for number, table in TABLES.items()
        for row in table.rows
        for scene in ("office.0", "room_1")
        for seed in range(3)
    ]
    assert len(set(files)) == len(files) and all(file.suffix == ".json" for file in files)


def test_a_failed_training_takes_along_its_own_rows_only(schedule: Schedule, trainings: list) -> None:
    outcome = cells_of(Job("1", DINING, 0), schedule)
    assert [cell["row"] for cell in outcome.cells] == ["ours", "other", "tracked"]
    assert len(trainings) == 3 and trainings[-1][1:] == ("nerfstudio-data", "--mask-source", "mastsam")
    assert len(outcome.missing) == 2 and "failing too: training failed (out of memory)" in outcome.missing[1]

    files = sorted(schedule.folder.glob("cells/table-1/dining/*.json"))
    cell = json.loads(files[0].read_text())
    assert len(files) == 3 and cell["figures"] == FIGURES and cell["seed"] == 0
    assert cell["training"]["command"].startswith("ns-train proto-saga-lite --data")
    assert {"processor", "gpu", "cores"} <= cell["machine"].keys() and cell["versions"]["nerfstudio"]


def test_kept_cells_are_made_again_when_their_settings_change(
    schedule: Schedule, trainings: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cells_of(Job("1", DINING, 0), schedule)
    monkeypatch.setattr(table_cells, "_figures", lambda *_: {**FIGURES, "mIoU": 99.0})
    trainings.clear()
    assert cells_of(Job("1", DINING, 0), schedule).cells == first.cells
    assert len(trainings) == 1  # only the one that had failed
    table = paper_tables.TABLES["1"]
    rows = tuple(
        replace(row, association=replace(PAPER, delta=0.3)) if row.name == "other" else row for row in table.rows
    )
    monkeypatch.setitem(paper_tables.TABLES, "1", replace(table, rows=rows))
    assert [cell["figures"]["mIoU"] for cell in cells_of(Job("1", DINING, 0), schedule).cells] == [50.0, 99.0, 50.0]


def test_the_truth_is_found_by_what_the_folder_holds(tmp_path: Path) -> None:
    assert places_of(DINING, TABLES["1"]).parser == "nerfstudio-data"
    assert places_of(DINING, TABLES["7"]).training == "instances"
    with pytest.raises(ProtoSagaError, match="test_mask"):
        places_of(DINING, TABLES["2"])
    with pytest.raises(ProtoSagaError, match="no true instances"):
        places_of(tmp_path, TABLES["1"])
    (tmp_path / "train" / "train_ins_full").mkdir(parents=True)
    scannet = replace(TABLES["7"], measure="training masks")
    assert places_of(tmp_path, scannet).parser == "benchmark-data"


def test_the_demo_scene_is_copied_once(tmp_path: Path) -> None:
    scene = demo_scene(tmp_path)
    stamp = (scene / "transforms.json").stat().st_mtime_ns
    assert demo_scene(tmp_path) == scene and (scene / "transforms.json").stat().st_mtime_ns == stamp
    assert len(list((scene / "instances").iterdir())) == len(list((DINING / "instances").iterdir()))


def test_rows_of_a_table_have_files_of_their_own(schedule: Schedule) -> None:
    for table in TABLES.values():
        names = [slug(f"{row.name}-{schedule.run_name(row, 0)}") for row in table.rows if row.association]
        assert len({*names}) == len(names)
