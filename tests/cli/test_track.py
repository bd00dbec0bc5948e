"""proto-saga track: writes all it promises, goes on where it was killed, and refuses bad input in one line."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import proto_saga_ns.cli.demo_scene
from proto_saga_ns.export.videos.overlay import overlay_video
from proto_saga_ns.labels import read_label_map
from tests.cli.test_masks import assert_error
from tests.commands import Finished, Started, run

PHOTOS = Path(proto_saga_ns.cli.demo_scene.__file__).parent / "dining"
# Five photos that show the same corner of the room.
NAMES = [f"frame_{index:05d}" for index in (30, 31, 32, 67, 68)]
SIZE = WIDTH, HEIGHT = 128, 96
QUICK = ("--matcher", "sift", "--sift-min-long-edge", 256)
REGIONS = (*QUICK, "--masks", "superpixel", "--superpixel.working-size", 48)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of a part of the demo scene: images/, masks/, instances/ and transforms.json."""
    folder = tmp_path_factory.mktemp("track") / "room"
    for kind, suffix in (("images", "jpg"), ("masks", "png"), ("instances", "png")):
        resampling = Image.Resampling.LANCZOS if kind == "images" else Image.Resampling.NEAREST
        (folder / kind).mkdir(parents=True)
        for name in NAMES:
            file = f"{kind}/{name}.{suffix}"
            Image.open(PHOTOS / file).resize(SIZE, resampling).save(folder / file)
    content = json.loads((PHOTOS / "transforms.json").read_text())
    scale = WIDTH / content["w"]
    lens = {key: content[key] * scale for key in ("fl_x", "fl_y", "cx", "cy")}
    frames = [frame for frame in content["frames"] if Path(frame["file_path"]).stem in NAMES]
    (folder / "transforms.json").write_text(json.dumps({"w": WIDTH, "h": HEIGHT, **lens, "frames": frames}))
    return folder


@pytest.fixture
def photos(room: Path, tmp_path: Path) -> Path:
    """The images alone, in a folder of their own."""
    return Path(shutil.copytree(room / "images", tmp_path / "photos"))


@pytest.fixture(scope="module")
def tracked(room: Path) -> tuple[Path, Finished]:
    """The output of one run, to be left as it is, and what the run said."""
    output = room.parent / "tracked"
    return output, track(room, output, "--ground-truth", room / "instances")


@pytest.fixture(scope="module")
def video(room: Path) -> Path:
    """A pan over one photo, eleven frames."""
    path = room.parent / "clip.mp4"
    pixels = np.asarray(Image.open(PHOTOS / "images" / f"{NAMES[0]}.jpg"))
    with overlay_video(path, fps=10) as write:
        for shift in range(0, 44, 4):
            window = np.ascontiguousarray(pixels[:HEIGHT, shift : shift + WIDTH])
            write(window, np.zeros(window.shape[:2], np.int32))
    return path


def track(source: Path, output: Path, *options: object) -> Finished:
    return run("proto-saga", "track", source, "--output-dir", output, *QUICK, *options)


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file that is a result, by name; hidden are the halves that a kill leaves."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def work_times(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (output / ".tracking").rglob("*.npz")}


