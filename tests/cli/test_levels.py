"""The commands at the levels of groups and parts: all say the same, and they are nested in each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from proto_saga_ns.cli.evaluate import Evaluate
from proto_saga_ns.cli.export import Export
from proto_saga_ns.cli.segment import Segment
from proto_saga_ns.cli.work import evaluate_runs, segment
from proto_saga_ns.cli.work import export as export_work
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.image_quality import FIGURES
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.splats.ply import read_labelled_ply, read_ply
from tests.cli.test_masks import assert_error
from tests.commands import run
from tests.conftest import TrainedRun
from tests.scene.scenes import with_levels

Rows = set[tuple[float, ...]]


@pytest.fixture(scope="module")
def loaded(trained_run: TrainedRun) -> Run:
    return load_run(trained_run.config)


@pytest.fixture
def scene(loaded: Run, monkeypatch: pytest.MonkeyPatch) -> SegmentedScene:
    """What every command finds: two instances that go together, and one in two parts."""
    found = with_levels(loaded.scene)
    monkeypatch.setattr(loaded.model, "scene", found)
    for work in (evaluate_runs, export_work, segment):
        monkeypatch.setattr(work, "load_run", lambda *_: loaded)
    return found


@pytest.fixture
def truth(trained_run: TrainedRun) -> Path:
    return trained_run.scene.folder / "instances"


@pytest.fixture
def export(trained_run: TrainedRun, tmp_path: Path) -> Callable[..., Path]:
    """Exports to a folder that is called as told, and returns it."""

    def exported(name: str, **options: Any) -> Path:
        Export(trained_run.config, tmp_path / name, **options).run()
        return tmp_path / name

    return exported


def table(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "instances.json").read_text())


def gaussians(folder: Path) -> dict[int, Rows]:
    """What the file of each id holds."""
    files = {entry["id"]: entry["file"] for entry in table(folder)["instances"] if entry["file"]}
    assert len({*files.values()}) == len(files)
    splats = {number: read_ply(folder / file) for number, file in files.items()}
    found = {
        number: {*map(tuple, torch.cat([splat.means, splat.harmonics[:, 0]], dim=1).tolist())}
        for number, splat in splats.items()
    }
    assert all(len(found[number]) == len(splats[number]) for number in found), "no two Gaussians look the same"
    return found


def joins_of(scene: SegmentedScene) -> tuple[int, int, int, int]:
    """The head of the group and its other member, the instance in parts and its smaller part."""
    assert scene.levels is not None
    (member, head), (part, whole) = (
        (int(joins.ids[0]), int(joins.into[0])) for joins in (scene.levels.groups, scene.levels.parts)
    )
    return head, member, whole, part


def test_exports_are_nested(scene: SegmentedScene, export: Callable[..., Path]) -> None:
    head, member, whole, part = joins_of(scene)
    groups, objects, parts = (gaussians(export(level, granularity=level)) for level in ("group", "object", "part"))
    assert groups.keys() == objects.keys() - {member} and parts.keys() == objects.keys() | {part}
    assert groups[head] == objects[head] | objects[member]
    assert parts[whole] | parts[part] == objects[whole] and not parts[whole] & parts[part]
    assert all(groups[number] == objects[number] for number in groups if number != head)
    assert all(parts[number] == objects[number] for number in objects if number != whole)


@pytest.mark.parametrize(("level", "words"), [("group", "groups"), ("part", "parts"), (0.1, "groups")])
def test_all_files_of_an_export_are_of_one_level(
    scene: SegmentedScene,
    trained_run: TrainedRun,
    export: Callable[..., Path],
    level: Any,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    head, member, whole, part = joins_of(scene)
    removed = head if words == "groups" else part
    what = ("instances", "rest", "labelled", "colors", "boxes")
    folder = export("out", granularity=level, what=what, label_maps=True, coco=True, split="test", remove=(removed,))
    assert f"instance files, {words} (granularity" in " ".join(capsys.readouterr().out.split())
    content, alone = table(folder), gaussians(folder)
    entries = {entry["id"]: entry for entry in content["instances"]}
    assert content["level"] == words and len(entries) == len(content["instances"])
    assert f"comment Level: {words} (gran".encode() in (folder / "labelled.ply").read_bytes()
    splat, labels = read_labelled_ply(folder / "labelled.ply")
    for number, entry in entries.items():
        assert entry["n_gaussians"] == int((labels.ids == number).sum())
        assert entry["n_exported"] == int((labels.seen_ids == number).sum()) == len(alone[number])
    assert {*labels.ids.tolist()} <= {0, *entries}
    left = read_ply(folder / f"scene_without_{removed:04d}.ply")
    assert torch.equal(left.means, splat.means[labels.ids != removed])
    boxes = json.loads((folder / "boxes.json").read_text())["boxes"]
    assert {box["id"]: box["name"] for box in boxes} == {number: entries[number]["name"] for number in alone}
    if words == "groups":
        assert entries[head]["objects"] == sorted([head, member]) and member not in entries
    else:
        assert entries[part]["name"] == f"instance {whole} part 2" and entries[part]["objects"] == [whole]
    Segment(trained_run.config, folder / "segmented", "test", level).run()
    written = table(folder / "segmented")["instances"]
    assert written == [{name: entry[name] for name in written[0]} for entry in entries.values()]
    coco = {record["label"] for record in json.loads((folder / "coco.json").read_text())["annotations"]}
    maps = sorted((folder / "label_maps").glob("*.png"))
    ids = [read_label_map(file) for file in maps]
    assert all(np.array_equal(read_label_map(folder / "segmented" / f.name), m) for f, m in zip(maps, ids, strict=True))
    assert coco == {*np.unique(ids).tolist()} - {0} <= {*entries} and removed in coco


def test_objects_are_written_as_if_there_were_no_levels(
    scene: SegmentedScene, loaded: Run, export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the viewer looked at last."""
    options = {"label_maps": True, "coco": True, "split": "test", "remove": (2,)}
    folders = []
    for name, known in (("levels", scene.with_display(granularity=0.2)), ("none", replace(scene, levels=None))):
        monkeypatch.setattr(loaded.model, "scene", known)
        folders.append(export(name, granularity="object", **options))
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*.*")) for folder in folders]
    assert files[0] == files[1] and len(files[0]) > len(scene.ids)
    assert all((folders[0] / file).read_bytes() == (folders[1] / file).read_bytes() for file in files[0])
    assert "level" not in table(folders[0]) and "objects" not in table(folders[0])["instances"][0]


