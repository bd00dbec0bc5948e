"""gsplat's compiled code: versions, where its library lies, and building it, killed, twice at once and in vain.

The real compiler takes minutes; here the machinery (torch's own build, in a process of its own) compiles a package of
that name whose one source needs no CUDA.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import gsplat_code
from proto_saga_ns.kernels.gsplat_code import build_gsplat, check_version, library_file, load_gsplat
from proto_saga_ns.rasterize import rasterization
from tests.kernels.pretended import SOURCE, hide_compilers, pretend_gpu, write_gsplat, write_nvcc

PRELUDE = """
import torch, sys
torch.version.cuda = "13.0"
from proto_saga_ns.kernels import gsplat_code as code
from proto_saga_ns.errors import user_errors_end_the_process
"""
BUILD = PRELUDE + "with user_errors_end_the_process(): print(code.build_gsplat('8.9'))"
LOAD = PRELUDE + "print(code.library_file('8.9').is_file() and code._take(code.library_file('8.9')))"


def start(code: str, folder: Path, *others: Path) -> subprocess.Popen[str]:
    """Python with the small gsplat, a compiler and caches of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [folder / "packages", *others])),
        "TORCH_EXTENSIONS_DIR": str(folder / "cache"),
        "CUDA_HOME": str(folder / "cuda"),
        "OMP_NUM_THREADS": "1",
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, start_new_session=True, **pipes)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_gsplat(tmp_path / "packages")
    write_nvcc(tmp_path / "cuda", "13.0")
    return tmp_path


def libraries(place: Path) -> Sequence[Path]:
    return list(place.glob("cache/proto_saga_ns/*/csrc.so"))


def leftovers(place: Path) -> Sequence[Path]:
    return list(place.glob("cache/proto_saga_ns/*/build"))


def test_it_is_built_once_for_two_that_ask_at_once_and_loads_without_a_compiler(place: Path) -> None:
    for process in [start(BUILD, place), start(BUILD, place)]:
        code, output, errors = finish(process)
        assert code == 0, output + errors
        assert "csrc.so" in output.splitlines()[-1] and "Compiling gsplat" in output
    assert len(libraries(place)) == 1 and not leftovers(place)
    assert "gsplat-1.4.0" in str(libraries(place)[0]) and "sm8.9" in str(libraries(place)[0])
    (place / "cuda" / "bin" / "nvcc").unlink()
    assert finish(start(LOAD, place))[1].strip() == "True"
    libraries(place)[0].write_bytes(b"half")
    assert finish(start(LOAD, place))[1].strip() == "False"


def test_a_build_that_was_killed_goes_on_and_a_damaged_library_is_replaced(place: Path) -> None:
    process = start(BUILD, place)
    folder = wait_for(lambda: leftovers(place))[0]
    wait_for(lambda: (folder / "build.ninja").exists())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (folder / "lock").touch()  # torch's own, for which it would wait for ever
    assert not libraries(place)
    damaged = folder.parent / "csrc.so"
    damaged.write_bytes(b"half")
    code, output, errors = finish(start(BUILD, place))
    assert code == 0 and damaged.stat().st_size > 1000 and not leftovers(place), output + errors


def wait_for(condition):
    end = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def test_a_compiler_that_fails_is_one_line_with_its_reason_and_the_log(tmp_path: Path) -> None:
    write_gsplat(tmp_path / "packages", SOURCE.replace("return PyModule_Create", "return nothing_known"))
    write_nvcc(tmp_path / "cuda", "13.0")
    code, _, errors = finish(start(BUILD, tmp_path))
    assert code == 2
    [line] = [line for line in errors.splitlines() if line.startswith("proto-saga: error:")]
    assert "nothing_known" in line and "build.log" in line
    log = next(tmp_path.glob("cache/proto_saga_ns/*/build.log"))
    assert str(log) in line and "nothing_known" in log.read_text()
    assert not libraries(tmp_path)


@pytest.mark.parametrize(("found", "fits"), [("1.4.0", True), ("1.4.1", True), ("1.5.3", False), ("1.40.0", False)])
def test_versions_that_were_not_tested_are_refused_unless_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, found: str, fits: bool
) -> None:
    monkeypatch.setattr(gsplat_code, "version", lambda package: found)
    monkeypatch.delenv(gsplat_code.ANY_VERSION, raising=False)
    if not fits:
        with pytest.raises(ProtoSagaError, match=rf"gsplat {found} .*gsplat==1\.4\.0.*PROTO_SAGA_ANY_GSPLAT=1"):
            check_version()
        monkeypatch.setenv(gsplat_code.ANY_VERSION, "1")
    check_version()


@pytest.mark.parametrize(("found", "shape"), [("1.4.0", (1, 2)), ("1.5.3", (1, 2, 2))])
def test_radii_have_the_shape_that_the_installed_strategy_reads(
    monkeypatch: pytest.MonkeyPatch, found: str, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(gsplat_code, "version", lambda package: found)
    means = torch.tensor([[0.0, 0, 2], [0, 0, -2]])
    info = rasterization(
        means,
        torch.ones(2, 4),
        torch.full((2, 3), 0.1),
        torch.ones(2),
        torch.ones(2, 3),
        torch.eye(4)[None],
        torch.tensor([[[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]]),
        16,
        16,
    )[2]
    assert info["radii"].shape == shape
    assert (info["radii"][0, 0] > 0).all() and (info["radii"][0, 1] == 0).all()


def test_a_library_belongs_to_one_gsplat_torch_cuda_python_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    name = library_file("8.6;9.0").parent.name
    torch_version = version("torch").split("+")[0]
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert name == f"gsplat-{version('gsplat')}-torch-{torch_version}-cu128-{python}-sm8.6-9.0"


@pytest.mark.parametrize(
    ("capability", "cuda", "message"), [((7, 0), "13.0", "7.0.*7.5"), ((6, 1), "12.8", r"6\.1.*7\.0")]
)
def test_a_card_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capability: tuple[int, int], cuda: str, message: str
) -> None:
    pretend_gpu(monkeypatch, capability, cuda)
    monkeypatch.delenv(gsplat_code.ARCHITECTURES, raising=False)
    with pytest.raises(ProtoSagaError, match=message):
        load_gsplat()


def test_cuda_tensors_without_a_compiler_are_an_error_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend_gpu(monkeypatch)
    hide_compilers(monkeypatch)
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    with pytest.raises(ProtoSagaError, match=r"pip install .cuda-toolkit"):
        load_gsplat()


def test_without_a_gpu_it_must_be_told_for_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_HOME", str(write_nvcc(tmp_path / "cuda", "13.0").parent.parent))
    monkeypatch.delenv(gsplat_code.ARCHITECTURES, raising=False)
    with pytest.raises(ProtoSagaError, match="--cuda-arch"):
        build_gsplat()
