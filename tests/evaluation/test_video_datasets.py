"""The layouts of DAVIS and MOSE, and what is said when a part is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.videos import find_davis, find_mose, find_sequences
from proto_saga_ns.evaluation.folders import evaluate_best_masks
from proto_saga_ns.labels import write_label_map

LABELS = np.array([[0, 1, 1], [0, 2, 2]], np.uint8)


def write_frames(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        Image.new("RGB", (3, 2)).save(folder / f"{index:05d}.jpg")


def write_annotations(folder: Path, count: int) -> None:
    """Palette PNG whose colours have nothing to do with their index."""
    folder.mkdir(parents=True)
    for index in range(count):
        image = Image.fromarray(LABELS, "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(folder / f"{index:05d}.png")


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    root = tmp_path / "DAVIS"
    for name, count in (("cows", 2), ("bear", 3)):
        write_frames(root / "JPEGImages" / "480p" / name, count)
        write_annotations(root / "Annotations" / "480p" / name, count)
    lists = {"2017/val": "cows\n\n", "2016/train": "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n"}
    for name, text in lists.items():
        file = root / "ImageSets" / f"{name}.txt"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    return root


@pytest.fixture
def mose(tmp_path: Path) -> Path:
    root = tmp_path / "MOSE"
    for split, annotated in (("train", 3), ("valid", 1)):
        write_frames(root / split / "JPEGImages" / "0a1b", 3)
        write_annotations(root / split / "Annotations" / "0a1b", annotated)
    return root


def test_davis(davis: Path) -> None:
    bear, cows = find_sequences(davis)
    assert (bear.name, cows.name) == ("bear", "cows")
    assert [path.name for path in bear.frames] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    assert [path.name for path in cows.annotations] == ["00000.png", "00001.png"]
    assert find_davis(davis) == [bear, cows]


@pytest.mark.parametrize(("split", "name"), [("2017/val", "cows"), ("2016/train", "bear")])
def test_lists_of_davis(davis: Path, split: str, name: str) -> None:
    assert [sequence.name for sequence in find_sequences(davis, split)] == [name]


def test_full_resolution(davis: Path) -> None:
    for folder in ("JPEGImages", "Annotations"):
        (davis / folder / "480p").rename(davis / folder / "Full-Resolution")
    assert len(find_sequences(davis, resolution="Full-Resolution")) == 2
    with pytest.raises(ProtoSagaError, match=r"480p; .* holds Full-Resolution"):
        find_sequences(davis)


def test_mose(mose: Path) -> None:
    (train,) = find_sequences(mose)
    assert (len(train.frames), len(train.annotations)) == (3, 3)
    (valid,) = find_mose(mose, "valid")
    assert (len(valid.frames), len(valid.annotations)) == (3, 1)


def test_annotations_are_read_by_index(davis: Path, tmp_path: Path) -> None:
    bear, _ = find_sequences(davis)
    for frame in bear.frames:
        write_label_map(tmp_path / "maps" / f"{frame.stem}.png", LABELS.astype(np.int32) * 40)
    result = evaluate_best_masks(tmp_path / "maps", bear.annotations)
    assert result.tracks == {1: 40, 2: 80} and result.best[0] == 1.0


def test_what_is_missing_is_named(davis: Path, mose: Path, tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match="nowhere is not a folder"):
        find_sequences(tmp_path / "nowhere")
    with pytest.raises(ProtoSagaError, match="neither JPEGImages"):
        find_sequences(tmp_path)
    with pytest.raises(ProtoSagaError, match=r"2017/test\.txt; .*2016/train, 2017/val"):
        find_sequences(davis, "2017/test")
    with pytest.raises(ProtoSagaError, match=r"MOSE/test/JPEGImages.*train and valid"):
        find_mose(mose, "test")
    (davis / "JPEGImages" / "480p" / "cows" / "00001.jpg").unlink()
    with pytest.raises(ProtoSagaError, match=r"cows/00001\.png has no frame"):
        find_sequences(davis)
    shutil.rmtree(davis / "Annotations" / "480p" / "bear")
    with pytest.raises(ProtoSagaError, match=r"Annotations/480p/bear; expected the annotations"):
        find_sequences(davis)
    (davis / "ImageSets" / "2017" / "val.txt").write_text("\n")
    with pytest.raises(ProtoSagaError, match=r"val\.txt is empty"):
        find_sequences(davis, "2017/val")
    shutil.rmtree(mose / "train" / "JPEGImages" / "0a1b")
    with pytest.raises(ProtoSagaError, match="train/JPEGImages holds no folder"):
        find_sequences(mose)
