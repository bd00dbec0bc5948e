"""What does not fit into main memory is refused with its number; what the system does not say refuses nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import memory
from proto_saga_ns.kernels.device import memory_errors_are_explained
from proto_saga_ns.kernels.memory import GIB, check_fits, free_bytes

TOO_MUCH = 1 << 50


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 24 GiB of which 3 are free, in no container."""
    (tmp_path / "meminfo").write_text(f"MemTotal: {24 << 20} kB\nMemFree: 100 kB\nMemAvailable:    {3 << 20} kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CONTAINER", (tmp_path / "memory.max",))
    return tmp_path


def test_as_much_as_is_free_fits_and_a_byte_more_does_not(machine: Path) -> None:
    assert free_bytes() == 3 * GIB
    check_fits(3 * GIB, "This", "Take less.")
    with pytest.raises(ProtoSagaError, match=r"^This would take 5\.5 GiB .* and 3\.0 are free\. Take less\.$"):
        check_fits(11 * GIB // 2, "This", "Take less.")


@pytest.mark.parametrize(("limit", "free"), [("max", 3), (str(GIB), 1), (str(100 * GIB), 3)])
def test_a_container_may_have_less(machine: Path, limit: str, free: int) -> None:
    (machine / "memory.max").write_text(f"{limit}\n")
    assert free_bytes() == free * GIB


def test_a_system_that_does_not_say_refuses_nothing(machine: Path) -> None:
    (machine / "meminfo").write_text("MemTotal: 5 kB\n")
    assert free_bytes() is None
    check_fits(TOO_MUCH, "This", "")
    (machine / "meminfo").unlink()
    assert free_bytes() is None


@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_memory_that_is_refused_is_one_line_with_its_number(allocate: type) -> None:
    with (
        pytest.raises(ProtoSagaError, match=r"not enough for this \(.*\d+ .*more were asked for\)\. End other"),
        memory_errors_are_explained("this", lambda: "of a GPU"),
    ):
        allocate(TOO_MUCH)


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_errors_are_explained("this", str):
        raise RuntimeError("shapes")
