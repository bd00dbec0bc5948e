"""splat-transform reads what we write, and we what it writes. Skipped where it is not on the PATH.

npm install -g @playcanvas/splat-transform        (3.7.0, which needs Node.js 22)
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from proto_saga_ns.splats.formats import SUFFIXES, Format
from proto_saga_ns.splats.ply import read_ply
from proto_saga_ns.splats.read import read_splat
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.write import Origin, write_splat
from tests.splats.compare import differences, matched
from tests.splats.splats import random_splat

PROGRAM = shutil.which("splat-transform")
SAME = {"mean": 1e-5, "log_scale": 1e-5, "opacity": 1e-5, "constant": 1e-5, "harmonics": 1e-5, "angle": 1e-3}

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="splat-transform is not installed")


@pytest.fixture
def splat() -> Splat:
    splat = random_splat(200)
    return replace(splat, harmonics=0.3 * splat.harmonics)


def convert(source: Path, target: Path) -> Path:
    subprocess.run([str(PROGRAM), "-q", "-w", "-g", "cpu", str(source), str(target)], check=True, timeout=120)
    return target


@pytest.mark.parametrize("kind", ["ply", "compressed-ply", "spz", "splat", "sog"])
def test_it_reads_the_same_numbers_as_we_do(tmp_path: Path, splat: Splat, kind: Format) -> None:
    ours = tmp_path / f"a{SUFFIXES[kind]}"
    write_splat(ours, splat, kind, Origin("a test", antialiased=True))
    theirs, own = read_ply(convert(ours, tmp_path / "b.ply")), read_splat(ours).splat
    angle = 1.0 if kind == "splat" else 1e-3  # for it, a byte of 127.5 is zero; for the first viewer of .splat, 128
    assert (far := differences(own, matched(own, theirs))).within(**{**SAME, "angle": angle}), far


@pytest.mark.parametrize("kind", ["ply", "compressed-ply", "spz", "sog", "glb"])
def test_we_read_the_same_numbers_as_it_does(tmp_path: Path, splat: Splat, kind: Format) -> None:
    write_splat(tmp_path / "source.ply", splat, "ply", Origin("a test", antialiased=True))
    theirs = convert(tmp_path / "source.ply", tmp_path / f"a{SUFFIXES[kind]}")
    expected = splat if kind == "glb" else read_ply(convert(theirs, tmp_path / "b.ply"))  # it reads no GLB
    assert (far := differences(expected, matched(expected, read_splat(theirs).splat))).within(**SAME), far
