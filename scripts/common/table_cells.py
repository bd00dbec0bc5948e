"""The cells of the Proto-SaGa paper's tables: a scene and a seed are trained once and used for all rows that share it.

A finished cell is a JSON file with all that made it, and is not made again as long as its settings and its scene stay
the same. Sweeps that share a folder share trainings too: one of them makes each, the others wait for it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from common.machines import machine, versions
from common.paper_tables import COLUMNS, TABLES, Measure, Row, Table
from common.queues import Queue, alone, results
from common.table_text import slug
from common.training import Training, train
from proto_saga_ns.association import apply_association
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.standins.options import Layout
from proto_saga_ns.evaluation.standins.write import appearing_folder
from proto_saga_ns.files import write_json
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.masks.phrases.find import TextFinder
from proto_saga_ns.masks.phrases.options import DEFAULT_MIN_SHARE
from proto_saga_ns.masks.phrases.sources import TextMasks, masks_by_model, masks_in_folder
from proto_saga_ns.plugin.model.associate import associate_views, segment_scene, training_views
from proto_saga_ns.plugin.model.evaluate import evaluate_phrases, evaluate_views, truths_of_views
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.scene import SegmentedScene

Method = Literal["proto-saga", "proto-saga-lite"]
Cell = dict[str, Any]
STEPS: dict[Method, int] = {"proto-saga": 30_000, "proto-saga-lite": 3000}


@dataclass(frozen=True)
class Places:
    """Where a scene keeps what the tables need.

    Attributes:
        layout: of its folder.
        parser: data parser of ns-train.
        test: folder of the truth of the test views, below the scene.
        training: the same of the training views; None if there is none.
    """

    layout: Layout
    parser: str
    test: str
    training: str | None


PLACES = {
    place.layout: place
    for place in (
        Places("nerfstudio", "nerfstudio-data", "instances", "instances"),
        Places("replica", "benchmark-data", "semantic_instance", "semantic_instance"),
        Places("scannet", "benchmark-data", "test/test_ins_full", "train/train_ins_full"),
        Places("lerf-mask", "benchmark-data", "test_mask", None),
    )
}


def places_of(scene: Path, table: Table) -> Places:
    """By what the folder holds: nerfstudio's format with ``instances/``, else the layout of the table's data set.

    Raises:
        ProtoSagaError: the truth that the table needs is not there.
    """
    found = PLACES["nerfstudio" if (scene / "transforms.json").is_file() else table.layout]
    truth = found.training if table.measure == "training masks" else found.test
    if truth is None or not (scene / truth).is_dir() or (table.measure == "phrases") != (truth == "test_mask"):
        needed = {"phrases": "true masks of phrases (test_mask/)"}.get(table.measure, f"true instances ({truth}/)")
        raise ProtoSagaError(f"{scene} has no {needed} to compare with.")
    return found


@dataclass(frozen=True)
class Schedule:
    """How cells are made.

    Attributes:
        method: of ns-train.
        steps: of training; None for the method's own.
        text_masks: Table 2, by the text model or by the truth of the first test view.
        folder: of runs and cells.
    """

    method: Method
    steps: int | None
    text_masks: Literal["model", "truth"]
    folder: Path

    @property
    def title(self) -> str:
        """For the line above a table."""
        return self.method + (f", {self.steps} steps" if self.steps else "")

    def run_name(self, row: Row, seed: int) -> str:
        """Of the training that a row needs: rows with the same name share it."""
        changed = [word.lstrip("-").removeprefix("pipeline.model.") for word in (*row.training, *row.masks)]
        return "-".join([*changed, self.method, *([f"{self.steps}"] if self.steps else []), f"seed{seed}"])


@dataclass(frozen=True)
class Job:
    """All rows of a table for one scene and seed."""

    number: str
    scene: Path
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came out of a job: cells, and a line for each that failed."""

    cells: list[Cell]
    missing: list[str]


