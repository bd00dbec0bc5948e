"""The queue, the cache and the tables of scripts/reproduce_mastsam.py."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.video_datasets import VideoSequence
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches

SCRIPT = Path(__file__).parent.parent / "scripts" / "reproduce_mastsam.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reproduce_mastsam", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sequence(name: str, frames: int = 2) -> VideoSequence:
    return VideoSequence(name, tuple(Path(f"{name}/{index:05d}.jpg") for index in range(frames)), ())


def test_finished_sequences_are_not_made_again(script: ModuleType, tmp_path: Path) -> None:
    settings = script.Settings()
    jobs = [(sequence("bear"), settings), (sequence("cows"), settings)]
    made: list[str] = []

    def work(job: tuple) -> dict[str, float]:
        if job[0].name == "cows" and len(made) < 2:
            made.append("failed")
            raise ProtoSagaError("no memory")
        made.append(job[0].name)
        return {"IoU": 50.0}

    with pytest.raises(ProtoSagaError, match="no memory"):
        script.run_all(jobs, work, script.Queue(), tmp_path)
    finished = script.run_all(jobs, work, script.Queue(), tmp_path)
    assert made == ["bear", "failed", "cows"] and len(finished) == 2
    assert finished["bear", settings]["IoU"] == 50.0 and finished["bear", settings]["frames"] == 2
    other = [(sequence("bear"), settings.with_initialisation(False)), (sequence("bear", 3), settings)]
    for job in other:
        assert script.read_finished(tmp_path, *job) is None


def test_label_maps_of_a_sequence_are_evaluated(script: ModuleType, tmp_path: Path) -> None:
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
    figures = script.evaluate_sequence(video, tmp_path / "maps", script.Settings(), match)
    assert (figures["IoU"], figures["IoU of tracks"], figures["consistency"]) == (100, 50, 0)
    assert "consistency" not in script.evaluate_sequence(video, tmp_path / "maps", script.Settings(), None)


def test_tables_are_means_beside_the_paper(script: ModuleType) -> None:
    figures = [{"IoU": 40.0, "frames": 60, "seconds": 30.0}, {"IoU": 60.0, "frames": 40, "seconds": 30.0}]
    table = script.tables({"ours": figures})
    assert "| ours | 50.00 | - |" in table and "1.00 minutes" in table
    assert "| MastSAM (paper) | 45.53 | 52.28 | 52.26 | 59.88 | 92.32 |" in table
    assert "| MastSAM without initialisation (paper) | 36.78 |" in table


def test_a_sequence_that_is_not_there_is_named(script: ModuleType) -> None:
    with pytest.raises(ProtoSagaError, match="no sequence cat; there are bear"):
        script._chosen([sequence("bear")], ["cat"])


def test_both_rows_of_a_toy_data_set_by_two_workers(tmp_path: Path) -> None:
    write_davis(tmp_path / "DAVIS", ("bear", "cows", "dogs"))
    options = "--masks superpixel --matcher sift --prompts none --window 2 --queue.workers 2 --max-frames 4"
    command = [sys.executable, str(SCRIPT), "--data", str(tmp_path / "DAVIS"), "--folder", str(tmp_path / "results")]
    command += [*options.split(), "--sequences", "bear", "cows"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (root,) = (tmp_path / "results").iterdir()
    files = sorted(root.glob("*/*.json"))
    assert [path.stem for path in files] == ["bear", "cows", "bear", "cows"]
    for path in files:
        figures = json.loads(path.read_text())["figures"]
        assert figures["frames"] == 4 and figures["pairs of frames"] == 3
        assert figures["IoU"] > 80 and figures["consistency"] > 80
        assert len(list((path.parent / path.stem).glob("*.png"))) == 4
    assert len({path.parent for path in files}) == 2
    assert printed.split("| method", 1)[1] in f"{(root / 'tables.md').read_text()}\n"


def test_shortened_sequences_keep_the_annotations_of_their_frames(script: ModuleType) -> None:
    video = VideoSequence("bear", tuple(Path(f"{i}.jpg") for i in range(4)), (Path("0.png"), Path("3.png")))
    short = script._shortened(video, 2)
    assert [path.stem for path in short.frames] == ["0", "1"] and short.annotations == (Path("0.png"),)
    assert script._shortened(video, None) == video
    with pytest.raises(ProtoSagaError, match="--max-frames is 0"):
        script._shortened(video, 0)


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
