"""A stand-in without one of its objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.without import write_without
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.labels import read_label_map

OPTIONS = StandinOptions(seed=2, views=2, test_views=2, width=48, height=36, points=50, samples=1)


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def test_the_object_is_gone_and_nothing_else_but_its_shadow(tmp_path: Path) -> None:
    write_standin(tmp_path, OPTIONS, PRESETS["default"], "default")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    truth = [read_label_map(path) for path in sorted((tmp_path / "instances").glob("*.png"))]
    # An object of the room, not a wall, that the test views show.
    counts = sum(np.bincount(labels.ravel(), minlength=100) for labels in truth[-2:])
    instance = 7 + int(np.argmax(counts[7:]))
    folder = write_without(tmp_path, OPTIONS, instance)
    masks = sorted((folder / "masks").glob("*.png"))
    assert len(masks) == 2 and folder == tmp_path / f"without_{instance}"
    for mask in masks:
        labels = read_label_map(tmp_path / "instances" / mask.name)
        assert (np.asarray(Image.open(mask)) > 0).tolist() == (labels == instance).tolist()
        whole = next((tmp_path / "images").glob(f"{mask.stem}.*"))
        changed = (pixels(whole) != pixels(folder / "images" / mask.name)).any(axis=-1)
        assert changed[labels == instance].mean() > 0.9
        assert changed[labels != instance].mean() < 0.5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert write_without(tmp_path, OPTIONS, instance) == folder


def test_an_object_that_is_not_there_is_an_error_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match=r"no such object\. It has 1 floor"):
        write_without(tmp_path, replace(OPTIONS, seed=3), 99)
    assert not any(tmp_path.iterdir())
