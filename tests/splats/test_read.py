"""What other programs wrote is read, whatever the file is called; what is no splat is named."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from plyfile import PlyData, PlyElement

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.splats.formats import SUFFIXES, Format
from proto_saga_ns.splats.ply import read_ply, write_ply
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.spz import HALF_TURN
from proto_saga_ns.splats.transform import transform_splat
from proto_saga_ns.splats.write import Origin, write_splat
from tests.splats.compare import differences, matched
from tests.splats.splats import picture, random_splat

FILES = Path(__file__).parent / "files"
SPZ = {"mean": 2.0**-13, "log_scale": 0.032, "opacity": 0.002, "constant": 0.014, "harmonics": 0.07, "angle": 0.25}
CLOSE = {
    "playcanvas.compressed.ply": {
        **{"mean": 0.003, "log_scale": 0.001, "opacity": 0.002, "constant": 0.002},
        **{"harmonics": 0.016, "angle": 0.2},
    },
    "playcanvas.sog": {"mean": 2e-4, "log_scale": 0.03, "opacity": 0.004, "constant": 0.004, "angle": 1.3},
    "playcanvas.glb": {"mean": 0.0, "log_scale": 1e-6, "opacity": 1e-6, "constant": 0, "harmonics": 0, "angle": 1e-4},
    "niantic_v2.spz": {**SPZ, "angle": 3.0},
    "niantic_v3.spz": SPZ,
    "niantic_v4.spz": SPZ,
}
"""How far at most what other programs made of source.ply is from it; their SOG has one row of harmonics for two."""


@pytest.mark.parametrize("name", CLOSE)
def test_files_of_other_programs_hold_what_they_were_made_of(tmp_path: Path, name: str) -> None:
    source = read_ply(FILES / "source.ply")
    found = read_splat(shutil.copy(FILES / name, tmp_path / "without_a_suffix"))
    assert (far := differences(source, matched(source, found.splat))).within(**CLOSE[name]), far
    assert found.antialiased is (None if name.endswith(".glb") else True)
    assert found.may_be_turned == name.endswith(".spz")


def test_an_spz_with_the_axes_of_its_documentation_is_another_turned_by_half_a_turn() -> None:
    turned = transform_splat(read_splat(FILES / "niantic_rub.spz").splat, HALF_TURN)
    source = read_ply(FILES / "source.ply")
    # Their quaternions also turn about an axis of the Gaussian, which changes nothing: the picture judges.
    assert (far := differences(source, turned)).within(**{**SPZ, "angle": 181.0}), far
    assert ((picture(turned) - picture(source)) ** 2).mean() < 1e-3


def test_a_sog_may_be_a_folder_its_meta_json_or_an_archive_with_a_folder(tmp_path: Path) -> None:
    expected = read_splat(FILES / "playcanvas.sog").splat
    with zipfile.ZipFile(FILES / "playcanvas.sog") as archive:
        archive.extractall(tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "folder").iterdir():
            archive.write(file, f"scene/{file.name}")
    for path in (tmp_path / "folder", tmp_path / "folder" / "meta.json", tmp_path / "outer.zip"):
        assert torch.equal(read_splat(path).splat.harmonics, expected.harmonics)


@pytest.mark.parametrize("kind", SUFFIXES)
def test_the_name_of_a_file_does_not_matter(tmp_path: Path, kind: Format) -> None:
    splat = random_splat(20)
    write_splat(tmp_path / "a.png", splat, kind, Origin("x"))
    found = read_splat(tmp_path / "a.png").splat
    assert differences(splat, matched(splat, found)).within(mean=0.02, opacity=0.002)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_compressed_ply_of_another_byte_order_in_text_or_without_colours_of_its_chunks_is_read(
    tmp_path: Path, text: bool, byte_order: str
) -> None:
    ply = PlyData.read(FILES / "playcanvas.compressed.ply")
    ply.text, ply.byte_order = text, byte_order
    ply.write(tmp_path / "a.ply")
    expected = read_splat(FILES / "playcanvas.compressed.ply").splat
    torch.testing.assert_close(read_splat(tmp_path / "a.ply").splat.means, expected.means)
    chunk = ply["chunk"].data
    names = [name for name in chunk.dtype.names if not name.endswith(("_r", "_g", "_b"))]
    plain = np.empty(len(chunk), [(name, "f4") for name in names])
    for name in names:
        plain[name] = chunk[name]
    PlyData([PlyElement.describe(plain, "chunk"), ply["vertex"]]).write(tmp_path / "b.ply")
    without = read_splat(tmp_path / "b.ply").splat
    assert without.degree == 0 and without.harmonics.abs().max() <= 0.5 / 0.28209 and len(without) == 12


def test_a_ply_whose_vertices_come_last_and_of_all_kinds_of_numbers_is_read(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", random_splat(7, degree=1))
    vertex = PlyData.read(tmp_path / "a.ply")["vertex"].data
    other = np.empty(7, [(name, "f8") for name in vertex.dtype.names])
    for name in vertex.dtype.names:
        other[name] = vertex[name]
    camera = PlyElement.describe(np.zeros(2, [("focal", "f4"), ("flag", "u1")]), "camera")
    for text in (False, True):
        PlyData([camera, PlyElement.describe(other, "vertex")], text=text).write(tmp_path / "b.ply")
        again = read_splat(tmp_path / "b.ply").splat
        assert torch.equal(again.harmonics, read_ply(tmp_path / "a.ply").harmonics)


def test_a_mesh_a_point_cloud_and_a_splat_without_opacity_are_named(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "mesh.ply")
    trimesh.creation.box().export(tmp_path / "mesh.glb")
    write_ply(tmp_path / "a.ply", random_splat(3))
    (tmp_path / "a.ply").write_bytes((tmp_path / "a.ply").read_bytes().replace(b"float opacity", b"float unknown"))
    for name, words in (
        ("mesh.ply", "lacks the fields f_dc_0.* point cloud or a mesh"),
        ("mesh.glb", "no splat; perhaps it holds meshes"),
        ("a.ply", "lacks the field opacity"),
    ):
        with pytest.raises(ProtoSagaError, match=words):
            read_splat(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.ply", b"", "is empty"),
        ("a.sog", b"\x89PNG\r\n\x1a\n" + b"\xff" * 24, "no splat that is known"),
        ("a.xyz", b"0.12345 1.23456 9.87654 255 255\n" * 64, "no splat that is known"),
        ("a.bin", b"\x00" * 320, "no splat that is known"),
        ("a.ply", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.spz", b"\n<!DOCTYPE html><html>", "web page"),
        ("a.ksplat", b"\x00\x01" + b"\x00" * 4094, r"splat-transform a\.ksplat a\.ply"),
        ("a.spz", b"\x1f\x8b\x08\x00nonsense", "Cannot read .* Expected an SPZ"),
        ("a.spz", b"NGSP", "Cannot read .* Expected an SPZ"),
        ("a.sog", b"PK\x03\x04", "Cannot read .* Expected a SOG"),
        ("meta.json", b'{"version": 3}', "of version 3"),
        ("meta.json", b'{"version": 2}', "lacks 'count'"),
        ("a.glb", b"glTF\x01\x00\x00\x00\x00\x00\x00\x00", "no GLB of version 2"),
        ("a.splat", b"x" * 33, "33 bytes, expected a multiple of 32"),
    ],
)
def test_what_is_no_splat_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProtoSagaError, match=words) as caught:
        read_splat(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match=r"folder without meta\.json"):
        read_splat(tmp_path)
    with pytest.raises(ProtoSagaError, match="No such file"):
        read_splat(tmp_path / "nothing.ply")


@pytest.mark.parametrize("name", ["source.ply", *CLOSE])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str, share: float) -> None:
    content = (FILES / name).read_bytes()
    (tmp_path / "a").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ProtoSagaError, match=f"{tmp_path / 'a'}"):
        read_splat(tmp_path / "a")


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_file_with_nonsense_in_it_is_read_or_refused(tmp_path: Path, kind: Format) -> None:
    """Never another error, never a wait: whatever byte is another."""
    write_splat(tmp_path / "a", random_splat(9, degree=1), kind, Origin("x"))
    content, random = (tmp_path / "a").read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        changed = np.frombuffer(content, np.uint8).copy()
        changed[random.integers(min(len(changed), 2000), size=3)] = random.integers(256, size=3)
        (tmp_path / "a").write_bytes(changed.tobytes())
        try:
            read_splat(tmp_path / "a")
        except ProtoSagaError as error:
            assert "\n" not in str(error)
