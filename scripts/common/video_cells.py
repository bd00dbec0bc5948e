"""The cells of Tables I and II of MastSAM: a sequence of DAVIS or MOSE, tracked in one way.

Sequences wait in one queue; each worker takes the next one when it is free, as in the paper. FOLDER/<data set>/ gets:

    masks/<sequence>/                    masks of each frame, and
    matches/<sequence>/                  what the tracker has found out: rows with the same matcher use them, made once
    <settings>/<sequence>/00000.png      consistent label maps
    <settings>/<sequence>.json           figures, with the settings, versions and machine that made them

What lies there is not made again: a run that was ended goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import tyro

from common.machines import machine, versions
from common.paper_tables import Way
from common.queues import Queue, alone, results
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.videos import VideoSequence
from proto_saga_ns.evaluation.folders import evaluate_best_masks
from proto_saga_ns.evaluation.mask_consistency import MatchFrames, mask_consistency
from proto_saga_ns.files import write_json
from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.masks.cache import ensure_masks
from proto_saga_ns.masks.segmenters import Segmenter
from proto_saga_ns.masks.segmenters.backends import BACKENDS
from proto_saga_ns.masks.segmenters.sam import SamSettings
from proto_saga_ns.masks.segmenters.sam2 import Sam2Settings
from proto_saga_ns.masks.segmenters.sam_weights import weights_path
from proto_saga_ns.masks.segmenters.superpixel import SuperpixelSettings
from proto_saga_ns.mastsam.frames import Frame, LazySequence
from proto_saga_ns.mastsam.matchers.mast3r import find_checkout
from proto_saga_ns.mastsam.matches import Matcher, Matches
from proto_saga_ns.mastsam.prompts import Prompter
from proto_saga_ns.mastsam.sequence import ImageSequence, SequenceOptions, Tracking, write_tracks
from proto_saga_ns.mastsam.settings import MastsamSettings
from proto_saga_ns.progress import unseen

Figures = dict[str, float]
Job = tuple[VideoSequence, "Settings"]


@dataclass(frozen=True)
class Settings:
    """All that changes the figures of a sequence."""

    masks: Literal["auto", "folder", "sam", "sam2", "superpixel"] = "auto"
    """the masks of each frame. folder: Masks/ beside JPEGImages/, laid out alike. auto: that folder if there is one,
    else sam"""
    track: tyro.conf.Suppress[bool] = True
    """whether masks are followed, or stay as they come; each row has its own"""
    merge_objects: bool = False
    """take all annotated objects for one, as DAVIS 2016 does"""
    mastsam: MastsamSettings = field(default_factory=MastsamSettings)
    """how they are followed; each row has its own matcher, prompts and initialisation"""
    sam: SamSettings = field(default_factory=SamSettings)
    """weights and settings of the masks and prompts of sam"""
    sam2: Sam2Settings = field(default_factory=Sam2Settings)
    """weights and settings of the masks of sam2"""
    superpixel: SuperpixelSettings = field(default_factory=SuperpixelSettings)
    """how finely superpixel cuts the frames"""

    def changed_by(self, way: Way) -> Settings:
        """The settings of one row of a table."""
        tracking = self.mastsam.tracking
        tracking = replace(tracking, tracker=replace(tracking.tracker, initialise=way.initialise))
        mastsam = replace(self.mastsam, matcher=way.matcher, prompts=way.prompts, tracking=tracking)
        return replace(self, track=way.track, mastsam=mastsam)

    @property
    def record(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return json.loads(json.dumps(asdict(self), default=str))

    @property
    def name(self) -> str:
        """Folder of the figures: no two settings share one."""
        text = json.dumps(self.record, sort_keys=True)
        start = self.mastsam.matcher if self.track else "untracked"
        start += "" if self.mastsam.tracking.tracker.initialise else "-no-initialisation"
        return f"{start}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_sequence(job: Job, folder: Path) -> Figures:
    """Track one sequence and evaluate its label maps.

    Args:
        job: the sequence, and the settings to track it with.
        folder: of all results, see the module.

    Returns:
        Figures as percentages, by the names of the columns of the tables.
    """
    sequence, settings = job
    matching = f"{sequence.name}/{settings.mastsam.matcher}"
    output, work = folder / settings.name / sequence.name, folder / "matches" / matching
    options, count = settings.mastsam.tracking, len(sequence.frames)
    with alone(work.parent):  # both rows of a sequence use the same masks and matches
        masks = masks_of_frames(sequence, settings, folder)
        if not settings.track:
            return evaluate_sequence(sequence, masks, settings, None)
        matcher, prompter = _networks(_without_tracking(settings))
        images = ImageSequence(sequence.frames, [masks / f"{path.stem}.png" for path in sequence.frames])
        tracking = Tracking(images, matcher, options, work, prompter)
        tracking.run(unseen)
        write_tracks(tracking, images, output, options.required_frames(count))
        place = {path.stem: index for index, path in enumerate(sequence.frames)}

        def match(a: Frame, b: Frame) -> Matches:
            return tracking.matches(place[a.name], place[b.name])

        return evaluate_sequence(sequence, output, settings, match if count > 1 else None)


def _without_tracking(settings: Settings) -> Settings:
    """The part of the settings that the networks know."""
    return replace(
        settings, merge_objects=False, track=True, mastsam=replace(settings.mastsam, tracking=SequenceOptions())
    )


def masks_of_frames(sequence: VideoSequence, settings: Settings, folder: Path) -> Path:
    """The folder of the masks of each frame; made by the segmenter if they do not lie beside the frames.

    Raises:
        ProtoSagaError: they should lie there, and do not.
    """
    beside = masks_beside(sequence)
    if settings.masks == "folder" or (settings.masks == "auto" and beside.is_dir()):
        if not beside.is_dir():
            raise ProtoSagaError(
                f"There is no {beside}. Put one PNG per frame there, or choose another --videos.masks."
            )
        return beside
    return ensure_masks(sequence.frames, _segmenter(settings), folder / "masks" / sequence.name)


def masks_beside(sequence: VideoSequence) -> Path:
    """Where the masks of a sequence lie if they came with it: Masks/ in place of JPEGImages/."""
    parts = list(sequence.frames[0].parent.parts)
    place = len(parts) - 1 - parts[::-1].index("JPEGImages")
    return Path(*parts[:place], "Masks", *parts[place + 1 :])


@lru_cache(1)
def _segmenter(settings: Settings) -> Segmenter:
    """Loaded once a worker, not once a sequence."""
    backend = "sam" if settings.masks == "auto" else settings.masks
    return BACKENDS[backend].make(getattr(settings, backend))


@lru_cache(1)
def _networks(settings: Settings) -> tuple[Matcher, Prompter | None]:
    """Loaded once a worker too."""
    return settings.mastsam.make_matcher()[0], settings.mastsam.make_prompter(settings.sam)


def missing_weights(settings: Settings, sequence: VideoSequence) -> str | None:
    """Why a row cannot be made here without downloading anything; None if it can."""
    own_masks = settings.masks == "folder" or (settings.masks == "auto" and masks_beside(sequence).is_dir())
    by_sam = settings.masks == "sam" or (settings.masks == "auto" and not own_masks)
    weights = settings.sam.checkpoint or weights_path(settings.sam.model)
    if (by_sam or (settings.track and settings.mastsam.prompts == "sam")) and not weights.is_file():
        return f"no weights of Segment Anything at {weights}"
    if not settings.track or settings.mastsam.matcher != "mast3r":
        return None
    matching = settings.mastsam.matching
    if find_checkout(matching.mast3r_path) is None:
        return "MASt3R is not installed"
    from huggingface_hub import try_to_load_from_cache  # comes with MASt3R

    weights = matching.mast3r_weights
    if Path(weights).exists() or try_to_load_from_cache(weights, "config.json"):
        return None
    return f"no weights {weights} of MASt3R"


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
) -> tuple[dict[Job, Figures], list[str]]:
    """Figures of all jobs, from the cache or by ``work``, each kept at once; and a line for each that failed."""
    finished, waiting, missing = {}, [], []
    for job in jobs:
        figures = read_finished(folder, *job)
        if figures is None:
            waiting.append(job)
        else:
            finished[job] = figures
    print(f"{len(finished)} of {len(jobs)} runs of sequences were finished before", flush=True)
    for job, outcome in results(waiting, partial(timed, work), queue):
        sequence, settings = job
        if isinstance(outcome, Exception):
            missing.append(f"{sequence.name}, {settings.name}: {type(outcome).__name__}: {outcome}")
            continue
        made_by = {"settings": settings.record, "versions": versions(), "machine": machine()}
        write_json(_file(folder, sequence, settings), {**made_by, "figures": outcome})
        finished[job] = outcome
        print(f"{settings.name} {sequence.name}: IoU {outcome.get('IoU', float('nan')):.1f}", flush=True)
    return finished, missing


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


def _file(folder: Path, sequence: VideoSequence, settings: Settings) -> Path:
    return folder / settings.name / f"{sequence.name}.json"


def data_name(data: Path, split: str | None, resolution: str, max_frames: int | None) -> str:
    """A folder for each data set: two of them may have sequences of the same name."""
    which = f"{data.resolve()} {split} {resolution} {max_frames}"
    return f"{data.resolve().name}-{hashlib.sha256(which.encode()).hexdigest()[:8]}"


def shortened(sequence: VideoSequence, max_frames: int | None) -> VideoSequence:
    if max_frames is not None and max_frames < 1:
        raise ProtoSagaError(f"--videos.max-frames is {max_frames}. Expected 1 or more.")
    frames = sequence.frames[:max_frames]
    stems = {path.stem for path in frames}
    return replace(sequence, frames=frames, annotations=tuple(p for p in sequence.annotations if p.stem in stems))


def chosen_sequences(found: Sequence[VideoSequence], names: Sequence[str]) -> list[VideoSequence]:
    by_name = {sequence.name: sequence for sequence in found}
    for name in names:
        if name not in by_name:
            raise ProtoSagaError(f"There is no sequence {name}; there are {', '.join(by_name)}.")
    return [by_name[name] for name in names or by_name]