def frames_of(video: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def words(process: Finished) -> str:
    """What it printed; a narrow console breaks lines anywhere."""
    return " ".join(process.stdout.split())


def assert_worked(process: Finished) -> None:
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Traceback" not in process.stderr and "error" not in process.stderr.lower(), process.stderr


def edit_transforms(folder: Path, change) -> Path:
    content = json.loads((folder / "transforms.json").read_text())
    change(content)
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def test_label_maps_and_tracks_agree(tracked: tuple[Path, Finished]) -> None:
    output, process = tracked
    assert_worked(process)
    assert set(contents(output)) == {*(f"{name}.png" for name in NAMES), "tracks.json", "overlay.mp4", "points.ply"}
    label_maps = {name: read_label_map(output / f"{name}.png") for name in NAMES}
    for name in NAMES:
        with Image.open(output / f"{name}.png") as image:
            assert image.mode.startswith("I;16") and image.size == SIZE
    content = json.loads((output / "tracks.json").read_text())
    tracks = content["tracks"]
    assert content["frames"] == NAMES
    assert [one["id"] for one in tracks] == list(range(1, len(tracks) + 1))
    for one in tracks:
        areas = {name: int((labels == one["id"]).sum()) for name, labels in label_maps.items()}
        assert one["frames"] == [name for name in NAMES if areas[name]]
        assert one["pixels"] == sum(areas.values()) > 0
        assert len(one["color"]) == 3
    assert max(labels.max() for labels in label_maps.values()) == len(tracks)
    assert sum(len(one["frames"]) > 1 for one in tracks) >= 5, "instances are followed"


def test_overlay_video_shows_every_frame(tracked: tuple[Path, Finished]) -> None:
    frames = frames_of(tracked[0] / "overlay.mp4")
    assert len(frames) == len(NAMES) and all(frame.shape == (HEIGHT, WIDTH, 3) for frame in frames)


def test_points_lie_among_the_things_that_the_cameras_see(tracked: tuple[Path, Finished]) -> None:
    plyfile = pytest.importorskip("plyfile")
    vertices = plyfile.PlyData.read(tracked[0] / "points.ply")["vertex"]
    names = [one.name for one in vertices.properties]
    assert names == ["x", "y", "z", "red", "green", "blue", "instance_id"]
    assert len(vertices["x"]) > 50
    known = plyfile.PlyData.read(PHOTOS / "points.ply")["vertex"]
    for axis in "xyz":
        low, high = np.min(known[axis]), np.max(known[axis])
        inside = (vertices[axis] > low - 0.2) & (vertices[axis] < high + 0.2)
        assert inside.mean() > 0.95
    ids = {one["id"] for one in json.loads((tracked[0] / "tracks.json").read_text())["tracks"]}
    found = set(np.unique(vertices["instance_id"]).tolist())
    assert found - {0} <= ids and len(found) > 3


def test_figures_are_printed(tracked: tuple[Path, Finished]) -> None:
    text = words(tracked[1])
    for name in ("consistency", "mIoU", "precision", "recall", "frames with truth"):
        assert name in text
    for name in ("tracks.json", "overlay.mp4", "points.ply"):
        assert name in text


def test_a_second_run_computes_nothing_and_gives_the_same_files(
    room: Path, tracked: tuple[Path, Finished], tmp_path: Path
) -> None:
    output = Path(shutil.copytree(tracked[0], tmp_path / "out"))
    before = work_times(output)
    assert len(before) == len(NAMES) + len(NAMES) * (len(NAMES) - 1) // 2
    assert_worked(track(room, output))
    assert work_times(output) == before
    assert contents(output) == contents(tracked[0])


def test_other_options_compute_what_they_change(room: Path, tracked: tuple[Path, Finished], tmp_path: Path) -> None:
    output = Path(shutil.copytree(tracked[0], tmp_path / "out"))
    before = work_times(output)
    assert_worked(track(room, output, "--min-points", 3))
    after = work_times(output)
    changed = {path.parent.name for path, time_ns in after.items() if before.get(path) != time_ns}
    assert changed == {"instances"}, "the matches are the same"


def test_killed_and_run_again(room: Path, tracked: tuple[Path, Finished], tmp_path: Path) -> None:
    """At once, among the matches, among the tracks, and when the results are written."""
    output = tmp_path / "out"
    stages = {"images": 0, "matches": 4, "instances": 2, "results": 1}
    for stage, count in stages.items():
        process = Started("proto-saga", "track", room, "--output-dir", output, *QUICK)
        pattern = "*.png" if stage == "results" else f".tracking/{stage}/*.npz"
        end = time.monotonic() + 60
        while len(list(output.glob(pattern))) < count and time.monotonic() < end:
            time.sleep(0.001)
        process.kill()
    assert_worked(track(room, output))
    assert contents(output) == contents(tracked[0])


def test_fewer_frames_leave_nothing_of_a_run_on_more(
    room: Path, tracked: tuple[Path, Finished], tmp_path: Path
) -> None:
    output = Path(shutil.copytree(tracked[0], tmp_path / "out"))
    assert_worked(process := track(room, output, "--every", 2, "--ground-truth", room / "instances"))
    assert sorted(path.stem for path in output.glob("*.png")) == NAMES[::2]
    assert len(frames_of(output / "overlay.mp4")) == 3
    assert "frames with truth" in words(process)


def test_a_video_is_decoded_once_and_tracked(video: Path, tmp_path: Path) -> None:
    output, options = tmp_path / "out", (*REGIONS, "--every", 2, "--max-frames", 4)
    assert_worked(process := track(video, output, *options))
    names = [f"frame_{number:05d}" for number in range(1, 5)]
    assert sorted(path.stem for path in (output / "frames").glob("*.jpg")) == names
    assert sorted(path.stem for path in output.glob("*.png")) == names
    assert not (output / "points.ply").exists() and "points.ply" not in words(process)
    assert len(frames_of(output / "overlay.mp4")) == 4
    tracks = json.loads((output / "tracks.json").read_text())["tracks"]
    assert any(one["frames"] == names for one in tracks), "a pan: the same things in every frame"
    before = contents(output) | contents(output / "frames")
    times = {path: path.stat().st_mtime_ns for path in (output / "frames").iterdir()}
    assert_worked(track(video, output, *options))
    assert contents(output) | contents(output / "frames") == before
    assert {path: path.stat().st_mtime_ns for path in (output / "frames").iterdir()} == times


def test_masks_beside_a_video(video: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(video, tmp_path / "clip.mp4"))
    (tmp_path / "mine").mkdir()
    labels = np.ones((HEIGHT, WIDTH), np.uint16)
    labels[:, WIDTH // 2 :] = 2
    for number in (1, 2):
        Image.fromarray(labels).save(tmp_path / "mine" / f"frame_{number:05d}.png")
    options = ("--mask-dir", "mine", "--max-frames", 2)
    assert_worked(track(own, tmp_path / "out", *options))
    assert read_label_map(tmp_path / "out" / "frame_00001.png").max() == 2


def test_one_frame_alone(room: Path, tmp_path: Path) -> None:
    assert_worked(process := track(room, tmp_path / "out", "--max-frames", 1))
    assert "consistency" not in words(process)
    own = read_label_map(room / "masks" / f"{NAMES[0]}.png")
    labels = read_label_map(tmp_path / "out" / f"{NAMES[0]}.png")
    assert ((labels > 0) == (own > 0)).mean() > 0.9
    for label in np.unique(labels[labels > 0]):
        assert len(np.unique(own[labels == label])) == 1, "its own masks, renumbered"
    assert len(frames_of(tmp_path / "out" / "overlay.mp4")) == 1


def test_a_black_frame_amid_the_others(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", SIZE).save(photos / f"{NAMES[2]}.jpg")
    assert_worked(track(photos, tmp_path / "out", *REGIONS))
    tracks = json.loads((tmp_path / "out" / "tracks.json").read_text())["tracks"]
    assert any({NAMES[1], NAMES[3]} & set(one["frames"]) and len(one["frames"]) > 1 for one in tracks)


def test_frames_without_any_match(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    halves = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    halves[:, WIDTH // 2 :] = 200
    blocks = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(halves).save(folder / "a.png")
    Image.fromarray(np.kron(blocks, np.ones((16, 16, 1), np.uint8))).save(folder / "b.png")
    assert_worked(process := track(folder, tmp_path / "out", *REGIONS))
    assert "No figure for the consistency" in words(process)
    tracks = json.loads((tmp_path / "out" / "tracks.json").read_text())["tracks"]
    assert tracks and all(len(one["frames"]) == 1 for one in tracks)


def test_blenders_names_without_suffix(room: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(room, tmp_path / "room"))
    (folder / "train").mkdir()
    for path in (folder / "images").iterdir():
        Image.open(path).save(folder / "train" / f"{path.stem}.png")

    def change(content: dict) -> None:
        for frame in content["frames"]:
            frame["file_path"] = f"./train/{Path(frame['file_path']).stem}"

    assert_worked(track(edit_transforms(folder, change), tmp_path / "out"))
    assert (tmp_path / "out" / "points.ply").is_file()


def test_lenses_that_are_no_pinholes_do_without_poses(
    room: Path, tracked: tuple[Path, Finished], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(room, tmp_path / "room"))
    edit_transforms(folder, lambda content: content.update(k1=0.1))
    output = Path(shutil.copytree(tracked[0], tmp_path / "out"))
    assert_worked(process := track(folder, output))
    assert "Poses are not used" in words(process)
    assert not (output / "points.ply").exists(), "no longer true"
    assert_error(track(folder, tmp_path / "new", "--order", "poses"), "transforms.json", "--order sequence")
    assert not (tmp_path / "new").exists()


def test_sources_that_cannot_be_read(tmp_path: Path, photos: Path, video: Path) -> None:
    output = tmp_path / "out"
    assert_error(track(tmp_path / "nowhere", output), "nowhere does not exist", "a folder of images")
    (tmp_path / "clip.mp4").write_text("no video")
    assert_error(track(tmp_path / "clip.mp4", output), "clip.mp4 is no video", "an MP4 file")
    content = bytearray(video.read_bytes())
    start = content.find(b"mdat") + 4
    content[start:] = bytes(len(content) - start)
    (tmp_path / "broken.mp4").write_bytes(content)
    assert_error(track(tmp_path / "broken.mp4", output), "broken.mp4", "damaged", "an MP4 file")
    (tmp_path / "empty").mkdir()
    assert_error(track(tmp_path / "empty", output), "No images", "empty")
    Image.new("RGB", (64, 48)).save(photos / f"{NAMES[2]}.jpg")
    assert_error(track(photos, output, *REGIONS), f"{NAMES[2]}.jpg is 64x48", "128x96", "one size")
    assert not output.exists()


def test_options_that_cannot_be_met(room: Path, photos: Path, video: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    for source in (photos, video):
        options = (*REGIONS, "--order", "poses")
        assert_error(track(source, tmp_path / "o", *options), str(source), "--order sequence")
    assert not (photos / ".proto_saga").exists(), "no masks are made first"
    assert_error(track(room, output, "--matcher", "wrong"), "no matcher wrong", "sift")
    assert_error(track(room, output, "--every", 0), "--every is 0", "at least 1")
    assert_error(track(room, output, "--max-frames", 0), "--max-frames 0", "at least 1")
    assert_error(track(room, output, "--sift-ratio", 3), "ratio", "at most 1")
    assert_error(track(room, output, "--mask-dir", "nowhere"), "nowhere does not exist", "--mask-dir")
    assert_error(track(room, output, "--ground-truth", tmp_path / "nowhere"), "nowhere is not a folder")
    Image.new("L", SIZE).save(tmp_path / "other.png")
    assert_error(track(room, output, "--ground-truth", tmp_path), "has no label map", f"{NAMES[0]}.png")
    assert not output.exists()


@pytest.mark.parametrize("option", ["--points-per-mask", "--window", "--min-inliers"])
def test_numbers_out_of_range_are_explained(room: Path, tmp_path: Path, option: str) -> None:
    process = track(room, tmp_path / "out", option, 0)
    assert process.returncode == 2 and "Traceback" not in process.stderr
    text = " ".join(re.sub("[^a-z0-9_ ]", " ", process.stderr).split())
    assert option.removeprefix("--").replace("-", "_") in text and "must be at least" in text, text
    assert not (tmp_path / "out").exists()


def test_mast3r_is_missed_before_masks_are_made(photos: Path, tmp_path: Path) -> None:
    from proto_saga_ns.mastsam.matchers.mast3r import find_checkout

    if find_checkout() is not None:
        pytest.skip("MASt3R is installed")
    process = track(photos, tmp_path / "out", *REGIONS, "--matcher", "mast3r")
    assert_error(process, "MASt3R is not installed", 'pip install "proto_saga_ns[mastsam]"', "--matcher sift")
    assert not (tmp_path / "out").exists() and not (photos / ".proto_saga").exists()


def test_what_is_read_is_not_overwritten(room: Path, video: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(room, tmp_path / "room"))
    own = Path(shutil.copy(video, tmp_path / "overlay.mp4"))
    before = [contents(place) for place in (folder, *sorted(folder.iterdir())) if place.is_dir()]
    for output in (folder, folder / "images", folder / "images" / "out", folder / "masks", folder / "instances"):
        assert_error(track(folder, output, "--ground-truth", folder / "instances"), str(output), "--output-dir")
    assert_error(track(own, tmp_path, *REGIONS), "overlay.mp4", "--output-dir")
    assert [contents(place) for place in (folder, *sorted(folder.iterdir())) if place.is_dir()] == before
    assert own.read_bytes() == video.read_bytes()
