"""Which of several CUDA compilers is taken, and the environment in which it finds everything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels import nvcc
from proto_saga_ns.kernels.nvcc import all_nvcc, compiling_environment, find_nvcc, max_jobs
from tests.kernels.pretended import hide_compilers, write_nvcc


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts compilers of these versions on the machine, in order of search, and CUDA 13.0 into torch."""

    def place(*versions: str) -> list[Path]:
        programs = [write_nvcc(tmp_path / f"{index}-{version}", version) for index, version in enumerate(versions)]
        monkeypatch.setattr(nvcc, "_candidates", lambda: iter([*programs, tmp_path / "gone" / "bin" / "nvcc"]))
        return programs

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    return place


@pytest.mark.parametrize(
    ("versions", "taken"),
    [
        (["13.0"], 0),
        (["12.8", "13.0"], 1),
        (["13.2", "13.0"], 1),  # the same version comes before the same major one
        (["13.2", "12.8"], 0),
        (["13.2", "13.1"], 0),  # else the first
        (["13.0", "13.0"], 0),
    ],
)
def test_the_one_that_fits_torch_best_is_taken(compilers, versions: list[str], taken: int) -> None:
    programs = compilers(*versions)
    assert find_nvcc().program == programs[taken]
    assert len(all_nvcc()) == len(versions)


@pytest.mark.parametrize("versions", [[], ["12.8"], ["12.4", "11.8"]])
def test_without_a_fitting_one_the_message_has_what_is_there_and_the_command(compilers, versions: list[str]) -> None:
    programs = compilers(*versions)
    with pytest.raises(ProtoSagaError, match=r'pip install "cuda-toolkit\[nvcc,cccl,crt,nvvm\]==13\.0\.\*"') as caught:
        find_nvcc()
    assert all(str(program) in str(caught.value) for program in programs)


def test_a_torch_without_cuda_is_named(compilers, monkeypatch: pytest.MonkeyPatch) -> None:
    compilers("13.0")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ProtoSagaError, match="built without CUDA"):
        find_nvcc()


def test_the_search_looks_in_the_environment_on_the_path_and_in_site_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, on_path, in_packages = (tmp_path / name for name in ("home", "path", "site/nvidia/cu13"))
    programs = [write_nvcc(folder, "13.0") for folder in (home, on_path, in_packages)]
    monkeypatch.setenv("CUDA_HOME", str(home))
    monkeypatch.delenv("CUDA_PATH", raising=False)
    monkeypatch.setenv("PATH", f"{on_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(nvcc, "pip_folders", lambda: [in_packages])
    assert [found.program for found in all_nvcc()][:3] == programs


def test_the_compiler_finds_its_libraries(compilers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's toolkit has libcudart only under its numbered name, and lies where nothing looks."""
    compilers("13.0")
    found = find_nvcc()
    library = found.home / "lib" / "libcudart.so.13"
    library.parent.mkdir()
    library.write_text("a library")
    monkeypatch.setenv("LIBRARY_PATH", "/before")
    monkeypatch.delenv("MAX_JOBS", raising=False)
    environment = compiling_environment(found, tmp_path / "links")
    assert environment["CUDA_HOME"] == str(found.home)
    assert environment["PATH"].split(os.pathsep)[0] == str(found.home / "bin")
    first, rest = environment["LIBRARY_PATH"].split(os.pathsep)
    assert Path(first, "libcudart.so").read_text() == "a library" and rest == "/before"
    assert int(environment["MAX_JOBS"]) == max_jobs() >= 1
    assert compiling_environment(found, tmp_path / "links")["LIBRARY_PATH"] == environment["LIBRARY_PATH"]


def test_a_whole_toolkit_and_a_given_number_of_jobs_are_left_alone(
    compilers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilers("13.0")
    found = find_nvcc()
    (found.home / "lib64").mkdir()
    (found.home / "lib64" / "libcudart.so").touch()
    (found.home / "include" / "cusparse.h").touch()
    monkeypatch.setenv("MAX_JOBS", "7")
    monkeypatch.delenv("LIBRARY_PATH", raising=False)
    monkeypatch.delenv("CPATH", raising=False)
    environment = compiling_environment(found, tmp_path / "links")
    assert environment["LIBRARY_PATH"] == "" and "CPATH" not in environment and environment["MAX_JOBS"] == "7"


def test_hidden_compilers_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_compilers(monkeypatch)
    assert all_nvcc() == []
