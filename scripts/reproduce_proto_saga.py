"""The tables of both papers: on their data sets where they are, else on rendered stand-ins that say so.

Every scene and seed is trained by the real ns-train and used for all rows that share the training; every video is
tracked once for all rows that share the tracker. A finished cell (one row, scene and seed) is kept as a JSON file with
its commands, versions, machine and time, and not done again: kill it, start it again, and it goes on. A cell that fails
is named below its table and tried again at the next start. Writes table-N.md and table-N.tex; the curves of Figure 5 as
PNG and SVG. See docs/reproduce.md.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro
from common.paper_tables import COLUMNS, TABLES, VIDEO_TABLES, Table
from common.queues import Queue, alone
from common.table_cells import Job, Method, Schedule, demo_scene, run_jobs
from common.table_text import Text, TextRow, latex, markdown, plot
from common.video_tables import VideoOptions, video_text

from proto_saga_ns.errors import ProtoSagaError, user_errors_end_the_process
from proto_saga_ns.evaluation.standins.marks import find_mark
from proto_saga_ns.evaluation.standins.options import PRESETS, Layout, Preset, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.files import write_atomically

DEMO = "demo"


@dataclass(frozen=True)
class Reproduce:
    """Run tables of the paper and print them beside the published figures."""

    table: tuple[str, ...] = ("1",)
    """1 to 7, figure-5-lambda and figure-5-tau of Proto-SaGa; 6 and the two of Figure 5 with -lerf-mask behind them for
    that data set; I and II of MastSAM; or all"""
    data: Path | None = None
    """folder with the scenes, one folder each: in the layout of the table's data set, or in nerfstudio's format with
    the truth of all views in instances/. Tables I and II: the folder of DAVIS or MOSE. Without it stand-ins are
    rendered"""
    scenes: tuple[str, ...] = ()
    """names of some of these scenes; all if not given. Without --data: seeds of stand-ins (0 if not given), or demo for
    the scene that comes with the package"""
    seeds: int = 3
    """runs of each scene, with seeds 0, 1, ..."""
    method: Method = "proto-saga"
    """of ns-train; proto-saga-lite has a shorter schedule"""
    steps: int | None = None
    """training steps; the method's own if not given"""
    segmenter: Preset = "default"
    """how bad the simulated masks of stand-ins are"""
    text_masks: Literal["model", "truth"] = "model"
    """LERF-Mask: phrases by Grounding DINO and Segment Anything, or by the true masks of the first test view"""
    videos: VideoOptions = field(default_factory=VideoOptions)
    """Tables I and II"""
    queue: Annotated[Queue, tyro.conf.arg(name="")] = field(default_factory=Queue)
    """what runs scenes and seeds, or sequences: one after the other on this machine, or many at once"""
    folder: Path = Path("results/proto_saga")
    """where stand-ins, runs, cells and tables are kept"""

    def run(self) -> bool:
        """Make the tables; whether they are whole."""
        known = [*TABLES, *VIDEO_TABLES]
        numbers = known if "all" in self.table else self.table
        for number in numbers:
            if number not in known:
                raise ProtoSagaError(f"There is no table {number}. Expected some of {', '.join(known)}, or all.")
        for option, value in (("seeds", self.seeds), ("steps", self.steps)):
            if value is not None and value < 1:
                raise ProtoSagaError(f"--{option} is {value}. Expected 1 or more.")
        return all([self._tried(number) for number in numbers])

    def _tried(self, number: str) -> bool:
        """A table whose data are not there takes none of the others along."""
        try:
            return self._table(number)
        except ProtoSagaError as error:
            print(f"Table {number} cannot be made: {error}", file=sys.stderr, flush=True)
            return False

    def _table(self, number: str) -> bool:
        text = self._text_of_videos(number) if number in VIDEO_TABLES else self._text_of_scenes(number)
        print(markdown(text), flush=True)
        write_atomically(self.folder / f"table-{number}.md", markdown(text).encode())
        write_atomically(self.folder / f"table-{number}.tex", latex(text).encode())
        if number.startswith("figure"):
            plot(text, TABLES[number].title, self.folder / number)
        return not text.missing

    def _text_of_videos(self, number: str) -> Text:
        standins = [self._own_scene("davis", name) for name in self.scenes or ("0",)] if self.data is None else []
        names = () if standins else self.scenes
        data, folder = [self.data] if self.data is not None else standins, self.folder.resolve() / "videos"
        text = video_text(number, VIDEO_TABLES[number], data, names, self.videos, self.queue, folder)
        return replace(text, head=text.head + _marks(data))

    def _text_of_scenes(self, number: str) -> Text:
        table, schedule = TABLES[number], Schedule(self.method, self.steps, self.text_masks, self.folder.resolve())
        scenes = self._scenes(table)
        jobs = [Job(number, scene, seed) for scene in scenes for seed in range(self.seeds)]
        outcomes = run_jobs(jobs, schedule, self.queue)
        cells, count = [cell for outcome in outcomes for cell in outcome.cells], len(outcomes)
        rows = tuple(
            TextRow(
                row.name,
                [cell["figures"] for cell in cells if cell["row"] == row.name],
                count if row.association is not None else 0,
                row.published,
                row.note,
            )
            for row in table.rows
        )
        runs = f"{_counted(len(scenes), 'scene')} x {_counted(self.seeds, 'seed')}"
        head = f"Table {number}: {table.title}. {runs}, {schedule.title}." + _marks(scenes)
        return Text(head, COLUMNS[table.measure], rows, tuple(line for outcome in outcomes for line in outcome.missing))

    def _scenes(self, table: Table) -> list[Path]:
        if self.data is not None:
            return [scene.resolve() for scene in _scenes_in(self.data, self.scenes)]
        return [self._own_scene(table.layout, name).resolve() for name in dict.fromkeys(self.scenes or ("0",))]

    def _own_scene(self, layout: Layout, name: str) -> Path:
        """The demo scene or a stand-in, made once by all sweeps that share the folder."""
        is_demo = name == DEMO and layout != "davis"
        if not is_demo and not name.isdecimal():
            demo = "" if layout == "davis" else f" and not {DEMO}"
            raise ProtoSagaError(f"--scenes {name} is no seed of a stand-in{demo}. Scenes of your own need --data.")
        with alone(self.folder / "scenes"):
            return demo_scene(self.folder / "scenes") if is_demo else self._standin(layout, name)

    def _standin(self, layout: Layout, name: str) -> Path:
        scene = self.folder / "standins" / f"{layout}-{self.segmenter}-{name}"
        options = StandinOptions(layout, seed=int(name))
        write_standin(scene, options, PRESETS[self.segmenter], self.segmenter)
        return scene


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _scenes_in(data: Path, names: Sequence[str]) -> list[Path]:
    """Those of a data set with these names, or all: folders that are not hidden.

    Raises:
        ProtoSagaError: one is not there, or there is none at all.
    """
    there = sorted(path.name for path in data.glob("*") if path.is_dir() and not path.name.startswith("."))
    if not there:
        raise ProtoSagaError(f"--data {data} holds no scene. Expected a folder with one folder for each scene.")
    for name in names:
        if name not in there:
            raise ProtoSagaError(f"--data {data} has no scene {name}; there are {', '.join(there)}.")
    return [data / name for name in dict.fromkeys(names or there)]


def _marks(scenes: Sequence[Path]) -> str:
    marks = sorted({mark for scene in scenes if (mark := _mark(scene)) is not None})
    return f" {'; '.join(marks)}: not comparable with the published figures." if marks else ""


def _mark(scene: Path) -> str | None:
    """Why figures of a scene are no figures of the data set; None if they are."""
    mark = find_mark(scene)
    if mark is not None:
        return mark.label
    return f"{scene.name} IS NO SCENE OF THE DATA SET" if (scene / "transforms.json").is_file() else None


if __name__ == "__main__":
    with user_errors_end_the_process():
        whole = tyro.cli(Reproduce, description=__doc__).run()
    sys.exit(0 if whole else 1)
