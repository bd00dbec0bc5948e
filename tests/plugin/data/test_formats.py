"""COLMAP's reconstruction is found wherever COLMAP's users leave it, and errors name the parser that fits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.data.dataparsers import (
    BenchmarkDataConfig,
    MaskedBlenderConfig,
    MaskedColmapConfig,
    MaskedNerfstudioConfig,
)
from proto_saga_ns.plugin.data.formats import check_names, count_images, larger_model
from tests.plugin.data.formats import write_colmap
from tests.scenes import write_tiny_scene

PLACES = ("colmap/sparse/0", "sparse/0", "sparse")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A scene with a reconstruction, and nothing else that tells of poses."""
    folder = write_colmap(write_tiny_scene(tmp_path / "scene", n_views=6, size=(64, 48)))
    (folder / "transforms.json").unlink()
    return folder


def move(data: Path, place: str) -> None:
    away = (data / "colmap/sparse/0").rename(data / "away")
    (data / place).parent.mkdir(parents=True, exist_ok=True)
    away.rename(data / place)


@pytest.mark.parametrize("place", PLACES)
def test_the_reconstruction_is_found_and_said_once(data: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    move(data, place)
    parser = MaskedColmapConfig(data=data).setup()
    views = [len(parser.get_dataparser_outputs(split=split).image_filenames) for split in ("train", "val")]
    assert views == [5, 1]
    assert " ".join(capsys.readouterr().out.split()).count(f"COLMAP's reconstruction in {place} ") == 1


def test_a_place_that_is_named_goes_first_and_must_be_there(data: Path) -> None:
    with pytest.raises(ProtoSagaError, match=r"--colmap-path dense: .*There is one in colmap/sparse/0: --colmap-path"):
        MaskedColmapConfig(data=data, colmap_path=Path("dense")).setup().get_dataparser_outputs()
    with pytest.raises(ProtoSagaError, match=r"--colmap-path sparse/0: .* --colmap-path colmap/sparse/0\."):
        BenchmarkDataConfig(data=data).setup().get_dataparser_outputs()
    move(data, "dense")
    outputs = MaskedColmapConfig(data=data, colmap_path=Path("dense")).setup().get_dataparser_outputs()
    assert len(outputs.image_filenames) == 5


def test_the_config_of_earlier_runs_names_its_place(data: Path) -> None:
    """It holds nerfstudio's own default, which was there."""
    text = yaml.dump(MaskedColmapConfig(data=data, colmap_path=Path("colmap/sparse/0")))
    config = yaml.load(text, Loader=yaml.Loader)
    assert len(config.setup().get_dataparser_outputs().image_filenames) == 5


TYPED = ["/usr/bin/ns-train", "proto-saga", "--data", "a b"]


@pytest.mark.parametrize(
    ("config", "file", "typed", "command"),
    [
        (MaskedNerfstudioConfig, "sparse/0/cameras.bin", TYPED, "ns-train proto-saga --data 'a b' colmap."),
        (MaskedNerfstudioConfig, "transforms_train.json", TYPED, "ns-train proto-saga --data 'a b' blender-data."),
        (
            MaskedColmapConfig,
            "transforms.json",
            [*TYPED, "colmap", "--mask-source", "sam"],
            "ns-train proto-saga --data 'a b' nerfstudio-data --mask-source sam.",
        ),
        (
            BenchmarkDataConfig,
            "transforms.json",
            [*TYPED, "benchmark-data"],
            "ns-train proto-saga --data 'a b' nerfstudio-data.",
        ),
        (MaskedBlenderConfig, "sparse/cameras.txt", ["proto-saga", "segment"], "the data parser colmap reads."),
        (MaskedColmapConfig, "images/a.jpg", [*TYPED, "colmap"], "ns-process-data makes them from photos."),
    ],
)
def test_what_fits_is_named_as_it_is_typed(
    config: type, file: str, typed: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    monkeypatch.setattr("sys.argv", typed)
    with pytest.raises(ProtoSagaError) as error:
        config(data=tmp_path).setup().get_dataparser_outputs()
    assert str(error.value).endswith(command) and str(tmp_path) in str(error.value)


def test_a_name_with_a_space_in_a_text_model_is_told(data: Path) -> None:
    """Nerfstudio splits these lines at spaces; in binary models names end with a zero."""
    check_names(data / "colmap/sparse/0")
    file = data / "colmap/sparse/0/images.txt"
    file.write_text("# a comment of many many words that is none of the images\n" + file.read_text())
    check_names(file.parent)
    file.write_text(file.read_text().replace("view_002.png", "view 002.png"))
    with pytest.raises(ProtoSagaError, match=r"'view 002\.png' in .*images\.txt has a space.*model_converter"):
        MaskedColmapConfig(data=data).setup().get_dataparser_outputs()
    (file.parent / "images.bin").touch()
    check_names(file.parent)


def fragment(data: Path, place: str, count: int) -> None:
    """A model of the first images alone."""
    shutil.copytree(data / "sparse/0", data / place)
    lines = (data / "sparse/0/images.txt").read_text().splitlines(keepends=True)
    (data / place / "images.txt").write_text("".join(lines[: 2 * count]))


def test_a_model_with_more_images_than_the_one_that_is_taken_is_said(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    move(data, "sparse/0")
    assert larger_model(data, Path("sparse/0")) is None
    fragment(data, "sparse/1", 4)
    assert larger_model(data, Path("sparse/0")) is None
    (data / "sparse/0").rename(data / "sparse/2")
    (data / "sparse/1").rename(data / "sparse/0")
    assert larger_model(data, Path("sparse/0")) == (Path("sparse/2"), 6, 4)
    parser = MaskedColmapConfig(data=data).setup()
    for split in ("train", "val"):
        parser.get_dataparser_outputs(split=split)
    said = " ".join(capsys.readouterr().out.split())
    assert (
        said.count("sparse/0 has 4 images, sparse/2 has 6. To train on the latter: colmap --colmap-path sparse/2") == 1
    )


def test_images_of_a_binary_model_are_counted(tmp_path: Path) -> None:
    assert count_images(tmp_path) == 0
    (tmp_path / "images.bin").write_bytes((300).to_bytes(8, "little") + b"...")
    assert count_images(tmp_path) == 300


def test_a_lens_that_nerfstudio_does_not_read_names_colmaps_way_out(data: Path) -> None:
    (data / "colmap/sparse/0/cameras.txt").write_text("1 FULL_OPENCV 64 48 51.2 51.2 32 24 0 0 0 0 0 0 0 0\n")
    with pytest.raises(ProtoSagaError, match=r"FULL_OPENCV.*colmap image_undistorter"):
        MaskedColmapConfig(data=data).setup().get_dataparser_outputs()


def test_an_archive_is_no_folder_of_data(tmp_path: Path) -> None:
    (tmp_path / "scene.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ProtoSagaError, match=r"scene\.zip is a file\. It is a ZIP archive: unpack it"):
        MaskedNerfstudioConfig(data=tmp_path / "scene.zip").setup().get_dataparser_outputs()


def test_an_image_that_is_elsewhere_is_named(tmp_path: Path) -> None:
    scene = write_tiny_scene(tmp_path, n_views=6)
    file = scene.folder / "transforms.json"
    file.write_text(file.read_text().replace("images/", "/home/somebody/images/"))
    with pytest.raises(ProtoSagaError, match=r"such as /home/somebody/images/view_000\.png"):
        MaskedNerfstudioConfig(data=scene.folder).setup().get_dataparser_outputs()
