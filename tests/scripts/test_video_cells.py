"""The cache and the cells of MastSAM's tables, and a whole sweep over a toy data set."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from common.paper_tables import VIDEO_TABLES, Way
from common.queues import Queue
from common.video_cells import (
    Settings,
    evaluate_sequence,
    masks_beside,
    missing_weights,
    read_finished,
    run_all,
    shortened,
)
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.videos import VideoSequence
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from tests.scripts import SCRIPTS


def sequence(name: str, frames: int = 2) -> VideoSequence:
    return VideoSequence(name, tuple(Path(f"{name}/{index:05d}.jpg") for index in range(frames)), ())


def test_finished_sequences_are_not_made_again(tmp_path: Path) -> None:
    settings = Settings()
    jobs = [(sequence("bear"), settings), (sequence("cows"), settings)]
    made: list[str] = []

    def work(job: tuple) -> dict[str, float]:
        if job[0].name == "bear" and not made:
            made.append("failed")
            raise ProtoSagaError("no memory")
        made.append(job[0].name)
        return {"IoU": 50.0}

    finished, missing = run_all(jobs, work, Queue(), tmp_path)
    assert list(finished) == jobs[1:] and len(missing) == 1 and "no memory" in missing[0]
    finished, missing = run_all(jobs, work, Queue(), tmp_path)
    assert made == ["failed", "cows", "bear"] and len(finished) == 2 and not missing
    assert finished[jobs[0]]["IoU"] == 50.0 and finished[jobs[0]]["frames"] == 2
    other = [(sequence("bear"), settings.changed_by(Way("", initialise=False))), (sequence("bear", 3), settings)]
    for job in other:
        assert read_finished(tmp_path, *job) is None


def test_label_maps_of_a_sequence_are_evaluated(tmp_path: Path) -> None:
    labels = np.array([[1, 1, 0], [0, 0, 0]])
    frames, annotations = [], []
    for index in range(2):
        frames.append(tmp_path / f"{index}.jpg")
        Image.new("RGB", (3, 2)).save(frames[-1])
        annotations.append(tmp_path / "truth" / f"{index}.png")
        write_label_map(annotations[-1], labels)
        write_label_map(tmp_path / "maps" / f"{index}.png", labels * (index + 1))

    def match(a: Frame, b: Frame) -> Matches:
        xy = np.array([[0.5, 0.5]], np.float32)
        return Matches(xy, xy, np.ones(1, np.float32))

    video = VideoSequence("bear", tuple(frames), tuple(annotations))
    figures = evaluate_sequence(video, tmp_path / "maps", Settings(), match)
    assert (figures["IoU"], figures["IoU of tracks"], figures["consistency"]) == (100, 50, 0)
    assert "consistency" not in evaluate_sequence(video, tmp_path / "maps", Settings(), None)


def test_rows_whose_weights_are_not_here_say_so(tmp_path: Path) -> None:
    nowhere = replace(Settings().sam, checkpoint=tmp_path / "nothing.pth")
    settings, video = Settings(sam=nowhere), VideoSequence("bear", (tmp_path / "JPEGImages/480p/bear/0.jpg",), ())
    reasons = {way.name: missing_weights(settings.changed_by(way), video) for way in VIDEO_TABLES["I"].ways}
    assert all(reason is not None and "nothing.pth" in reason for reason in reasons.values())
    masks_beside(video).mkdir(parents=True)
    assert masks_beside(video) == tmp_path / "Masks" / "480p" / "bear"
    reasons = {way.name: missing_weights(settings.changed_by(way), video) for way in VIDEO_TABLES["I"].ways}
    assert reasons["MastSAM with SIFT"] is None and reasons["masks of each frame (SAM)"] is None
    assert reasons["MastSAM"] is not None


def test_a_sweep_over_a_toy_data_set(tmp_path: Path) -> None:
    write_davis(tmp_path / "DAVIS", ("bear", "cows", "dogs"))
    options = (
        "--table II --workers 2 --videos.max-frames 4 --videos.masks superpixel --videos.mastsam.tracking.window 2"
    )
    command = [sys.executable, str(SCRIPTS / "reproduce_proto_saga.py"), "--data", str(tmp_path / "DAVIS")]
    command += [*options.split(), "--folder", str(tmp_path / "results"), "--scenes", "bear", "cows"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (root,) = (tmp_path / "results" / "videos").iterdir()
    files = sorted(root.glob("*/*.json"))
    assert [path.stem for path in files] == ["bear", "cows", "bear", "cows"]
    for path in files:
        cell = json.loads(path.read_text())
        figures = cell["figures"]
        assert figures["frames"] == 4 and figures["pairs of frames"] == 3 and cell["machine"]["cores"]
        assert figures["IoU"] > 80 and figures["consistency"] > 80
        assert len(list((path.parent / path.stem).glob("*.png"))) == 4
    table = (tmp_path / "results" / "table-II.md").read_text()
    assert table in printed and "| MastSAM | (45.5) |" in table and "- MastSAM: not run, no weights of" in table
    (row,) = [line for line in table.splitlines() if line.startswith("| MastSAM with SIFT |")]
    assert "±" in row and "missing" not in row
    assert r"\toprule" in (tmp_path / "results" / "table-II.tex").read_text()


def test_shortened_sequences_keep_the_annotations_of_their_frames() -> None:
    video = VideoSequence("bear", tuple(Path(f"{i}.jpg") for i in range(4)), (Path("0.png"), Path("3.png")))
    short = shortened(video, 2)
    assert [path.stem for path in short.frames] == ["0", "1"] and short.annotations == (Path("0.png"),)
    assert shortened(video, None) == video
    with pytest.raises(ProtoSagaError, match="max-frames is 0"):
        shortened(video, 0)


def write_davis(root: Path, names: tuple[str, ...], frames: int = 5) -> None:
    """A textured disc that moves over a textured ground of another colour."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:72, :96]
    for name in names:
        ground, disc = rng.integers(0, 60, (2, 72, 144, 3)) + np.array([[[[0, 80, 0]]], [[[180, 0, 0]]]])
        for index in range(frames):
            inside = (rows - 36) ** 2 + (columns - 30 - 4 * index) ** 2 < 20**2
            moved = np.roll(disc, 4 * index, axis=1)
            image = np.where(inside[..., None], moved[:, :96], ground[:, :96]).astype(np.uint8)
            for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
                path = root / folder / "480p" / name / f"{index:05d}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image if suffix == "jpg" else inside.astype(np.uint8)).save(path)
