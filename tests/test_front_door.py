"""What ``proto_saga_ns`` offers by itself, and the examples that use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import proto_saga_ns
from tests.conftest import TrainedRun

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_every_name_is_there():
    assert all(getattr(proto_saga_ns, name) is not None for name in proto_saga_ns.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = proto_saga_ns.nothing


def test_importing_the_package_loads_nothing():
    probe = "import sys; before = set(sys.modules); import proto_saga_ns; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith("proto_saga_ns.")] == [] and "torch" not in loaded


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(example: Path, trained_run: TrainedRun, tmp_path: Path):
    arguments = [] if "rasterize" in example.name else [str(trained_run.config)]
    ended = subprocess.run(
        [sys.executable, str(example), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.glob("*.png")) or "instances before" in ended.stdout
