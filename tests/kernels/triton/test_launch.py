"""Where Triton's kernels may run, and that nothing imports Triton before one does."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.kernels import device
from proto_saga_ns.kernels.triton import door, launch
from proto_saga_ns.kernels.triton.door import runs_on
from proto_saga_ns.kernels.triton.launch import blocks, check_tensors, padded

CPU = torch.device("cpu")


def test_a_kernel_runs_under_the_interpreter() -> None:
    pytest.importorskip("triton")
    from proto_saga_ns.kernels.triton.probe import add_one

    assert add_one(torch.ones(1)) == 2


def test_the_cpu_is_left_to_its_own_kernels() -> None:
    assert not runs_on(CPU, "It costs nothing.")


def test_a_gpu_without_triton_is_told_of_once(capsys, monkeypatch) -> None:
    device.say_once.cache_clear()
    monkeypatch.setattr(door, "why_not", lambda gpu: "Triton is missing")
    for _ in range(3):
        assert not runs_on(torch.device("cuda", 0), "Steps take twice as long.")
    said = capsys.readouterr().err
    assert said.count("Triton is missing") == 1 and "Steps take twice as long." in said


def test_a_gpu_that_is_not_there_is_a_reason() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    door.why_not.cache_clear()
    assert door.why_not(0)
    door.why_not.cache_clear()


def test_kernels_are_not_started_on_the_cpu_without_the_interpreter(monkeypatch) -> None:
    one = torch.ones(1)
    monkeypatch.delenv(launch.INTERPRET, raising=False)
    with pytest.raises(ValueError, match="expected tensors on a GPU"):
        check_tensors("add_one", one.device, values=(one, (1,), torch.float32))


def test_what_does_not_fit_is_refused(monkeypatch) -> None:
    monkeypatch.setenv(launch.INTERPRET, "1")
    for wrong in (torch.ones(2), torch.ones(1, 1), torch.ones(1).double()):
        with pytest.raises(ValueError, match=r"add_one: values is .* expected torch.float32 \(1\)"):
            check_tensors("add_one", CPU, values=(wrong, (1,), torch.float32))


def test_importing_what_decides_leaves_triton_alone() -> None:
    program = (
        "import sys, proto_saga_ns.recognition.cosine_softmax, proto_saga_ns.kernels.triton.launch; "
        "sys.exit('triton' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@given(st.integers(1, 10_000), st.integers(1, 300))
def test_blocks_hold_all_and_none_is_empty(count: int, size: int) -> None:
    assert (blocks(count, size) - 1) * size < count <= blocks(count, size) * size


@given(st.integers(0, 10_000))
def test_a_padded_size_is_the_least_power_of_two(count: int) -> None:
    size = padded(count)
    assert size >= count and size & (size - 1) == 0 and (size == launch.SMALLEST_DOT or size < 2 * count)
