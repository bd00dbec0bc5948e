"""proto-saga masks: makes, verifies and remakes the cache, and survives being killed."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.cli.masks import Masks
from proto_saga_ns.labels import read_label_map, read_rgb
from proto_saga_ns.masks.cache import ensure_masks
from proto_saga_ns.masks.segmenters import SuperpixelSegmenter, SuperpixelSettings
from proto_saga_ns.masks.segmenters.backends import AllSettings
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from tests.commands import Finished, Started, run
from tests.masks.segmenters.tiny_models import save_tiny_sam
from tests.scenes import write_tiny_scene

SETTINGS = SuperpixelSettings(working_size=48)
QUICK = ("--superpixel.working-size", SETTINGS.working_size)


def write_image(path: Path, seed: int) -> None:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (3, 4, 3), dtype=np.uint8))
    coarse.resize((64, 48), Image.Resampling.NEAREST).save(path)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = tmp_path / "room" / "images"
    images.mkdir(parents=True)
    for index in range(6):
        write_image(images / f"{index}.png", index)
    return tmp_path / "room"


def masks(*words: object) -> Finished:
    return run("proto-saga", "masks", *words, *QUICK)


def folder_of(data: Path) -> Path:
    (folder,) = (data / ".proto_saga" / "masks").iterdir()
    return folder


def times(data: Path) -> dict[str, int]:
    return {path.stem: path.stat().st_mtime_ns for path in folder_of(data).glob("*.png")}


def assert_error(process: Finished, *words: str) -> None:
    assert process.returncode == 2, process.stdout + process.stderr
    lines = process.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("proto-saga: error:"), process.stderr
    for word in words:
        assert word in lines[0], lines[0]


def assert_valid(data: Path, complete: bool = True) -> None:
    stems = {path.stem for path in (data / "images").iterdir()}
    made = list(data.glob(".proto_saga/masks/*/*.png"))
    assert {path.stem for path in made} == stems if complete else {path.stem for path in made} <= stems
    for path in made:
        truth = SuperpixelSegmenter(SETTINGS)(read_rgb(data / "images" / path.name))
        np.testing.assert_array_equal(read_label_map(path), truth)


def test_makes_verifies_and_follows_changes(data: Path) -> None:
    assert_error(masks(data, "--check"), "6 without a label map", "0.png", f"proto-saga masks {data}")
    assert not (data / ".proto_saga").exists()
    process = masks(data)
    assert process.returncode == 0 and "6 label maps, up to date" in process.stdout
    assert_valid(data)
    assert masks(data, "--check").returncode == 0
    before = times(data)
    write_image(data / "images" / "2.png", 99)
    write_image(data / "images" / "new.png", 98)
    (data / "images" / "5.png").rename(data.parent / "5.png")
    assert_error(masks(data, "--check"), "1 without a label map (new.png)", "1 changed", "(2.png)")
    process = masks(data)
    assert (
        process.returncode == 0
        and "6 label maps" in process.stdout
        and "1 more are of images that are gone" in (process.stdout)
    )
    after = times(data)
    assert {stem for stem in before if before[stem] != after[stem]} == {"2"} and "new" in after
    manifest = json.loads((folder_of(data) / "manifest.json").read_text())
    assert set(manifest["images"]) == {"0.png", "1.png", "2.png", "3.png", "4.png", "new.png"}
    # The image comes back: its mask was kept.
    (data.parent / "5.png").rename(data / "images" / "5.png")
    assert masks(data, "--check").returncode == 0
    # Training finds them by itself, and --force makes every one anew.
    assert ensure_masks(sorted((data / "images").iterdir()), SuperpixelSegmenter(SETTINGS), data) == folder_of(data)
    assert masks(data, "--force").returncode == 0
    assert all(times(data)[stem] > after[stem] for stem in after)


def test_workers_and_several_folders_and_report(data: Path) -> None:
    other = data.parent / "hall"
    shutil.copytree(data, other)
    process = masks(data, other, "--workers", 2, "--report")
    assert process.returncode == 0, process.stdout + process.stderr
    for folder in (data, other):
        assert_valid(folder)
        (page,) = (folder / ".proto_saga").glob("report-superpixel-*.html")
        assert page.with_suffix(".png").exists() and str(page) in process.stdout
    (folder_of(other) / "1.png").write_bytes(b"\x89PNG half of a file")
    assert_error(masks(data, other, "--check"), "1 with a damaged label map (1.png)", str(other))
    assert masks(data, other).returncode == 0
    assert_valid(other)


def test_training_takes_the_masks_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = write_tiny_scene(tmp_path / "scene", masks=None)
    for path in scene.image_paths:
        small = scene.folder / "images_2" / path.name
        small.parent.mkdir(exist_ok=True)
        Image.open(path).resize((32, 24)).save(small)
    assert masks(scene.folder).returncode == 0
    monkeypatch.setattr(SuperpixelSegmenter, "__call__", lambda *_: pytest.fail("made a mask again"))
    for factor in (1, 2):
        config = MaskedNerfstudioConfig(
            data=scene.folder, mask_source="superpixel", superpixel=SETTINGS, downscale_factor=factor
        )
        parser = config.setup()
        label_maps = parser.label_maps(parser.get_dataparser_outputs(split="train"), "train")
        assert all(path.parent == folder_of(scene.folder) for path in label_maps.paths)
        assert label_maps.read(0, 48 // factor, 64 // factor).max() > 0


def test_says_which_masks_training_takes_where_there_are_others(data: Path) -> None:
    assert "Training takes" not in masks(data).stdout
    shutil.copytree(folder_of(data), data / "sam_mask")
    for words in ((), ("--check",)):
        said = " ".join(masks(data, *words).stdout.split())
        assert f"Training takes the label maps in {data / 'sam_mask'}" in said and "--mask-source superpixel" in said


def test_two_processes_at_once_are_harmless(data: Path) -> None:
    started = [Started("proto-saga", "masks", data, *QUICK) for _ in range(2)]
    assert [process.wait(120).returncode for process in started] == [0, 0]
    assert_valid(data)
    assert masks(data, "--check").returncode == 0


def test_data_that_cannot_be_written_uses_the_users_cache(data: Path, tmp_path: Path) -> None:
    # A file where the folder should be stops everybody, the superuser too. In this process, for its XDG_CACHE_HOME.
    (data / ".proto_saga").write_text("")
    words = {"data": (data,), "settings": AllSettings(superpixel=SETTINGS)}
    Masks(**words, report=True).run()
    Masks(**words, check=True).run()
    (cache,) = (tmp_path / "cache" / "proto_saga_ns").iterdir()
    assert len(list(cache.glob("masks/*/*.png"))) == 6 and len(list(cache.glob("report-*.html"))) == 1


@pytest.mark.parametrize("kills", [4])
def test_killed_at_random_moments(data: Path, kills: int) -> None:
    chance = random.Random(0)
    for index in range(6, 60):
        write_image(data / "images" / f"{index}.png", index)
    for _ in range(kills):
        count = len(list(data.glob(".proto_saga/masks/*/*.png")))
        process = Started("proto-saga", "masks", data, *QUICK)
        end = time.monotonic() + 60
        while len(list(data.glob(".proto_saga/masks/*/*.png"))) == count and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        assert_valid(data, complete=False)
    assert masks(data).returncode == 0
    assert_valid(data)
    assert masks(data, "--check").returncode == 0


def test_a_folder_of_masks_is_checked_and_reported(data: Path) -> None:
    ensure_masks(sorted((data / "images").iterdir()), SuperpixelSegmenter(SETTINGS), data)
    shutil.copytree(folder_of(data), data / "mine")
    (data / "mine" / "3.png").unlink()
    process = masks(data, "--mask-dir", "mine", "--report")
    assert process.returncode == 0 and "5 label maps" in process.stdout and "1 images without" in process.stdout
    assert (data / ".proto_saga" / "report-mine.html").exists()
    assert_error(masks(data, "--mask-dir", "nowhere"), "nowhere does not exist")


def test_bad_input(data: Path) -> None:
    assert_error(masks(data / "nowhere"), "nowhere does not exist")
    assert_error(masks(), "at least one folder")
    assert_error(masks(data, "--check", "--force"), "one of the two")
    assert_error(masks(data, "--workers", 0), "--workers is 0")
    assert_error(masks(data, "--overlapping"), "those of superpixel do not", "--backend sam")
    (data / "images" / "2.png").write_bytes(b"no image")
    other = Path(shutil.copytree(data, data.parent / "other"))
    assert_error(masks(data, other), "2 of 12 masks could not be made, the others are", "2.png")
    for folder in (data, other):
        assert sorted(times(folder)) == list("01345")
        assert len(json.loads((folder_of(folder) / "manifest.json").read_text())["images"]) == 5
    (data / "transforms.json").write_text("{}")
    assert_error(masks(data), "transforms.json")


def test_conversion(data: Path) -> None:
    out = data.parent / "out"
    assert_error(run("proto-saga", "convert-masks", data, "--to", "gaga", out), "no masks to convert")
    masks(data)
    assert run("proto-saga", "convert-masks", data, "--to", "sam-json", out).returncode == 0
    process = run("proto-saga", "convert-masks", data, "--from", "sam-json", out)
    assert process.returncode == 0 and "6 views as label-maps" in process.stdout
    for path in (data / "images").iterdir():
        first, second = (read_label_map(folder / path.name) for folder in (folder_of(data), data / "masks"))
        assert len(set(zip(first.flat, second.flat, strict=True))) == first.max() == second.max()
    assert_error(run("proto-saga", "convert-masks", data, "--from", "sam-json", out), "holds files already", "--force")
    assert run("proto-saga", "convert-masks", data, "--from", "sam-json", out, "--force").returncode == 0
    assert_error(run("proto-saga", "convert-masks", data), "--from FORMAT PATH")
    assert_error(run("proto-saga", "convert-masks", data, "--to", "label-maps", data / "masks"), "Give another --to")


def test_overlapping_masks_are_kept_and_can_be_flattened_otherwise(data: Path, tmp_path: Path) -> None:
    checkpoint = save_tiny_sam(tmp_path / "tiny.pth")
    lenient = ["--sam.points-per-side", 2, "--sam.pred-iou-threshold", -1e9, "--sam.stability-threshold", 0]
    lenient += ["--sam.box-nms-threshold", 1, "--sam.flatten.min-visible-share", 0]
    command = ["proto-saga", "masks", data, "--backend", "sam", "--sam.checkpoint", checkpoint, *lenient]
    assert run(*command).returncode == 0
    before = times(data)
    process = run(*command, "--overlapping")
    assert process.returncode == 0, process.stderr
    kept = folder_of(data) / "overlapping"
    assert sorted(path.stem for path in kept.iterdir()) == sorted(before)
    after = times(data)
    assert run(*command, "--overlapping").returncode == 0
    assert times(data) == after != before, "made again once, to keep what was not kept"
    convert = ["proto-saga", "convert-masks", data, "--from", "sam-json", kept, "--to", "label-maps"]
    for order in ("score", "area"):
        options = ["--flatten.order", order, "--flatten.min-visible-share", 0]
        assert run(*convert, tmp_path / order, *options).returncode == 0
    for path in (data / "images").iterdir():
        made, same, other = (
            read_label_map(place / path.name) for place in (kept.parent, tmp_path / "score", tmp_path / "area")
        )
        np.testing.assert_array_equal(made, same)
        assert (same != other).any()
    write_image(data / "images" / "3.png", 99)
    assert run(*command, "--overlapping").returncode == 0
    assert {stem for stem, time_ns in times(data).items() if time_ns != after[stem]} == {"3"}
