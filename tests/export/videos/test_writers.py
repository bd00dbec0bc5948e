"""Videos, animations and folders of PNG, read back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.videos.writers import check_target, picture_writer

COUNT, HEIGHT, WIDTH = 5, 48, 64
NAMES = [f"{index:05d}" for index in range(COUNT)]


def pictures(channels: int, height: int = HEIGHT, width: int = WIDTH) -> list[np.ndarray]:
    """A ramp with a square that moves; with alpha, the square is opaque and the ramp half or not at all."""
    frames = []
    for index in range(COUNT):
        frame = np.zeros((height, width, channels), np.uint8)
        frame[..., 0], frame[..., 1] = np.linspace(0, 200, width), 90
        if channels == 4:
            frame[..., 3] = np.where(np.arange(width) < width // 2, 0, 128)
        left = 8 * index
        frame[16:32, left : left + 16] = [40, 60, 220, 255][:channels]
        frames.append(frame)
    return frames


def write(path: Path, frames: list[np.ndarray], fps: float = 10) -> None:
    with picture_writer(path, fps, NAMES) as add:
        for name, frame in zip(NAMES, frames, strict=True):
            add(name, frame)


def read(path: Path, height: int, width: int, decoder: tuple[str, ...] = ()) -> np.ndarray:
    """Frames as RGBA, whatever the file holds."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *decoder, "-i", f"file:{path}"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 4).astype(int)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mov", ".gif"])
def test_opaque_frames_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"chair: a clip{suffix}"
    frames = pictures(3)
    write(path, frames)
    back = read(path, HEIGHT, WIDTH)
    assert len(back) == COUNT
    assert (back[..., 3] == 255).all()
    assert np.abs(back[..., :3] - np.stack(frames)).mean() < 6
    assert [path.name] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize("suffix", [".webm", ".mov", ".gif"])
def test_alpha_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    frames = np.stack(pictures(4)).astype(int)
    write(path, list(frames.astype(np.uint8)))
    # ffmpeg's own VP9 decoder does not look at alpha.
    back = read(path, HEIGHT, WIDTH, ("-c:v", "libvpx-vp9") if suffix == ".webm" else ())
    assert len(back) == COUNT
    wanted = np.where(frames[..., 3] >= 128, 255, 0) if suffix == ".gif" else frames[..., 3]
    assert np.abs(back[..., 3] - wanted).mean() < 4
    opaque = frames[..., 3] == 255
    assert np.abs(back[opaque][:, :3] - frames[opaque][:, :3]).mean() < 12


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (48, 64)), (".webm", (48, 64)), (".mov", (47, 63)),
                                              (".gif", (47, 63))])  # fmt: skip
def test_sizes_are_even_only_where_they_must_be(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"odd{suffix}"
    write(path, pictures(3, 47, 63))
    assert len(read(path, *size)) == COUNT


@pytest.mark.parametrize("channels", [3, 4])
def test_png_come_back_exactly(tmp_path: Path, channels: int) -> None:
    folder = tmp_path / "a" / "pictures"
    for _ in range(2):
        write(folder, pictures(channels))
    assert sorted(path.stem for path in folder.iterdir()) == NAMES
    for name, frame in zip(NAMES, pictures(channels), strict=True):
        assert (np.asarray(Image.open(folder / f"{name}.png")) == frame).all()
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "pictures"])
def test_what_was_there_stays_if_it_ends_badly(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, pictures(3))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt), picture_writer(tmp_path / name, 10, NAMES) as add:
        add(NAMES[0], 255 - pictures(3)[0])
        raise KeyboardInterrupt
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_pictures_of_another_render_are_not_mixed_with_these(tmp_path: Path) -> None:
    write(tmp_path, pictures(3))
    with (
        pytest.raises(ProtoSagaError, match=r"3 other PNG files, such as 00002\.png"),
        picture_writer(tmp_path, 10, NAMES[:2]),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtoSagaError, match=r"Cannot write pictures to .*file/pictures"):
        write(tmp_path / "file" / "pictures", pictures(3))


def test_a_target_that_cannot_take_the_pictures_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "a.webm", "a.mov", "a.gif", "folder"):
        check_target(tmp_path / name, has_alpha=False)
    for name in ("a.webm", "a.MOV", "a.gif", "folder"):
        check_target(tmp_path / name, has_alpha=True)
    with pytest.raises(ProtoSagaError, match=r"Name it a\.webm or a\.mov.*--background white"):
        check_target(tmp_path / "a.mp4", has_alpha=True)
    with pytest.raises(ProtoSagaError, match=r"unknown format \.avi"):
        check_target(tmp_path / "a.avi", has_alpha=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(ProtoSagaError, match="not a folder"):
        check_target(tmp_path / "file", has_alpha=False)

    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(ProtoSagaError, match="pip install --force-reinstall imageio-ffmpeg"):
        check_target(tmp_path / "a.mp4", has_alpha=False)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(ProtoSagaError, match=r"nowhere cannot be run.*IMAGEIO_FFMPEG_EXE"):
        write(tmp_path / "a.mp4", pictures(3))
