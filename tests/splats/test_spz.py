"""SPZ: its versions, and which way its axes point."""

from __future__ import annotations

import gzip
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import memory
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.spz import DIRECTIONS, SYSTEMS, read_spz, write_spz
from proto_saga_ns.splats.transform import Similarity, transform_splat
from tests.splats.compare import differences
from tests.splats.splats import picture, random_splat

SIZES = (9, 1, 3, 3, 4, 9)
"""Bytes of a Gaussian in each stream, with harmonics of degree 1."""


@pytest.fixture
def splat() -> Splat:
    return random_splat(30, degree=1)


def record(system: str) -> bytes:
    """The record of Niantic's extensions/README.md: type, length, number of the coordinate system."""
    return struct.pack("<III", 0xADBE0003, 4, SYSTEMS.index(system))


def content_of(file: Path, records: bytes, version: int) -> bytes:
    """A file with other records, in version 3 or 4 as the documentation lays it out."""
    content = gzip.decompress(file.read_bytes())
    count, ends = 30, np.cumsum((16, *(30 * size for size in SIZES)))
    flags = content[14] & 1 | (2 if records else 0)
    if version == 3:
        return gzip.compress(content[:14] + bytes([flags, 0]) + content[16 : ends[-1]] + records)
    raw = [content[start:end] for start, end in pairwise(ends)]
    packed = [zstandard.ZstdCompressor().compress(part) for part in raw]
    head = struct.pack("<4sIIBBBBI12x", b"NGSP", 4, count, 1, content[13], flags, 6, 32 + len(records))
    table = b"".join(struct.pack("<QQ", len(small), len(part)) for small, part in zip(packed, raw, strict=True))
    return head + records + table + b"".join(packed)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("system", ["RUB", "RDF", "LUF", "LFU", "RBD"])
def test_a_file_that_says_its_axes_is_turned_or_mirrored_to_those_of_a_ply(
    tmp_path: Path, splat: Splat, version: int, system: str
) -> None:
    """Reference: the same Gaussians written with axes turned from right, down, front to those, letter by letter."""
    matrix = np.array([DIRECTIONS[letter] for letter in system], float)
    turned = transform_splat(splat, Similarity(1.0, matrix, np.zeros(3)))
    np.testing.assert_allclose(turned.means[:, 0], splat.means[:, 0] * (1 if system[0] == "R" else -1))
    write_spz(tmp_path / "a.spz", turned, False)
    (tmp_path / "b.spz").write_bytes(content_of(tmp_path / "a.spz", record(system), version))
    found = read_spz(tmp_path / "b.spz")
    assert not found.may_be_turned
    far = differences(splat, found.splat)
    assert far.within(mean=2.0**-13, opacity=0.002, constant=0.014), far
    assert ((picture(found.splat) - picture(splat)) ** 2).mean() < 1e-3


@pytest.mark.parametrize("version", [3, 4])
def test_other_records_are_skipped_and_a_file_without_axes_may_be_turned(
    tmp_path: Path, splat: Splat, version: int
) -> None:
    write_spz(tmp_path / "a.spz", splat, True)
    other = struct.pack("<II5s", 0x12345678, 5, b"hello")
    for records, unsure in ((b"", True), (other, True), (other + record("RDF"), False), (b"\1\2", True)):
        (tmp_path / "b.spz").write_bytes(content_of(tmp_path / "a.spz", records, version))
        found = read_spz(tmp_path / "b.spz")
        assert found.may_be_turned is unsure and found.antialiased
        assert torch.equal(found.splat.harmonics, read_spz(tmp_path / "a.spz").splat.harmonics)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({4: 5}, "of version 5"),
        ({4: 1}, "of version 1"),
        ({8: 255}, "cut off"),
        ({12: 7}, "degree 7"),
        ({13: 200}, "200 fractional bits"),
        ({0: 0}, "no SPZ file"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path: Path, splat: Splat, change: dict[int, int], words: str) -> None:
    write_spz(tmp_path / "a.spz", splat, False)
    content = bytearray(gzip.decompress((tmp_path / "a.spz").read_bytes()))
    for place, value in change.items():
        content[place] = value
    (tmp_path / "a.spz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(ProtoSagaError, match=words):
        read_spz(tmp_path / "a.spz")


def test_more_gaussians_than_memory_holds_are_refused_before_they_are_read(
    tmp_path: Path, splat: Splat, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spz(tmp_path / "a.spz", splat, False)
    content = bytearray(gzip.decompress((tmp_path / "a.spz").read_bytes()))
    content[8:12] = struct.pack("<I", 2**31)
    (tmp_path / "a.spz").write_bytes(gzip.compress(bytes(content)))
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**10)
    with pytest.raises(ProtoSagaError, match=r"2,147,483,648 Gaussians.*free"):
        read_spz(tmp_path / "a.spz")
