"""The tables of the Proto-SaGa paper: on its data sets where they are, else on rendered stand-ins that say so.

Every scene and seed is trained by the real ns-train and used for all rows that share the training. A finished cell (one
row, scene and seed) is kept as a JSON file with its command, versions and time, and not done again: kill it, start it
again, and it goes on. Writes table-N.md and table-N.tex; the curves of Figure 5 as PNG and SVG.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from paper_tables import COLUMNS, TABLES, Row, Table
from training import train

from proto_saga_ns.association import apply_association
from proto_saga_ns.cli.run import Run, load_run
from proto_saga_ns.evaluation import InstanceProtocol
from proto_saga_ns.files import write_atomically, write_json
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.model.association import associate_views, segment_scene, training_views
from proto_saga_ns.model.evaluate import evaluate_views, truth_of_view
from proto_saga_ns.model.evaluate_phrases import evaluate_phrases
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.standins.marks import find_mark
from proto_saga_ns.standins.options import PRESETS, Preset, StandinOptions
from proto_saga_ns.standins.write import write_standin
from proto_saga_ns.text.find import TextFinder
from proto_saga_ns.text.options import DEFAULT_MIN_SHARE
from proto_saga_ns.text.sources import masks_by_model, masks_in_folder

PACKAGES = ("proto_saga_ns", "nerfstudio", "gsplat", "torch")
TRUTH = {"replica": "semantic_instance", "scannet": "test/test_ins_full", "lerf-mask": "test_mask"}
TRAINING_TRUTH = {"replica": "semantic_instance", "scannet": "train/train_ins_full"}


@dataclass(frozen=True)
class Reproduce:
    """Run tables of the paper and print them beside the published figures."""

    table: tuple[str, ...] = ("1",)
    """1 to 7, figure-5-lambda, figure-5-tau; or all"""
    data: Path | None = None
    """folder with the scenes of the table's data set, one folder each; without it stand-ins are rendered"""
    scenes: tuple[str, ...] = ()
    """names of some of these scenes; all if not given. For stand-ins their seeds (0 if not given)"""
    seeds: int = 3
    """runs of each scene, with seeds 0, 1, ..."""
    method: Literal["proto-saga", "proto-saga-lite"] = "proto-saga"
    """of ns-train; proto-saga-lite has a shorter schedule"""
    steps: int | None = None
    """training steps; the method's own if not given"""
    segmenter: Preset = "default"
    """how bad the simulated masks of stand-ins are"""
    text_masks: Literal["model", "truth"] = "model"
    """Table 2: phrases by Grounding DINO and Segment Anything, or by the true masks of the first test view"""
    engine: Literal["local", "ray"] = "local"
    """local: one training after the other. ray: all scenes and seeds of a table at once, over the GPUs of a Ray cluster
    (extra ray; the folders must be seen from all machines)"""
    folder: Path = Path("results/proto_saga")
    """where stand-ins, runs, cells and tables are kept"""

    def run(self) -> None:
        for number in TABLES if "all" in self.table else self.table:
            if number not in TABLES:
                raise SystemExit(f"There is no table {number}. Expected some of {', '.join(TABLES)}, or all.")
            self._table(number, TABLES[number])

    def _table(self, number: str, table: Table) -> None:
        scenes = self._scenes(table)
        jobs = [(number, scene, seed) for scene in scenes for seed in range(self.seeds)]
        cells = [cell for cells in self._all(jobs) for cell in cells]
        rows = [(row, [cell["figures"] for cell in cells if cell["row"] == row.name]) for row in table.rows]
        marks = {mark.label for scene in scenes if (mark := find_mark(scene)) is not None}
        head = f"Table {number}: {table.title}. {len(scenes)} scenes x {self.seeds} seeds, {self._schedule()}."
        head += f" {'; '.join(sorted(marks))}: not comparable with the published figures." if marks else ""
        text = f"{head}\n\n{markdown(table, rows)}"
        print(text)
        write_atomically(self.folder / f"table-{number}.md", text.encode())
        write_atomically(self.folder / f"table-{number}.tex", latex(table, rows, head).encode())
        if number.startswith("figure"):
            plot(table, rows, head, self.folder / number)

    def _schedule(self) -> str:
        return self.method + (f", {self.steps} steps" if self.steps else "")

    def _scenes(self, table: Table) -> list[Path]:
        if self.data is not None:
            names = self.scenes or sorted(path.name for path in self.data.iterdir() if path.is_dir())
            return [self.data / name for name in names]
        return [self._standin(table, int(seed)) for seed in self.scenes or ("0",)]

    def _standin(self, table: Table, seed: int) -> Path:
        scene = self.folder / "standins" / f"{table.layout}-{self.segmenter}-{seed}"
        options = StandinOptions(table.layout, seed=seed)
        write_standin(scene, options, PRESETS[self.segmenter], self.segmenter)
        return scene

    def _all(self, jobs: Sequence[tuple[str, Path, int]]) -> list[list[dict[str, Any]]]:
        if self.engine == "local":
            return [self.cells(*job) for job in jobs]
        import ray
        import torch

        ray.init(ignore_reinit_error=True)
        remote = ray.remote(num_gpus=1 if torch.cuda.is_available() else 0)(Reproduce.cells)
        return ray.get([remote.remote(self, *job) for job in jobs])

    def cells(self, number: str, scene: Path, seed: int) -> list[dict[str, Any]]:
        """All rows of a table for one scene and seed; what was done before is read."""
        table, found = TABLES[number], []
        for row in table.rows:
            if row.association is None:
                continue
            file = (
                self.folder
                / "cells"
                / f"table-{number}"
                / f"{slug(row.name)}-{scene.name}-{self._run_name(row, seed)}.json"
            )
            if not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, self._cell(table, row, scene, seed))
            found.append(json.loads(file.read_text()))
        return found

    def _run_name(self, row: Row, seed: int) -> str:
        changed = [word.removeprefix("--pipeline.model.") for word in row.training]
        return "-".join([*changed, self.method, *([f"{self.steps}"] if self.steps else []), f"seed{seed}"])

    def _cell(self, table: Table, row: Row, scene: Path, seed: int) -> dict[str, Any]:
        config = self._trained(row, scene, seed)
        start = time.perf_counter()
        figures = self._figures(table, row, load_run(config), scene)
        print(scene.name, seed, row.name, {key: round(figures[key], 1) for key in COLUMNS[table.measure]}, flush=True)
        return {
            "row": row.name,
            "scene": scene.name,
            "seed": seed,
            "figures": figures,
            "training": " ".join(["ns-train", self.method, *row.training]),
            "association": str(row.association),
            "classifier": row.scene.classifier,
            "seconds": time.perf_counter() - start,
            "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        }

    def _trained(self, row: Row, scene: Path, seed: int) -> Path:
        """The run's config.yml; trained now if it has no finished checkpoint."""
        name = self._run_name(row, seed)
        done = self.folder / "outputs" / scene.name / self.method / name / "done"
        if not done.is_file():
            steps = self.steps or {"proto-saga": 30_000, "proto-saga-lite": 3000}[self.method]
            outputs = self.folder / "outputs"
            train(self.method, scene, outputs, name, seed, steps, row.training, ("benchmark-data",))
            done.touch()
        return done.parent / "config.yml"

    def _figures(self, table: Table, row: Row, run: Run, scene: Path) -> dict[str, float]:
        assert row.association is not None
        if table.measure == "training masks":
            return figures_of_masks(run, row, scene / TRAINING_TRUTH[table.layout])
        segmented = segment_scene(run.model, run.pipeline.datamanager, row.association, row.scene)
        truth = scene / TRUTH[table.layout]
        if table.measure == "phrases":
            return self._figures_of_phrases(run, segmented, truth)
        result, quality = evaluate_views(run.model, segmented, run.cameras("test"), truth)
        return {**result.figures(), **quality.figures()}

    def _figures_of_phrases(self, run: Run, scene: SegmentedScene, truth: Path) -> dict[str, float]:
        masks = masks_by_model(TextFinder()) if self.text_masks == "model" else masks_in_folder(truth / "0")
        views = run.cameras("test")
        return dict(evaluate_phrases(run.model, scene, views, truth, masks, DEFAULT_MIN_SHARE).figures())


def figures_of_masks(run: Run, row: Row, truth: Path) -> dict[str, float]:
    """The instance protocol on the associated masks of the training views (Tables 3 and 5)."""
    assert row.association is not None
    views, protocol = training_views(run.model, run.pipeline.datamanager), InstanceProtocol()
    association = associate_views(run.model, views, row.association)
    for index, name in enumerate(views.names):
        labels = apply_association(views.label_map(index).numpy(), association.instance_of_mask[index])
        protocol.add(read_label_map(truth_of_view(Path(f"{name}.png"), truth)), labels)
    return dict(protocol.result().figures())


Rows = Sequence[tuple[Row, list[dict[str, float]]]]


def markdown(table: Table, rows: Rows) -> str:
    """Mean and deviation over scenes and seeds, the published figure behind it in brackets."""
    lines = [f"| method | {' | '.join(COLUMNS[table.measure])} |", f"|---|{'---|' * len(COLUMNS[table.measure])}"]
    lines += [f"| {row.name} | {' | '.join(_texts(table, row, cells, '±'))} |" for row, cells in rows]
    return "\n".join(lines) + "\n"


def latex(table: Table, rows: Rows, caption: str) -> str:
    """The same as a LaTeX table (booktabs)."""
    columns = COLUMNS[table.measure]
    body = [" & ".join([row.name, *_texts(table, row, cells, r"$\pm$")]) + r" \\" for row, cells in rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(caption)}}}",
            rf"\begin{{tabular}}{{l{'c' * len(columns)}}}",
            r"\toprule",
            " & ".join(["method", *columns]) + r" \\",
            r"\midrule",
            *map(_escaped, body),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return re.sub(r"(?<!\\)([_%#])", r"\\\1", text)


