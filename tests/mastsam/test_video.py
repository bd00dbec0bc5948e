"""Videos are read frame by frame, upright, and written with masks on them, whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.overlay import draw_masks, mask_borders, overlay_video
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.mastsam.frames import FrameSelection
from proto_saga_ns.mastsam.image_sequence import select_images
from proto_saga_ns.mastsam.video import open_video

COUNT, HEIGHT, WIDTH = 11, 48, 64
NO_MASKS = np.zeros((HEIGHT, WIDTH), np.int32)


def picture(index: int) -> np.ndarray:
    """Red tells the index, the lower left quarter is green: which way is up can be seen."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = 20 * index
    image[HEIGHT // 2 :, : WIDTH // 2, 1] = 200
    return image


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "new" / "clip.mp4"
    with overlay_video(path, fps=25) as add:
        for index in range(COUNT):
            add(picture(index), NO_MASKS)
    return path


def ffmpeg(*arguments: object) -> str:
    """What ffmpeg says on standard error."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True).stderr


def indices(frames) -> list[int]:
    return [round(float(np.median(frame.image[..., 0])) / 20) for frame in frames]


def test_what_is_written_is_read_again(video: Path) -> None:
    source = open_video(video)
    frames = list(source)
    assert (source.count, source.size, source.fps) == (COUNT, (HEIGHT, WIDTH), pytest.approx(25))
    assert [frame.name for frame in frames[:2]] == ["frame_00001", "frame_00002"]
    assert indices(frames) == list(range(COUNT))
    assert frames[3].image.dtype == np.uint8
    assert np.abs(frames[3].image.astype(int) - picture(3)).mean() < 4
    assert indices(source) == indices(frames)


@pytest.mark.parametrize(("every", "most", "expected"), [(3, None, [0, 3, 6, 9]), (1, 2, [0, 1]), (4, 2, [0, 4])])
def test_a_selection_of_frames(video: Path, every: int, most: int | None, expected: list[int]) -> None:
    source = open_video(video, FrameSelection(every, most))
    frames = list(source)
    assert indices(frames) == expected
    assert source.count == len(expected)
    assert source.fps == pytest.approx(25 / every)
    assert frames[-1].name == f"frame_{len(expected):05d}"


def test_the_selection_asks_for_no_item_too_many() -> None:
    items = iter(range(100))
    assert list(FrameSelection(3, 2).of(items)) == [0, 3]
    assert next(items) == 4
    for every, most, total in [(1, None, 5), (2, None, 5), (2, 2, 5), (7, 9, 5), (2, None, 4)]:
        selection = FrameSelection(every, most)
        assert selection.count_of(total) == len(list(selection.of(range(total))))
    with pytest.raises(ValueError, match="at least 1"):
        FrameSelection(every=0)


def test_rotation_of_the_video_is_respected(video: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", 90, "-i", video, "-c", "copy", turned)
    source = open_video(turned)
    assert source.size == (WIDTH, HEIGHT)
    # Turned 90 degrees counterclockwise: lower left becomes lower right.
    green = next(iter(source)).image[..., 1] > 100
    assert green[WIDTH // 2 + 3 :, HEIGHT // 2 + 3 :].mean() > 0.95
    assert green[: WIDTH // 2 - 3].mean() < 0.05


def test_a_truncated_video_ends_with_its_last_good_frame(tmp_path: Path) -> None:
    path, cut = tmp_path / "clip.mkv", tmp_path / "cut.mkv"
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={WIDTH}x{HEIGHT}:rate=10", "-frames:v", 40, "-g", 5, path)
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < len(list(open_video(cut))) < 40


def test_what_is_no_video_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ProtoSagaError, match=r"gone\.mp4 does not exist"):
        open_video(tmp_path / "gone.mp4")
    for name, content in [("notes.txt", b"hello"), ("empty.mp4", b"")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ProtoSagaError, match=f"{name} is no video"):
            open_video(tmp_path / name)
    audio = tmp_path / "audio.mp4"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", audio)
    with pytest.raises(ProtoSagaError, match=r"audio\.mp4"):
        open_video(audio)
    headers = tmp_path / "headers.mkv"
    ffmpeg("-f", "lavfi", "-i", f"testsrc=size={WIDTH}x{HEIGHT}", "-frames:v", 3, headers)
    content = headers.read_bytes()
    headers.write_bytes(content[: content.index(bytes.fromhex("1f43b675")) + 12])
    with pytest.raises(ProtoSagaError, match=r"No frame of the video .*headers\.mkv"):
        open_video(headers)


def test_images_of_a_folder_come_in_natural_order(tmp_path: Path) -> None:
    for index in (10, 9, 1):
        Image.fromarray(picture(index)).save(tmp_path / f"view{index}.png")
    assert [path.stem for path in select_images(tmp_path)] == ["view1", "view9", "view10"]
    assert [path.stem for path in select_images(tmp_path, FrameSelection(2))] == ["view1", "view10"]


def test_the_first_image_of_another_size_is_named(tmp_path: Path) -> None:
    for name, size in [("a", (8, 6)), ("b", (8, 6)), ("c", (8, 7)), ("d", (9, 9))]:
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    with pytest.raises(ProtoSagaError, match=r"c\.png is 8x7, but a\.png.* is 8x6"):
        select_images(tmp_path)


def blocks() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[4:20, 4:20], labels[4:20, 20:40], labels[30:40, 30:60] = 7, 300, 12
    return labels


def test_borders_are_opaque_and_the_rest_blended() -> None:
    labels, image = blocks(), picture(5)
    drawn, border = draw_masks(image, labels, opacity=0.5), mask_borders(labels)
    assert (drawn[labels == 0] == image[labels == 0]).all()
    assert (drawn[border] == instance_colors(labels[border])).all()
    inside = (labels > 0) & ~border
    assert np.abs(drawn[inside] - (image[inside] / 2 + instance_colors(labels[inside]) / 2)).max() <= 0.5
    assert border[4, 4:40].all() and border[5, [4, 19, 20, 39]].all() and not border[5, 5:19].any()


def test_the_video_is_h264_with_even_sizes_and_the_colours_of_the_ids(tmp_path: Path) -> None:
    path = tmp_path / "overlay.mp4"
    labels = blocks()[:-1, :-1]
    with overlay_video(path, opacity=1.0) as add:
        for index in range(3):
            add(picture(index)[:-1, :-1], labels)
    described = ffmpeg("-i", path)
    assert "h264" in described and "yuv420p" in described and f"{WIDTH}x{HEIGHT}" in described
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    capture.release()
    image = next(iter(open_video(path))).image
    assert np.abs(image[8:16, 8:16].mean((0, 1)) - instance_colors(np.array([7]))).max() < 12
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")


def test_a_video_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), overlay_video(path) as add:
        add(picture(1), NO_MASKS)
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="at least one frame"), overlay_video(path):
        pass
    with pytest.raises(ValueError, match="shape"), overlay_video(path) as add:
        add(picture(1), NO_MASKS)
        add(picture(1)[:-2], NO_MASKS[:-2])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProtoSagaError, match=r"must be named \.mp4"), overlay_video(tmp_path / "clip.avi"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtoSagaError, match=r"clip\.mp4"), overlay_video(tmp_path / "file" / "clip.mp4"):
        pass
    # An ffmpeg that fails at the end, and one that fails at once.
    for script in ("cat >/dev/null; echo disk full >&2; exit 1", "echo disk full >&2; exit 1"):
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda program=program: str(program))
        with pytest.raises(ProtoSagaError, match=r"clip\.mp4: disk full"), overlay_video(tmp_path / "clip.mp4") as add:
            for _ in range(50):
                add(picture(1), NO_MASKS)
    assert not (tmp_path / "clip.mp4").exists()
