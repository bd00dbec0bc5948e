"""Tables I and II of MastSAM: all sequences of DAVIS or MOSE, with and without unmasked region initialisation.

Sequences wait in one queue; each worker takes the next one when it is free, as in the paper. FOLDER/<data set>/ gets:

    masks/<sequence>/                    masks of each frame, and
    matches/<sequence>/                  what the tracker has found out: both rows use them, made once
    <settings>/<sequence>/00000.png      consistent label maps
    <settings>/<sequence>.json           figures, with the settings that made them

What lies there is not made again: a run that was ended goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError, user_errors_end_the_process
from proto_saga_ns.evaluation import evaluate_best_masks
from proto_saga_ns.evaluation.mask_consistency import MatchFrames, mask_consistency
from proto_saga_ns.evaluation.video_datasets import VideoSequence, find_sequences
from proto_saga_ns.files import write_json
from proto_saga_ns.labels import ensure_masks, read_label_map, read_rgb
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.lazy_sequence import LazySequence
from proto_saga_ns.mastsam.matches import Matcher, Matches
from proto_saga_ns.mastsam.prompts import Prompter
from proto_saga_ns.mastsam.sequence import ImageSequence, SequenceOptions, Tracking, write_tracks
from proto_saga_ns.mastsam.settings import MastsamSettings
from proto_saga_ns.segmenters import Segmenter
from proto_saga_ns.segmenters.backends import BACKENDS
from proto_saga_ns.segmenters.sam import SamSettings
from proto_saga_ns.segmenters.sam2 import Sam2Settings
from proto_saga_ns.segmenters.superpixel import SuperpixelSettings

COLUMNS = ("IoU", "F1", "precision", "recall", "consistency")
TRACKS = ("IoU of tracks", "F1 of tracks", "precision of tracks", "recall of tracks")

PAPER: dict[str, tuple[float | None, ...]] = {
    "BYOCL (paper)": (39.06, 52.7, 46.21, 66.71, 78.73),
    "SAM (paper)": (67.87, 78.6, 98.91, 69.65, None),
    "MastSAM (paper)": (45.53, 52.28, 52.26, 59.88, 92.32),
    "MastSAM without initialisation (paper)": (36.78, 42.11, 56.82, 37.80, None),
}
"""Tables I and II, DAVIS, as percentages."""

Figures = dict[str, float]
Job = tuple[VideoSequence, "Settings"]


def _as_in_the_paper() -> MastsamSettings:
    return MastsamSettings(matcher="mast3r", prompts="sam")


@dataclass(frozen=True)
class Settings:
    """All that changes the figures of a sequence."""

    masks: Literal["sam", "sam2", "superpixel"] = "sam"
    """what makes the masks of each frame"""
    merge_objects: bool = False
    """take all annotated objects for one, as DAVIS 2016 does"""
    mastsam: tyro.conf.OmitArgPrefixes[MastsamSettings] = field(default_factory=_as_in_the_paper)
    """how they are followed"""
    sam: SamSettings = field(default_factory=SamSettings)
    """weights and settings of the masks and prompts of sam"""
    sam2: Sam2Settings = field(default_factory=Sam2Settings)
    """weights and settings of the masks of sam2"""
    superpixel: SuperpixelSettings = field(default_factory=SuperpixelSettings)
    """how finely superpixel cuts the frames"""

    @property
    def initialises(self) -> bool:
        """Whether new masks begin where there are none (Sec. IV D)."""
        return self.mastsam.tracking.tracker.initialise

    def with_initialisation(self, wanted: bool) -> Settings:
        """The same with or without unmasked region initialisation; the paper's ablation goes without."""
        tracking = self.mastsam.tracking
        tracking = replace(tracking, tracker=replace(tracking.tracker, initialise=wanted))
        return replace(self, mastsam=replace(self.mastsam, tracking=tracking))

    @property
    def record(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return json.loads(json.dumps(asdict(self), default=str))

    @property
    def name(self) -> str:
        """Folder of the figures: no two settings share one."""
        text = json.dumps(self.record, sort_keys=True)
        start = "full" if self.initialises else "no-initialisation"
        return f"{start}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Queue:
    """What runs the sequences."""

    workers: int = 1
    """sequences at a time"""
    engine: Literal["local", "ray"] = "local"
    """processes on this machine, or Ray"""
    address: str | None = None
    """ray: of a running cluster; without it Ray is started here"""
    gpus_per_worker: float = 0.0
    """ray: share of a GPU that each worker takes"""


def main(
    data: Path,
    folder: Path = Path("results/mastsam"),
    split: str | None = None,
    resolution: str = "480p",
    sequences: tuple[str, ...] = (),
    max_frames: int | None = None,
    settings: Annotated[Settings, tyro.conf.arg(name="")] = Settings(),
    queue: Queue = Queue(),
) -> None:
    """Track, evaluate, print both tables.

    Args:
        data: folder of DAVIS (with JPEGImages/) or MOSE (with train/).
        folder: where label maps and figures are kept.
        split: of DAVIS, for example 2017/val; of MOSE, train or valid.
        resolution: of DAVIS.
        sequences: only these.
        max_frames: the first so many frames of each sequence only.
        settings: of both rows, but for --initialise, which one has and one has not.
        queue: what runs the sequences.
    """
    found = _chosen(find_sequences(data, split, resolution), sequences)
    chosen = [_shortened(sequence, max_frames) for sequence in found]
    ways = {
        "MastSAM (here)": settings.with_initialisation(True),
        "MastSAM without initialisation (here)": settings.with_initialisation(False),
    }
    root = folder / _data_name(data, split, resolution, max_frames)
    jobs = [(sequence, way) for way in ways.values() for sequence in chosen]
    finished = run_all(jobs, partial(run_sequence, folder=root), queue, root)
    rows = {name: [finished[sequence.name, way] for sequence in chosen] for name, way in ways.items()}
    table = tables(rows)
    print(table)
    command = f"python scripts/reproduce_mastsam.py {' '.join(sys.argv[1:])}"
    (root / "tables.md").write_text(f"`{command.strip()}` ({len(chosen)} sequences)\n\n{table}")


def run_sequence(job: Job, folder: Path) -> Figures:
    """Track one sequence and evaluate its label maps.

    Args:
        job: the sequence, and the settings to track it with.
        folder: of all results, see the module.

    Returns:
        Figures as percentages, by the names in ``COLUMNS`` and ``TRACKS``.
    """
    sequence, settings = job
    output, work = folder / settings.name / sequence.name, folder / "matches" / sequence.name
    options, count = settings.mastsam.tracking, len(sequence.frames)
    segmenter, matcher, prompter = _networks(_without_tracking(settings))
    with _alone(work):
        masks = ensure_masks(sequence.frames, segmenter, folder / "masks" / sequence.name)
        images = ImageSequence(sequence.frames, [masks / f"{path.stem}.png" for path in sequence.frames])
        tracking = Tracking(images, matcher, options, work, prompter)
        tracking.run(lambda what, total: lambda: None)
        write_tracks(tracking, images, output, options.required_frames(count))
        place = {path.stem: index for index, path in enumerate(sequence.frames)}

        def match(a: Frame, b: Frame) -> Matches:
            return tracking.matches(place[a.name], place[b.name])

        return evaluate_sequence(sequence, output, settings, match if count > 1 else None)


def _without_tracking(settings: Settings) -> Settings:
    """The part of the settings that the networks know."""
    return replace(settings, merge_objects=False, mastsam=replace(settings.mastsam, tracking=SequenceOptions()))


@lru_cache(1)
def _networks(settings: Settings) -> tuple[Segmenter, Matcher, Prompter | None]:
    """Loaded once a worker, not once a sequence."""
    segmenter = BACKENDS[settings.masks].make(getattr(settings, settings.masks))
    matcher, reason = settings.mastsam.make_matcher()
    if reason:
        print(reason, flush=True)
    return segmenter, matcher, settings.mastsam.make_prompter(settings.sam)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """One worker at a time: both rows of a sequence use the same masks and matches."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def evaluate_sequence(
    sequence: VideoSequence, label_maps: Path, settings: Settings, match: MatchFrames | None
) -> Figures:
    """Best masks of the annotated frames and, given what matches two frames, consistency of all adjacent ones."""
    best = evaluate_best_masks(label_maps, sequence.annotations, merge_objects=settings.merge_objects).figures()
    if match is None:
        return {**best}
    frames = LazySequence(sequence.frames, lambda path: Frame(path.stem, read_rgb(path)))
    labels = LazySequence([label_maps / f"{path.stem}.png" for path in sequence.frames], read_label_map)
    return {**mask_consistency(frames, labels, match).figures(), **best}


def run_all(
    jobs: Sequence[Job], work: Callable[[Job], Figures], queue: Queue, folder: Path
) -> dict[tuple[str, Settings], Figures]:
    """Figures of all jobs, from the cache or by ``work``; each is kept as soon as it is there.

    Raises:
        ProtoSagaError: a sequence failed; those that were finished until then are kept.
    """
    finished, waiting = {}, []
    for sequence, settings in jobs:
        figures = read_finished(folder, sequence, settings)
        if figures is None:
            waiting.append((sequence, settings))
        else:
            finished[sequence.name, settings] = figures
    print(f"{len(finished)} of {len(jobs)} runs of sequences were finished before", flush=True)
    for (sequence, settings), figures in _engine(queue)(waiting, partial(timed, work), queue):
        write_json(_file(folder, sequence, settings), {"settings": settings.record, "figures": figures})
        finished[sequence.name, settings] = figures
        print(f"{settings.name} {sequence.name}: IoU {figures.get('IoU', float('nan')):.1f}", flush=True)
    return finished


def timed(work: Callable[[Job], Figures], job: Job) -> Figures:
    """The figures, and how long it took to make them."""
    start = time.perf_counter()
    figures = work(job)
    return {**figures, "frames": len(job[0].frames), "seconds": time.perf_counter() - start}


def read_finished(folder: Path, sequence: VideoSequence, settings: Settings) -> Figures | None:
    """Figures in the cache; None if there are none of just these settings and as many frames."""
    try:
        content = json.loads(_file(folder, sequence, settings).read_text(encoding="utf-8"))
        same = content["settings"] == settings.record and content["figures"]["frames"] == len(sequence.frames)
        return content["figures"] if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def tables(rows: Mapping[str, Sequence[Figures]]) -> str:
    """Tables I and II beside ours, in Markdown; means over sequences, each sequence once."""
    lines = [f"| method | {' | '.join((*COLUMNS, *TRACKS))} |", f"|---|{'---|' * (len(COLUMNS) + len(TRACKS))}"]
    for name, values in PAPER.items():
        lines.append(_row(name, (*values, *([None] * len(TRACKS)))))
    for name, sequences in rows.items():
        lines.append(_row(name, [_mean(sequences, column) for column in (*COLUMNS, *TRACKS)]))
    frames, seconds = (sum(figures[key] for all in rows.values() for figures in all) for key in ("frames", "seconds"))
    return "\n".join(lines) + f"\n\n{100 * seconds / frames / 60:.2f} minutes of a worker for 100 images (paper: 15).\n"


def _row(name: str, values: Sequence[float | None]) -> str:
    return f"| {name} | {' | '.join('-' if value is None else f'{value:.2f}' for value in values)} |"


def _mean(sequences: Sequence[Figures], column: str) -> float | None:
    values = [figures[column] for figures in sequences if column in figures]
    return statistics.mean(values) if values and len(values) == len(sequences) else None


def _file(folder: Path, sequence: VideoSequence, settings: Settings) -> Path:
    return folder / settings.name / f"{sequence.name}.json"


def _data_name(data: Path, split: str | None, resolution: str, max_frames: int | None) -> str:
    """A folder for each data set: two of them may have sequences of the same name."""
    which = f"{data.resolve()} {split} {resolution} {max_frames}"
    return f"{data.resolve().name}-{hashlib.sha256(which.encode()).hexdigest()[:8]}"


def _shortened(sequence: VideoSequence, max_frames: int | None) -> VideoSequence:
    if max_frames is not None and max_frames < 1:
        raise ProtoSagaError(f"--max-frames is {max_frames}. Expected 1 or more.")
    frames = sequence.frames[:max_frames]
    stems = {path.stem for path in frames}
    return replace(sequence, frames=frames, annotations=tuple(p for p in sequence.annotations if p.stem in stems))


def _chosen(found: Sequence[VideoSequence], names: Sequence[str]) -> list[VideoSequence]:
    by_name = {sequence.name: sequence for sequence in found}
    for name in names:
        if name not in by_name:
            raise ProtoSagaError(f"There is no sequence {name}; there are {', '.join(by_name)}.")
    return [by_name[name] for name in names or by_name]


Engine = Callable[[Sequence[Job], Callable[[Job], Figures], Queue], Iterator[tuple[Job, Any]]]


def _engine(queue: Queue) -> Engine:
    if queue.engine == "ray":
        return _with_ray
    return _with_processes if queue.workers > 1 else _here


def _here(jobs: Sequence[Job], work: Callable[[Job], Figures], queue: Queue) -> Iterator[tuple[Job, Figures]]:
    for job in jobs:
        yield job, work(job)


def _with_processes(jobs: Sequence[Job], work: Callable[[Job], Figures], queue: Queue) -> Iterator[tuple[Job, Figures]]:
    # A fresh interpreter each: forking a process with threads or a CUDA context is not safe.
    with ProcessPoolExecutor(queue.workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BrokenProcessPool as error:
            raise ProtoSagaError(
                "A worker process died. If memory ran out, use fewer --queue.workers; finished sequences are kept."
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _with_ray(jobs: Sequence[Job], work: Callable[[Job], Figures], queue: Queue) -> Iterator[tuple[Job, Figures]]:
    try:
        import ray
        from ray.exceptions import RayTaskError
    except ImportError as error:
        raise ProtoSagaError(
            'Ray is not installed: pip install "proto_saga_ns[ray]", or --queue.engine local.'
        ) from error
    ray.init(address=queue.address or "local", log_to_driver=False, include_dashboard=None if queue.address else False)
    remote = ray.remote(num_cpus=1, num_gpus=queue.gpus_per_worker)(_call)
    waiting, running = list(reversed(jobs)), {}
    try:
        while waiting or running:
            while waiting and len(running) < queue.workers:
                job = waiting.pop()
                running[remote.remote(work, job)] = job
            (ready, *_), _ = ray.wait(list(running))
            try:
                yield running.pop(ready), ray.get(ready)
            except RayTaskError as error:
                raise error.cause if isinstance(error.cause, ProtoSagaError) else error from error
    finally:
        ray.shutdown()


def _call(work: Callable[[Job], Figures], job: Job) -> Figures:
    """Ray takes a plain function only."""
    return work(job)


if __name__ == "__main__":
    with user_errors_end_the_process():
        tyro.cli(main)
