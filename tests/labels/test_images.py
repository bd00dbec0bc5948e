"""The images of a data folder are found as nerfstudio's parsers find them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import data_folder, find_images, full_size, read_rgb, size_and_orientation


def write_images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def write_frames(file: Path, *names: str) -> None:
    file.write_text(json.dumps({"frames": [{"file_path": name} for name in names]}))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_frames_come_first_and_those_without_file_are_left_out(tmp_path: Path) -> None:
    write_images(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    assert names(find_images(tmp_path)) == ["a.png", "b.png", "c.png"]
    write_frames(tmp_path / "transforms.json", "images/c.png", "images/a.png", "./images/a.png", "images/gone.png")
    assert names(find_images(tmp_path)) == ["a.png", "c.png"]
    write_frames(tmp_path / "other.json", "images/b.png")
    assert names(find_images(tmp_path / "other.json")) == ["b.png"]
    assert data_folder(tmp_path / "other.json") == tmp_path


def test_blender_means_its_training_split(tmp_path: Path) -> None:
    write_images(tmp_path, "train/r_0.png", "test/r_0.png")
    write_frames(tmp_path / "transforms_train.json", "./train/r_0")
    assert find_images(tmp_path) == [tmp_path / "train" / "r_0.png"]


def test_folders_of_images(tmp_path: Path) -> None:
    write_images(tmp_path, "b.jpg", "a.png")
    (tmp_path / "notes.txt").write_text("")
    assert names(find_images(tmp_path)) == ["a.png", "b.jpg"]
    write_images(tmp_path, "images/left/x.JPG", "images/right/y.jpeg")
    assert names(find_images(tmp_path)) == ["x.JPG", "y.jpeg"]


@pytest.mark.parametrize("content", ["{", "{}", '{"frames": [{}]}', '{"frames": 3}', '{"frames": []}'])
def test_unusable_frames_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(ProtoSagaError, match=r"transforms\.json"):
        find_images(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match="does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(ProtoSagaError, match="No images"):
        find_images(tmp_path)
    write_images(tmp_path, "images/a.png", "images/a.jpg", "images/sub/a.jpg")
    with pytest.raises(ProtoSagaError, match="share the name"):
        find_images(tmp_path)


def test_downscaled_images_stand_for_their_originals_of_the_same_data(tmp_path: Path) -> None:
    data = tmp_path / "room_2"
    write_images(tmp_path, "room_2/images/a.png", "room_2/images_4/a.png", "room/images/a.png")
    assert full_size(data / "images_4" / "a.png", data) == data / "images" / "a.png"
    assert full_size(data / "images" / "a.png", data) == data / "images" / "a.png"


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".avif", ".tif"])
def test_images_of_other_formats_are_found(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / f"a{suffix}")
    assert find_images(tmp_path) == [tmp_path / f"a{suffix}"]
    assert read_rgb(tmp_path / f"a{suffix}").shape == (6, 8, 3)


def test_photos_that_cannot_be_read_are_named_and_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "images" / "a.jpg")
    (tmp_path / "images" / "b.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "images" / "._b.HEIC").touch()
    with pytest.raises(ProtoSagaError, match=r"1 photos that are not read here, first b\.HEIC"):
        find_images(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"?", "Restore"),
    ],
)
def test_what_lies_there_in_place_of_an_image_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    for read in (read_rgb, size_and_orientation):
        with pytest.raises(ProtoSagaError, match=rf"a\.jpg.*{message}"):
            read(tmp_path / "a.jpg")