def demo_scene(folder: Path) -> Path:
    """A copy of the scene that comes with the package: training keeps masks beside the images."""
    scene = folder / DINING.name
    if not scene.is_dir():
        with appearing_folder(scene) as staging:
            shutil.copytree(DINING, staging, dirs_exist_ok=True)
    return scene


def cell_file(job: Job, row: Row, schedule: Schedule) -> Path:
    """Where the figures of a row are kept, for one scene and seed."""
    name = slug(f"{row.name}-{schedule.run_name(row, job.seed)}")  # with dots that begin no suffix
    return schedule.folder / "cells" / f"table-{job.number}" / job.scene.name / f"{name}.json"


def cells_of(job: Job, schedule: Schedule) -> Outcome:
    """Make what is not there yet; a cell that fails takes along only those that need the same training."""
    table, outcome, broken = TABLES[job.number], Outcome([], []), {}
    for row in table.rows:
        if row.association is None:
            continue
        name = schedule.run_name(row, job.seed)
        file = cell_file(job, row, schedule)
        try:
            if name in broken:
                raise broken[name]
            outcome.cells.append(_kept(file, job, row, schedule) or _made(file, job, row, schedule))
        except TrainingFailed as error:
            broken[name] = error
            outcome.missing.append(f"{job.scene.name}, seed {job.seed}, {row.name}: {error}")
        except Exception as error:  # whatever it is, the other cells do not depend on it
            outcome.missing.append(f"{job.scene.name}, seed {job.seed}, {row.name}: {type(error).__name__}: {error}")
    return outcome


class TrainingFailed(Exception):
    """ns-train ended with an error."""


def _settings(row: Row, measure: Measure, schedule: Schedule) -> dict[str, Any]:
    """What makes a kept cell another one, as JSON values."""
    assert row.association is not None
    options = {"association": asdict(row.association), "scene": asdict(row.scene)}
    phrases = {"text_masks": schedule.text_masks, "min_share": DEFAULT_MIN_SHARE} if measure == "phrases" else {}
    return {**options, "training": list(row.training), "masks": list(row.masks), **phrases}


def _kept(file: Path, job: Job, row: Row, schedule: Schedule) -> Cell | None:
    """The cell in a file, if it was made with the settings that the row has now, and of the same data."""
    try:
        cell = json.loads(file.read_text(encoding="utf-8"))
        same = cell["settings"] == _settings(row, TABLES[job.number].measure, schedule)
        return cell if same and _is_of(cell["training"], job.scene, schedule.folder) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _is_of(training: dict[str, Any], scene: Path, folder: Path) -> bool:
    """Whether a training was of this scene, and of no other of the same name.

    What lies in the folder of the sweep is known by its place in there: people move that folder as a whole.
    """
    words = shlex.split(training["command"])
    data, outputs = (Path(words[words.index(option) + 1]) for option in ("--data", "--output-dir"))
    return _place(data, outputs.parent) == _place(scene, folder)


def _place(scene: Path, folder: Path) -> Path:
    return scene.relative_to(folder) if scene.is_relative_to(folder) else scene


