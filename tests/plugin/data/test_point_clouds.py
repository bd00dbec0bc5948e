"""Points that training starts from: read as open3d reads them, and refused where it would give none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.recfunctions import repack_fields
from plyfile import PlyData, PlyElement

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.data.dataparsers import MaskedBlenderConfig, MaskedColmapConfig, MaskedNerfstudioConfig
from proto_saga_ns.plugin.data.point_clouds import read_point_cloud
from tests.plugin.data.formats import write_blender, write_colmap
from tests.scenes import TinyScene, write_tiny_scene


@pytest.fixture
def scene(tmp_path: Path) -> TinyScene:
    return write_tiny_scene(tmp_path / "scene", n_views=6)


def cloud(count: int, color: Any = np.uint8, position: str = "f4") -> np.ndarray:
    """Random points with a field that nobody needs between position and colours."""
    rng = np.random.default_rng(count)
    kind = [*((axis, position) for axis in "xyz"), ("quality", "f8")]
    kind += [] if color is None else [(name, color) for name in ("red", "green", "blue")]
    vertices = np.zeros(count, kind)
    for axis in "xyz":
        vertices[axis] = rng.normal(size=count)
    for name in vertices.dtype.names[4:] if vertices.dtype.names else ():
        values = rng.integers(0, 256, count)
        vertices[name] = values / 255 if np.dtype(color).kind == "f" else values
    return vertices


def write(path: Path, vertices: np.ndarray, **options: Any) -> Path:
    PlyData([PlyElement.describe(vertices, "vertex")], **options).write(path)
    return path


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": "<"}, {"byte_order": ">"}])
@pytest.mark.parametrize("color", [np.uint8, np.float32, None])
@pytest.mark.parametrize("position", ["f4", "f8"])
def test_every_kind_is_read_as_it_was_written(tmp_path: Path, options: dict, color: Any, position: str) -> None:
    vertices = cloud(50, color, position)
    points, colors = read_point_cloud(write(tmp_path / "a.ply", vertices, **options))
    assert torch.allclose(points, torch.tensor(np.stack([vertices[axis] for axis in "xyz"], -1), dtype=torch.float32))
    assert colors.shape == ((0, 3) if color is None else (50, 3))
    if color is not None:
        scale = 255 if color is np.float32 else 1
        expected = np.stack([vertices[name] for name in ("red", "green", "blue")], -1) * scale
        assert np.array_equal(colors, expected.round())


def test_colours_of_16_bits_keep_black_and_white(tmp_path: Path) -> None:
    vertices = cloud(4, np.uint16)
    vertices["red"] = [0, 257, 65535, 32768]
    assert read_point_cloud(write(tmp_path / "a.ply", vertices))[1][:, 0].tolist() == [0, 1, 255, 127]


def test_points_and_colours_are_those_that_open3d_finds(scene: TinyScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nerfstudio's own reading, which calls open3d, is the reference; frames and scales included."""
    pytest.importorskip("open3d", exc_type=ImportError)
    for config in (MaskedNerfstudioConfig(data=scene.folder), blender(scene)):
        ours = config.setup().get_dataparser_outputs(split="train").metadata
        reader = type(config.setup())
        with monkeypatch.context() as patch:
            patch.delattr(reader, "_load_3D_points")
            theirs = config.setup().get_dataparser_outputs(split="train").metadata
        assert torch.allclose(ours["points3D_xyz"], theirs["points3D_xyz"], atol=1e-6)
        assert torch.equal(ours["points3D_rgb"], theirs["points3D_rgb"])


def blender(scene: TinyScene) -> MaskedBlenderConfig:
    folder = write_blender(scene, scene.folder.parent / "blender")
    return MaskedBlenderConfig(data=folder, ply_path=scene.folder / "points.ply", scale_factor=2.0)


def cut_off(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: cut_off(path, 200), r"Cannot read .*points\.ply|points\.ply is cut off"),
        (lambda path: cut_off(path, 3000), r"points\.ply is cut off|Cannot read .*points\.ply"),
        (lambda path: cut_off(path, 0), r"Cannot read .*points\.ply: it is no PLY"),
        (lambda path: path.unlink(), r"Cannot read .*points\.ply: No such file"),
        (lambda path: write(path, cloud(0)), r"points\.ply holds 0 3D points"),
        (lambda path: write(path, cloud(3)), r"points\.ply holds 3 3D points"),
        (lambda path: write(path, repack_fields(cloud(9)[["y", "red"]])), r"points\.ply lacks the fields x, z"),
    ],
)
def test_a_bad_point_cloud_is_an_error_for_training_alone(scene: TinyScene, spoil: Any, message: str) -> None:
    spoil(scene.folder / "points.ply")
    for config in (MaskedNerfstudioConfig(data=scene.folder), blender(scene)):
        parser = config.setup()
        assert "points3D_xyz" not in parser.get_dataparser_outputs(split="train").metadata
        with pytest.raises(ProtoSagaError, match=message):
            parser.check_seeds()


@pytest.mark.parametrize(
    ("content", "message"), [("", "holds 0 3D points"), ("1 0.1 0.2", "cannot be read"), (None, "cannot be read")]
)
def test_a_reconstruction_without_points_says_so(scene: TinyScene, content: str | None, message: str) -> None:
    points = write_colmap(scene) / "colmap/sparse/0/points3D.txt"
    points.unlink() if content is None else points.write_text(content)
    parser = MaskedColmapConfig(data=scene.folder).setup()
    parser.get_dataparser_outputs(split="train")
    with pytest.raises(ProtoSagaError, match=message) as caught:
        parser.check_seeds()
    assert "sparse/0" in str(caught.value) and "--load-3D-points False" in str(caught.value)


def test_without_points_nothing_is_read(scene: TinyScene) -> None:
    cut_off(scene.folder / "points.ply", 200)
    parser = MaskedNerfstudioConfig(data=scene.folder, load_3D_points=False).setup()
    parser.get_dataparser_outputs(split="train")
    parser.check_seeds()
