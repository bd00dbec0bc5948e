"""Stand-ins are the same for the same options, appear whole or not at all, and say what they are."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.marks import MARK, NOTE, find_mark
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin

OPTIONS = StandinOptions(seed=2, views=3, test_views=1, width=24, height=18, points=50, samples=1)
DEFAULT = PRESETS["default"]


def write(folder: Path, options: StandinOptions = OPTIONS, **keywords) -> bool:
    return write_standin(folder, options, DEFAULT, "default", **keywords)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", ["nerfstudio", "replica", "scannet", "lerf-mask", "davis"])
def test_the_same_options_give_the_same_bytes(layout, tmp_path: Path) -> None:
    options = replace(OPTIONS, layout=layout)
    assert write(tmp_path / "a", options) and write(tmp_path / "b", options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_another_seed_gives_other_images_and_another_segmenter_other_masks_only(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", replace(OPTIONS, seed=3))
    write_standin(tmp_path / "c", OPTIONS, PRESETS["heavy-split"], "heavy-split")
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert all(a[name] != b[name] for name in a if name.startswith("images/"))
    assert {name.split("/")[0] for name in a if a[name] != c[name]} == {"masks", MARK, NOTE}


def test_every_stand_in_says_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "room")
    mark = json.loads((tmp_path / "room" / MARK).read_text())
    assert "NOT A DATA SET" in mark["standin"] and mark["options"]["seed"] == 2 and mark["segmenter"]["split"] == 0.25
    assert "THIS IS A STAND-IN" in (tmp_path / "room" / NOTE).read_text().splitlines()[0]
    found = find_mark(tmp_path / "room" / "instances" / "frame_00000.png")
    assert found is not None and found.label.startswith("STAND-IN") and "seed 2" in found.label
    assert find_mark(tmp_path) is None


def test_a_damaged_mark_is_an_error(tmp_path: Path) -> None:
    (tmp_path / MARK).write_text("{")
    with pytest.raises(ProtoSagaError, match="make the stand-in again"):
        find_mark(tmp_path / "images")


def test_a_stand_in_that_is_there_is_left_alone(tmp_path: Path) -> None:
    assert write(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert not write(tmp_path)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("occupant", ["file", "folder with a file", "another stand-in"])
def test_what_is_in_the_way_is_refused_and_kept(occupant: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if occupant == "another stand-in":
        write(place, replace(OPTIONS, seed=9))
    else:
        note = place if occupant == "file" else place / "thesis.txt"
        note.parent.mkdir(exist_ok=True)
        note.write_text("dear")
    before = contents(tmp_path)
    with pytest.raises(ProtoSagaError, match="--output-dir"):
        write(place)
    assert contents(tmp_path) == before


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def failing(views, what):
        yield views[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "room", progress=failing)
    assert list(tmp_path.iterdir()) == []


def test_debris_of_a_killed_run_is_removed_when_it_is_old(tmp_path: Path) -> None:
    old, young, other = (tmp_path / f".{name}.standin" for name in ("room.0", "room.1", "hall.0"))
    for folder in (old, young, other):
        (folder / "images").mkdir(parents=True)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    write(tmp_path / "room")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hall.0.standin", ".room.1.standin", "room"]


def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtoSagaError, match="Cannot write"):
        write(tmp_path / "file" / "room")


@pytest.mark.parametrize(
    "change",
    [{"views": 0}, {"test_views": 4}, {"seed": -1}, {"width": 3}, {"samples": 0}, {"layout": "davis", "depth": True}],
)
def test_options_that_make_no_sense_are_refused(change: dict, tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError):
        write(tmp_path / "room", replace(OPTIONS, **change))
    assert list(tmp_path.iterdir()) == []
