"""``proto-saga evaluate`` on folders of label maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.cli.evaluate import Evaluate, Protocol
from proto_saga_ns.cli.work import evaluate_folders
from proto_saga_ns.cli.work.evaluate import STANDIN
from proto_saga_ns.evaluation.mask_consistency import MatchFrames
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from tests.commands import run

TRUTH = np.array([[1, 1, 0, 0], [2, 2, 2, 2]])
LOST = np.array([[1, 1, 0, 0], [3, 3, 3, 3]])


def write_maps(folder: Path, label_maps: Sequence[np.ndarray]) -> Path:
    for index, labels in enumerate(label_maps):
        write_label_map(folder / f"{index:05d}.png", labels)
    return folder


def write_wall(folder: Path, *, depth: bool) -> Path:
    """Two images of a wall from the same place."""
    frames = []
    for index in range(2):
        name = f"images/{index:05d}.jpg"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 2)).save(folder / name)
        frames.append({"file_path": name, "transform_matrix": np.eye(4).tolist()})
        if depth:
            frames[-1]["depth_file_path"] = f"depth_{index}.png"
            Image.fromarray(np.full((2, 4), 2000, np.uint16)).save(folder / f"depth_{index}.png")
    content = {"w": 4, "h": 2, "fl_x": 8, "fl_y": 8, "cx": 2, "cy": 1, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def same_place(a: Frame, b: Frame) -> Matches:
    """Every pixel matches itself."""
    rows, columns = np.indices(a.size).reshape(2, -1)
    xy = np.stack([columns, rows], -1).astype(np.float32) + 0.5
    return Matches(xy, xy, np.ones(len(xy), np.float32))


def test_best_mask(tmp_path: Path) -> None:
    maps, truth = write_maps(tmp_path / "maps", [TRUTH, LOST]), write_maps(tmp_path / "truth", [TRUTH, TRUTH])
    file = tmp_path / "figures.json"
    options = ("--predictions", maps, "--ground-truth", truth, "--json", file)
    process = run("proto-saga", "evaluate", "--protocol", "best-mask", *options)
    assert process.returncode == 0, process.stderr
    assert "best-mask protocol" in process.stdout and "IoU of tracks" in process.stdout
    figures = json.loads(file.read_text())
    # Of four masks one has another track.
    assert (figures["IoU"], figures["IoU of tracks"], figures["objects (truth)"]) == (100, 75, 2)


def test_objects_are_merged(tmp_path: Path) -> None:
    maps, truth = write_maps(tmp_path / "maps", [TRUTH]), write_maps(tmp_path / "truth", [TRUTH])
    Evaluate(truth, None, maps, "best-mask", tmp_path / "figures.json", merge_objects=True).run()
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["objects (truth)"], figures["IoU"]) == (1, pytest.approx(100 * 4 / 6))


def test_consistency_by_depth(tmp_path: Path) -> None:
    maps, truth = write_maps(tmp_path / "maps", [TRUTH, LOST]), write_maps(tmp_path / "truth", [TRUTH, TRUTH])
    data, file = write_wall(tmp_path / "wall", depth=True), tmp_path / "figures.json"
    options = ("--predictions", maps, "--data", data, "--epsilon", 0.1, "--ground-truth", truth, "--json", file)
    process = run("proto-saga", "evaluate", "--protocol", "consistency", *options)
    assert process.returncode == 0, process.stderr
    assert "consistency protocol" in process.stdout and "epsilon" in process.stdout
    figures = json.loads(file.read_text())
    assert (figures["consistency"], figures["labelled pixels"], figures["ids"]) == pytest.approx((100 * 4 / 12, 75, 3))
    # 0 and 1 are right, 2 in one of two frames.
    assert figures["mIoU"] == pytest.approx(100 * (1 + 1 + 0.5) / 3)


def test_consistency_by_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str | None] = []

    def match_frames(name: str | None) -> MatchFrames:
        names.append(name)
        return same_place

    monkeypatch.setattr(evaluate_folders, "_match_frames", match_frames)
    maps, data = write_maps(tmp_path / "maps", [TRUTH, LOST]), write_wall(tmp_path / "wall", depth=False)
    file = tmp_path / "figures.json"
    Evaluate(None, None, maps, "consistency", file, data=data, matcher="sift").run()
    figures = json.loads(file.read_text())
    assert figures["consistency"] == figures["consistency (cosine of masks)"] == pytest.approx(100 * 4 / 12)
    assert (figures["pairs of frames"], names) == (1, ["sift"])
    assert "mIoU" not in figures


@pytest.mark.parametrize("protocol", ["instance", "best-mask", "consistency"])
@pytest.mark.parametrize("marked", ["maps", "truth"])
def test_figures_of_a_stand_in_are_marked_loudly(
    protocol: Protocol, marked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, truth = write_maps(tmp_path / "maps", [TRUTH, LOST]), write_maps(tmp_path / "truth", [TRUTH, TRUTH])
    data = write_wall(tmp_path / "wall", depth=True) if protocol == "consistency" else None
    options = Evaluate(truth, None, maps, protocol, tmp_path / "figures.json", data=data)
    options.run()
    said = capsys.readouterr().out
    assert "STAND-IN" not in said and STANDIN not in json.loads((tmp_path / "figures.json").read_text())
    mark_as_standin(tmp_path / marked, seed=3)
    options.run()
    said = " ".join(capsys.readouterr().out.split())
    label = "STAND-IN (rendered, scannet layout, seed 3, segmenter default)"
    assert f"{label}: these figures say nothing about any data set." in said
    assert f"{protocol} protocol, STAND-IN" in said
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures[STANDIN] == [label] and next(iter(figures)) == STANDIN


def test_every_stand_in_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps, truth = write_maps(tmp_path / "maps", [TRUTH]), write_maps(tmp_path / "truth", [TRUTH])
    mark_as_standin(maps, seed=3)
    mark_as_standin(truth, seed=4)
    Evaluate(truth, None, maps, "instance").run()
    said = capsys.readouterr().out
    assert said.count("seed 3") == said.count("seed 4") == 1


def mark_as_standin(folder: Path, seed: int) -> None:
    mark = {"options": {"layout": "scannet", "seed": seed}, "segmenter_preset": "default"}
    (folder / "standin.json").write_text(json.dumps(mark))