def _made(file: Path, job: Job, row: Row, schedule: Schedule) -> Cell:
    table = TABLES[job.number]
    places = places_of(job.scene, table)
    with alone(_run_folder(job, row, schedule)):
        config, training = _trained(job, row, schedule, places)
    start = time.perf_counter()
    figures = _figures(table, row, load_run(config, job.scene), job.scene, places, schedule)
    shown = {key: round(figures[key], 1) for key in COLUMNS[table.measure]}
    print(job.scene.name, job.seed, row.name, shown, flush=True)
    cell = {
        "row": row.name,
        "scene": job.scene.name,
        "seed": job.seed,
        "figures": figures,
        "settings": _settings(row, table.measure, schedule),
        "training": training,
        "seconds": time.perf_counter() - start,
        "versions": versions(),
        "machine": machine(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, cell)
    return json.loads(json.dumps(cell))


def _trained(job: Job, row: Row, schedule: Schedule, places: Places) -> tuple[Path, dict[str, Any]]:
    """The run's config.yml and the record of its training; trained now if it was not finished."""
    run = _run_folder(job, row, schedule)
    record = run / "common.training.json"
    if not record.is_file():
        if TABLES[job.number].measure == "phrases":
            _text_masks(job.scene / places.test, schedule)  # what it lacks is said now, not after hours
        steps = schedule.steps or STEPS[schedule.method]
        name, parser = schedule.run_name(row, job.seed), (places.parser, *row.masks)
        outputs = schedule.folder / "outputs"
        training = Training(schedule.method, job.scene, outputs, name, job.seed, steps, row.training, parser)
        start = time.perf_counter()
        try:
            train(training)
        except Exception as error:
            raise TrainingFailed(f"training failed ({error})") from error
        command = shlex.join(["ns-train", *training.command])
        made_by = {"seconds": time.perf_counter() - start, "versions": versions(), "machine": machine()}
        write_json(record, {"command": command, **made_by})
    found = json.loads(record.read_text(encoding="utf-8"))
    if not _is_of(found, job.scene, schedule.folder):
        raise ProtoSagaError(f"{run} is of another scene with this name ({found['command']}). Give another --folder.")
    return run / "config.yml", found


def _run_folder(job: Job, row: Row, schedule: Schedule) -> Path:
    return schedule.folder / "outputs" / job.scene.name / schedule.method / schedule.run_name(row, job.seed)


def _figures(table: Table, row: Row, run: Run, scene: Path, places: Places, schedule: Schedule) -> dict[str, float]:
    assert row.association is not None
    if table.measure == "training masks":
        assert places.training is not None
        return figures_of_masks(run, row, scene / places.training)
    segmented = segment_scene(run.model, run.pipeline.datamanager, row.association, row.scene)
    truth = scene / places.test
    if table.measure == "phrases":
        return _figures_of_phrases(run, segmented, truth, schedule)
    result, quality = evaluate_views(run.model, segmented, run.cameras("test"), truth)
    return {**result.figures(), **quality.figures()}


def _figures_of_phrases(run: Run, scene: SegmentedScene, truth: Path, schedule: Schedule) -> dict[str, float]:
    masks, views = _text_masks(truth, schedule), run.cameras("test")
    return dict(evaluate_phrases(run.model, scene, views, truth, masks, DEFAULT_MIN_SHARE).figures())


def _text_masks(truth: Path, schedule: Schedule) -> TextMasks:
    return masks_by_model(TextFinder()) if schedule.text_masks == "model" else masks_in_folder(truth / "0")


def figures_of_masks(run: Run, row: Row, truth: Path) -> dict[str, float]:
    """The instance protocol on the associated masks of the training views (Tables 3 and 5)."""
    assert row.association is not None
    views, protocol = training_views(run.model, run.pipeline.datamanager), InstanceProtocol()
    association = associate_views(run.model, views, row.association)
    truths = truths_of_views([Path(f"{name}.png") for name in views.names], truth)
    for index, file in enumerate(truths):
        labels = apply_association(views.label_map(index).numpy(), association.instance_of_mask[index])
        protocol.add(read_label_map(file), labels)
    return dict(protocol.result().figures())


def run_jobs(jobs: list[Job], schedule: Schedule, queue: Queue) -> list[Outcome]:
    """Outcomes of all jobs, in the order in which they end."""
    return [_outcome(job, out) for job, out in results(jobs, partial(cells_of, schedule=schedule), queue)]


def _outcome(job: Job, out: Outcome | Exception) -> Outcome:
    if isinstance(out, Outcome):
        return out
    return Outcome([], [f"{job.scene.name}, seed {job.seed}: {type(out).__name__}: {out}"])
