"""PLY files: what we write others read, what others write we read, and what is no splat is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from plyfile import PlyData, PlyElement

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import memory
from proto_saga_ns.splats import ply
from proto_saga_ns.splats.ply import (
    read_labelled_ply,
    read_ply,
    says_antialiased,
    write_labelled_ply,
    write_ply,
)
from tests.splats.splats import picture, random_instances, random_splat


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_a_splat_read_back_shows_the_same_picture(tmp_path: Path, degree: int) -> None:
    splat = random_splat(degree=degree)
    write_ply(tmp_path / "a.ply", splat, ("made by a test",))
    again = read_ply(tmp_path / "a.ply")
    for name in ("means", "log_scales", "opacity_logits", "harmonics"):
        assert torch.equal(getattr(again, name), getattr(splat, name))
    torch.testing.assert_close(picture(again), picture(splat), rtol=1e-5, atol=1e-5)


def test_plyfile_finds_every_field_where_the_format_wants_it(tmp_path: Path) -> None:
    splat = random_splat(degree=2)
    write_ply(tmp_path / "a.ply", splat)
    ply = PlyData.read(tmp_path / "a.ply")
    vertex = ply["vertex"]
    names = [field.name for field in vertex.properties]
    assert names == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{index}" for index in range(24)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]
    assert ply.byte_order == "<" and {vertex[name].dtype for name in names} == {np.dtype("<f4")}
    assert np.array_equal(vertex["z"], splat.means[:, 2]) and not np.any(vertex["nx"])
    # Coefficient 5 of green: after the eight of red, fifth of its own.
    assert np.array_equal(vertex["f_rest_12"], splat.harmonics[:, 5, 1])
    assert np.array_equal(vertex["rot_0"], splat.unit_quats()[:, 0])


def test_a_second_reader_finds_the_labels(tmp_path: Path) -> None:
    splat, instances = random_splat(), random_instances(40, highest=70_000)
    write_labelled_ply(tmp_path / "a.ply", splat, instances)
    with (tmp_path / "a.ply").open("rb") as file:
        data = trimesh.exchange.ply.load_ply(file)["metadata"]["_ply_raw"]["vertex"]["data"]
    assert np.array_equal(data["instance_id"], instances.ids)
    assert np.array_equal(data["f_rest_44"], splat.harmonics[:, 15, 2])


@given(st.integers(0, 20), st.integers(0, 10))
@settings(max_examples=20)
def test_labels_come_back(tmp_path_factory: pytest.TempPathFactory, count: int, seed: int) -> None:
    file = tmp_path_factory.mktemp("ply") / "a.ply"
    splat, instances = random_splat(count, seed=seed), random_instances(count, seed=seed)
    write_labelled_ply(file, splat, instances)
    again, labels = read_labelled_ply(file)
    assert torch.equal(labels.ids, instances.ids) and torch.equal(labels.confidence, instances.confidence)
    assert torch.equal(again.means, splat.means) and torch.equal(read_ply(file).harmonics, again.harmonics)


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_files_of_others_with_other_orders_types_and_elements_are_read(tmp_path: Path, byte_order: str) -> None:
    splat = random_splat(7, degree=1)
    write_ply(tmp_path / "a.ply", splat)
    vertex = PlyData.read(tmp_path / "a.ply")["vertex"].data
    names = sorted(name for name in vertex.dtype.names if not name.startswith("n"))
    kinds = [(name, "f8" if name == "opacity" else "f4") for name in names]
    other = np.empty(7, [*kinds, ("flag", "u1")])
    for name in names:
        other[name] = vertex[name]
    elements = [PlyElement.describe(other, "vertex"), PlyElement.describe(other[:2], "face")]
    PlyData(elements, byte_order=byte_order, comments=["hello"], obj_info=["there"]).write(tmp_path / "b.ply")
    again = read_ply(tmp_path / "b.ply")
    assert torch.equal(again.harmonics, splat.harmonics) and torch.equal(again.opacity_logits, splat.opacity_logits)


def head(*properties: str, count: int = 0, kind: str = "binary_little_endian") -> bytes:
    lines = ["ply", f"format {kind} 1.0", f"element vertex {count}", *properties, "end_header"]
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no PLY file"),
        (b"\x89PNG\r\n", "no PLY file"),
        (b"ply\nformat binary_little_endian 1.0\n", "no end"),
        (head(kind="base64"), "its format is base64"),
        (head("property list uchar int vertex_indices"), "no plain number"),
        (head("property float x", count=3) + b"1234", "1 of 3 vertices"),
        (head("property float x", count=10**10) + b"1234", "1 of 10000000000 vertices"),
        (head(), "no properties"),
        (head("property float x").replace(b"vertex 0", b"vertex -5"), "-5"),
        (head("property float x").replace(b"vertex 0", b"chunk 9"), "no element vertex"),
        (head("property float x", "property float x"), "Cannot read"),
        (head("property float x", "property float y"), "lacks the fields z, f_dc_0"),
    ],
)
def test_what_is_no_splat_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.ply"
    file.write_bytes(content)
    with pytest.raises(ProtoSagaError, match=message) as caught:
        read_ply(file)
    assert str(file) in str(caught.value)


def test_a_file_that_does_not_fit_into_memory_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ply(tmp_path / "a.ply", random_splat(50))
    size = (tmp_path / "a.ply").stat().st_size
    monkeypatch.setattr(memory, "free_bytes", lambda: size)
    with pytest.raises(ProtoSagaError, match=rf"a.ply of {size:,} bytes.*free"):
        read_ply(tmp_path / "a.ply")


def test_what_writing_takes_does_not_grow_with_the_gaussians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ply, "AT_A_TIME", 100)
    peaks = []
    for count in (1_000, 8_000):
        splat = random_splat(count)
        write_ply(tmp_path / "a.ply", splat)  # what is made once is made
        tracemalloc.start()
        write_ply(tmp_path / "a.ply", splat)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert torch.equal(read_ply(tmp_path / "a.ply").harmonics, splat.harmonics)
    assert peaks[1] < 1.2 * peaks[0]


def test_an_odd_number_of_harmonics_a_missing_file_and_missing_labels_are_refused(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", random_splat(3, degree=1))
    with pytest.raises(ProtoSagaError, match="instance_id, confidence"):
        read_labelled_ply(tmp_path / "a.ply")
    content = (tmp_path / "a.ply").read_bytes().replace(b"f_rest_8", b"nothing8")
    (tmp_path / "b.ply").write_bytes(content)
    with pytest.raises(ProtoSagaError, match="8 fields f_rest"):
        read_ply(tmp_path / "b.ply")
    with pytest.raises(ProtoSagaError, match="No such file"):
        read_ply(tmp_path / "c.ply")


def test_a_file_that_cannot_be_finished_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    write_ply(tmp_path / "a.ply", random_splat(3))
    before = (tmp_path / "a.ply").read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ProtoSagaError, match="No space left"):
        write_ply(tmp_path / "a.ply", random_splat(9))
    assert (tmp_path / "a.ply").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_every_gaussian_needs_an_instance(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 instances for 4"):
        write_labelled_ply(tmp_path / "a.ply", random_splat(4), random_instances(3))


def rewrite(path: Path, fields: dict[str, np.ndarray | None], comments: tuple[str, ...] = ()) -> Path:
    """Fields of a PLY replaced, added, or (None) taken out."""
    old = PlyData.read(path)["vertex"].data
    columns = {name: old[name] for name in old.dtype.names} | fields
    kept = {name: column for name, column in columns.items() if column is not None}
    new = np.empty(len(old), [(name, "f4") for name in kept])
    for name, column in kept.items():
        new[name] = column
    PlyData([PlyElement.describe(new, "vertex")], comments=list(comments)).write(path)
    return path


def test_disks_of_2d_gaussian_splatting_get_a_third_scale(tmp_path: Path) -> None:
    splat = random_splat()
    write_ply(tmp_path / "a.ply", splat)
    again = read_ply(rewrite(tmp_path / "a.ply", {"scale_2": None}))
    assert torch.equal(again.log_scales[:, :2], splat.log_scales[:, :2])
    assert again.log_scales[:, 2].exp().max() < 1e-6 and picture(again).isfinite().all()


def test_the_filter_of_mip_splatting_is_made_part_of_the_gaussians(tmp_path: Path) -> None:
    """Reference: the formulas of its scene/gaussian_model.py, in double precision."""
    splat, width = random_splat(), np.linspace(0, 0.5, 40)
    write_ply(tmp_path / "a.ply", splat)
    again = read_ply(rewrite(tmp_path / "a.ply", {"filter_3D": width}))
    squares = splat.log_scales.double().exp() ** 2
    larger = squares + torch.from_numpy(width)[:, None] ** 2
    opacities = splat.opacity_logits.double().sigmoid() * (squares.prod(1) / larger.prod(1)).sqrt()
    torch.testing.assert_close(again.log_scales.double().exp(), larger.sqrt(), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(again.opacity_logits.double().sigmoid(), opacities, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("SplatRenderMode: mip", True),
        ("SplatRenderMode: default", False),
        ("antialiased 1", True),
        ("antialiased 0", False),
        ("train_flags antialiasing", True),
        ("Vertical axis: y", None),
    ],
)
def test_comments_say_whether_a_splat_was_trained_with_antialiasing(
    tmp_path: Path, comment: str, expected: bool | None
) -> None:
    write_ply(tmp_path / "a.ply", random_splat(), ("made by a test", comment))
    assert says_antialiased(tmp_path / "a.ply") is expected
    rewrite(tmp_path / "a.ply", {"filter_3D": np.ones(40)}, (comment,))
    assert says_antialiased(tmp_path / "a.ply") is (expected is not False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04", "ZIP archive"),
    ],
)
def test_what_lies_there_in_place_of_a_ply_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(ProtoSagaError, match=rf"Cannot read .*a\.ply.*{message}"):
        read_ply(tmp_path / "a.ply")