def test_levels_and_ids_that_are_not_there_write_nothing(
    scene: SegmentedScene, loaded: Run, export: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, member, _, part = joins_of(scene)
    for options, words in (
        ({"granularity": 1.5}, "group, object, part"),
        ({"granularity": "group", "instances": (member,)}, rf"no instance {member} at the level of groups"),
        ({"granularity": "group", "remove": (member,)}, "--remove: the scene has no"),
        ({"granularity": "object", "instances": (part,)}, rf"no instance {part}\. It has"),
    ):
        with pytest.raises(ProtoSagaError, match=words):
            export("out", **options)
    assert scene.levels is not None
    levels = replace(scene.levels, part_of_gaussian=scene.levels.part_of_gaussian[1:])
    for known, words in (
        (replace(scene, levels=levels), "training went on"),
        (replace(scene, levels=None), "no parts"),
    ):
        monkeypatch.setattr(loaded.model, "scene", known)
        with pytest.raises(ProtoSagaError, match=words):
            export("out", granularity="part")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("level", ["group", "part"])
def test_a_level_of_a_run_is_measured_as_its_label_maps_are(
    scene: SegmentedScene,
    trained_run: TrainedRun,
    truth: Path,
    level: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {name: tmp_path / f"{name}.json" for name in ("run", "folder", "objects")}
    Segment(trained_run.config, tmp_path / "maps", "test", level).run()
    tested = tmp_path / "truth"
    tested.mkdir()
    for path in trained_run.scene.test_paths:
        (tested / f"{path.stem}.png").symlink_to(truth / f"{path.stem}.png")
    diagram = tmp_path / "diagram.png" if level == "group" else None
    Evaluate(tested, trained_run.config, json=files["run"], granularity=level, reliability=diagram).run()
    said = " ".join(capsys.readouterr().out.split())
    Evaluate(tested, predictions=tmp_path / "maps", json=files["folder"]).run()
    Evaluate(tested, trained_run.config, json=files["objects"]).run()
    measured, of_maps, objects = (json.loads(file.read_text()) for file in files.values())
    head = f"{level}s (granularity {0.25 if level == 'group' else 1})"
    assert measured.pop("level") == head and f"instance protocol, {head}" in said
    assert objects["level"] == "objects" and measured["mIoU"] != objects["mIoU"]
    about_confidence = {name: measured.pop(name) for name in ("ECE", "Brier score", "reliability") if name in measured}
    assert {name: value for name, value in measured.items() if name not in FIGURES} == of_maps
    if diagram is None:
        assert not about_confidence
    else:
        assert diagram.read_bytes().startswith(b"\x89PNG")
        assert sum(row["pixels"] for row in about_confidence["reliability"]) == sum(
            row["pixels"] for row in objects["reliability"]
        )


def test_what_means_nothing_at_a_level_is_refused(trained_run: TrainedRun, truth: Path, tmp_path: Path) -> None:
    config, diagram = trained_run.config, tmp_path / "diagram.png"
    for options, words in (
        ({"load_config": config, "granularity": "part", "reliability": diagram}, "--reliability means nothing"),
        ({"load_config": config, "granularity": -1.0}, "group, object, part"),
        ({"predictions": truth, "granularity": "group"}, "--granularity needs --load-config"),
        ({"predictions": truth, "protocol": "best-mask", "granularity": "part"}, "only to instance"),
    ):
        with pytest.raises(ProtoSagaError, match=words):
            Evaluate(truth, **options).run()
    assert not diagram.exists()


def test_a_wrong_granularity_is_one_line_and_exit_code_2() -> None:
    options = ("--load-config", "nowhere.yml", "--output-dir", "out", "--granularity", 2)
    assert_error(run("proto-saga", "export", *options), "--granularity is 2", "group, object, part")
