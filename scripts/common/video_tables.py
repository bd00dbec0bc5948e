"""Tables I and II of MastSAM from its cells: on DAVIS or MOSE where they are, else on rendered stand-ins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from common.paper_tables import TRACK_COLUMNS, VIDEO_COLUMNS, VideoTable, Way
from common.queues import Queue
from common.table_text import Text, TextRow
from common.video_cells import (
    Figures,
    Job,
    Settings,
    chosen_sequences,
    data_name,
    missing_weights,
    run_all,
    run_sequence,
    shortened,
)
from proto_saga_ns.evaluation.datasets.videos import VideoSequence, find_sequences

MINUTES_OF_THE_PAPER = 15


@dataclass(frozen=True)
class VideoOptions:
    """What is tracked in Tables I and II, and how."""

    split: str | None = None
    """of DAVIS, for example 2017/val; of MOSE, train or valid"""
    resolution: str = "480p"
    """of DAVIS"""
    max_frames: int | None = None
    """the first so many frames of each sequence only"""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)
    """masks and tracker of all rows; matcher, prompts and initialisation are the rows' own"""


def video_text(
    number: str,
    table: VideoTable,
    data: Sequence[Path],
    names: Sequence[str],
    options: VideoOptions,
    queue: Queue,
    folder: Path,
) -> Text:
    """Track and evaluate what is not there yet; the table of all.

    Args:
        number: of the table.
        table: its rows.
        data: folders of DAVIS or MOSE.
        names: of some of their sequences; all if empty.
        options: how.
        queue: what runs the sequences.
        folder: of all results.
    """
    figures: dict[str, list[Figures]] = {way.name: [] for way in table.ways}
    reasons: dict[str, str] = {}
    missing, count = [], 0
    for root in data:
        found = chosen_sequences(find_sequences(root, options.split, options.resolution), names)
        sequences, count = [shortened(sequence, options.max_frames) for sequence in found], count + len(found)
        reasons |= _reasons(table, options, sequences[0])
        ways = [way for way in table.ways if way.runs and way.name not in reasons]
        place = folder / data_name(root, options.split, options.resolution, options.max_frames)
        done, failed = run_all(_jobs(ways, sequences, options), partial(run_sequence, folder=place), queue, place)
        missing += failed
        for way in ways:
            settings = options.settings.changed_by(way)
            figures[way.name] += [done[sequence, settings] for sequence in sequences if (sequence, settings) in done]
    rows = tuple(_row(way, figures[way.name], count, reasons.get(way.name)) for way in table.ways)
    head = f"Table {number}: {table.title}. {count} sequences, each once.{_time(figures.values())}"
    return Text(head, (*VIDEO_COLUMNS, *TRACK_COLUMNS), rows, tuple(missing))


def _jobs(ways: Sequence[Way], sequences: Sequence[VideoSequence], options: VideoOptions) -> list[Job]:
    return [(sequence, options.settings.changed_by(way)) for way in ways for sequence in sequences]


def _reasons(table: VideoTable, options: VideoOptions, sequence: VideoSequence) -> dict[str, str]:
    """Why rows cannot be made here."""
    asked = {way.name: missing_weights(options.settings.changed_by(way), sequence) for way in table.ways if way.runs}
    return {name: reason for name, reason in asked.items() if reason is not None}


def _row(way: Way, figures: Sequence[Figures], count: int, reason: str | None) -> TextRow:
    note = way.note if reason is None else f"not run, {reason}."
    return TextRow(way.name, figures, count if way.runs and reason is None else 0, way.published, note)


def _time(rows: Iterable[Sequence[Figures]]) -> str:
    """What a worker needs for 100 tracked images."""
    tracked = [cell for row in rows for cell in row if "consistency" in cell]
    frames, seconds = sum(cell["frames"] for cell in tracked), sum(cell["seconds"] for cell in tracked)
    if not frames:
        return ""
    return f" {100 * seconds / frames / 60:.2f} minutes of a worker for 100 images (paper: {MINUTES_OF_THE_PAPER})."
