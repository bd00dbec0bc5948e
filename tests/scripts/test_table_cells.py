"""Cells are made once, again when their settings change, and fail alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from common import paper_tables, table_cells
from common.paper_tables import TABLES, Row
from common.table_cells import Job, Schedule, cell_file, cells_of, demo_scene, places_of
from common.table_text import slug
from common.training import Training

from proto_saga_ns.association import PAPER
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.errors import ProtoSagaError

FIGURES = {"mIoU": 50.0, "precision": 40.0, "recall": 30.0, "PSNR": 20.0}
PHRASES = {"model": {"mBIoU": 1.0}, "truth": {"mBIoU": 2.0}}
for figures in PHRASES.values():
    figures |= {"mIoU by label": 3.0, "mBIoU by label": 4.0}


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
    monkeypatch.setattr(table_cells, "load_run", lambda *_: None)
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


def test_damaged_cells_are_made_again(schedule: Schedule, trainings: list) -> None:
    job = Job("1", DINING, 0)
    whole = cells_of(job, schedule).cells
    file = cell_file(job, paper_tables.TABLES["1"].rows[1], schedule)
    for content in ("", "{}", "[1]"):
        file.write_text(content)
        assert [cell["figures"] for cell in cells_of(job, schedule).cells] == [cell["figures"] for cell in whole]


def test_phrases_by_other_masks_are_other_cells(
    schedule: Schedule, trainings: list, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene = tmp_path / "figurines"
    (scene / "test_mask" / "0").mkdir(parents=True)
    (scene / "test_mask" / "0" / "red chair.png").touch()
    monkeypatch.setattr(table_cells, "_figures", lambda *given: {"mIoU": 10.0, **PHRASES[given[-1].text_masks]})
    rows = (Row("ours", PAPER),)
    monkeypatch.setitem(paper_tables.TABLES, "2", replace(TABLES["2"], rows=rows))
    (cell,) = cells_of(Job("2", scene, 0), schedule).cells
    monkeypatch.setattr(table_cells, "masks_by_model", lambda finder: None)
    (other,) = cells_of(Job("2", scene, 0), replace(schedule, text_masks="model")).cells
    assert cell["figures"] != other["figures"] and len(trainings) == 1


def test_what_phrases_need_is_looked_for_before_training(
    schedule: Schedule, trainings: list, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def masks_by_model(finder: object) -> None:
        raise ProtoSagaError("no weights")

    (tmp_path / "figurines" / "test_mask").mkdir(parents=True)
    monkeypatch.setattr(table_cells, "masks_by_model", masks_by_model)
    outcome = cells_of(Job("2", tmp_path / "figurines", 0), replace(schedule, text_masks="model"))
    assert not trainings and not outcome.cells and "no weights" in outcome.missing[0]


def test_scenes_of_other_data_with_the_same_name_are_refused(
    schedule: Schedule, trainings: list, tmp_path: Path
) -> None:
    scenes = [tmp_path / place / "office.0 b" for place in ("one", "two")]
    for scene in scenes:
        (scene / "semantic_instance").mkdir(parents=True)
    first = cells_of(Job("1", scenes[0], 0), schedule)
    outcome = cells_of(Job("1", scenes[1], 0), schedule)
    assert len(first.cells) == 3 and not outcome.cells
    assert "another scene with this name" in outcome.missing[0] and "--folder" in outcome.missing[0]
    assert len(cells_of(Job("1", scenes[0], 0), schedule).cells) == 3


def test_a_folder_that_was_moved_keeps_the_cells_of_its_own_scenes(
    schedule: Schedule, trainings: list, tmp_path: Path
) -> None:
    scene = demo_scene(tmp_path / "scenes")
    cells = cells_of(Job("1", scene, 0), schedule).cells
    trainings.clear()
    moved = tmp_path.with_name(f"{tmp_path.name} moved")
    tmp_path.rename(moved)
    again = cells_of(Job("1", moved / "scenes" / scene.name, 0), replace(schedule, folder=moved))
    assert again.cells == cells and len(trainings) == 1  # the one that fails


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