def _texts(table: Table, row: Row, cells: list[dict[str, float]], sign: str) -> Iterator[str]:
    for index, column in enumerate(COLUMNS[table.measure]):
        values = [figures[column] for figures in cells]
        measured = f"{statistics.mean(values):.1f}" if values else ""
        measured += f" {sign} {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        published = f"({row.published[index]:.1f})" if index < len(row.published) else ""
        yield f"{measured} {published}".strip()


def plot(table: Table, rows: Rows, title: str, file: Path) -> None:
    """mIoU over the value that is varied, as PNG and SVG."""
    import matplotlib.pyplot as plt

    values = [float(row.name) for row, _ in rows]
    figures: Callable[[list[dict[str, float]]], list[float]] = lambda cells: [cell["mIoU"] for cell in cells]  # noqa: E731
    means = [statistics.mean(figures(cells)) for _, cells in rows]
    spread = [statistics.stdev(figures(cells)) if len(cells) > 1 else 0.0 for _, cells in rows]
    canvas, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    axes.errorbar(values, means, spread, marker="o", capsize=3)
    axes.set(xscale="log", xlabel=table.title, ylabel="mIoU")
    axes.set_title("\n".join(title[start : start + 70] for start in range(0, len(title), 70)), fontsize=7)
    for suffix in (".png", ".svg"):
        canvas.savefig(file.with_suffix(suffix), dpi=150)
    plt.close(canvas)


def slug(name: str) -> str:
    """A file name for a row."""
    return "-".join(re.findall(r"[a-z0-9.]+", name.lower()))


if __name__ == "__main__":
    tyro.cli(Reproduce, description=__doc__).run()
