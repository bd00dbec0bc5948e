"""CUDA's compiler: which one of this machine fits torch, and the environment in which it works.

PyTorch's wheels bring CUDA's libraries but no compiler. One that fits comes from pip as well (extra ``cuda``); it lies
in site-packages, where torch does not look for it, and brings ``libcudart.so.13`` without the name that the linker
wants.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from proto_saga_ns.errors import ProtoSagaError

GIGABYTES_PER_JOB = 2.5
"""Of main memory, for one of gsplat's files at a time."""


@dataclass(frozen=True)
class Nvcc:
    """One compiler.

    Attributes:
        program: the executable that was found.
        home: the folder of its headers and libraries, what CUDA_HOME is to be.
        version: of CUDA.
    """

    program: Path
    home: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"nvcc {_dotted(self.version)} ({self.program})"


def find_nvcc() -> Nvcc:
    """The compiler that fits torch's CUDA best: of the same version, else of the same major version.

    Those that CUDA_HOME and CUDA_PATH name come first, then that on the PATH, pip's, and those in /usr/local.

    Raises:
        ProtoSagaError: there is none, or only others; the message has the command that installs one.
    """
    wanted = torch_cuda()
    found = all_nvcc()
    fitting = sorted((nvcc for nvcc in found if nvcc.version[0] == wanted[0]), key=lambda nvcc: nvcc.version != wanted)
    if fitting:
        return fitting[0]
    there = f"only {', '.join(map(str, found))}" if found else "no nvcc at all"
    raise ProtoSagaError(
        f"gsplat must be compiled once, and this torch needs CUDA's compiler of version {wanted[0]} for it; there is "
        f"{there}. Install one with: {install_command()}"
    )


def install_command() -> str:
    """How pip installs the compiler that fits this torch, without root."""
    major, minor = torch_cuda()
    return f'pip install "cuda-toolkit[nvcc,cccl,crt,nvvm]=={major}.{minor}.*"'


def torch_cuda() -> tuple[int, int]:
    """The version of CUDA that torch was built with.

    Raises:
        ProtoSagaError: with none.
    """
    if torch.version.cuda is None:
        raise ProtoSagaError(
            f"This torch ({torch.__version__}) is built without CUDA. Install one with it: "
            "pip install --force-reinstall torch torchvision"
        )
    major, minor = torch.version.cuda.split(".")[:2]
    return int(major), int(minor)


def all_nvcc() -> list[Nvcc]:
    """Every compiler that runs, each once."""
    found: dict[Path, Nvcc] = {}
    for program in _candidates():
        if program.is_file() and (nvcc := _ask(program)) is not None:
            found.setdefault(nvcc.home, nvcc)
    return list(found.values())


def _candidates() -> Iterator[Path]:
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if folder := os.environ.get(variable):
            yield Path(folder, "bin", "nvcc")
    if on_path := shutil.which("nvcc"):
        yield Path(on_path)
    for folder in pip_folders():
        yield folder / "bin" / "nvcc"
    yield from sorted(Path("/usr/local").glob("cuda*/bin/nvcc"))


def pip_folders() -> list[Path]:
    """Where NVIDIA's wheels put a whole CUDA toolkit: site-packages/nvidia/cu13 and the like."""
    package = find_spec("nvidia")
    places = [] if package is None else package.submodule_search_locations or []
    return [folder for place in places for folder in sorted(Path(place).glob("cu[0-9]*"))]


@cache
def _ask(program: Path) -> Nvcc | None:
    """The program's own word on where it belongs and which version it is; None if it does not run."""
    try:
        version = _output(program, "--version")
        plan = _output(program, "--dryrun", "-E", "-x", "cu", os.devnull)
    except OSError:
        return None
    release = re.search(r"release (\d+)\.(\d+)", version)
    top = re.search(r"TOP=(.+)", plan)
    if release is None or top is None:
        return None
    home = Path(top[1].strip().strip('"')).resolve()
    if not (home / "include" / "cuda_runtime.h").is_file():  # Debian's package: headers in /usr/include
        home = program.resolve().parent.parent
    return Nvcc(program, home, (int(release[1]), int(release[2])))


def _output(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def compiling_environment(nvcc: Nvcc, links: Path) -> dict[str, str]:
    """The variables of this process, and those with which torch's extensions compile.

    Args:
        nvcc: the compiler.
        links: a folder that may be written to, for the name under which the linker looks for ``libcudart``.
    """
    scripts = sysconfig.get_path("scripts")  # ninja's place, in an environment that is not activated
    known = dict(os.environ)
    known["CUDA_HOME"] = str(nvcc.home)
    known["PATH"] = _joined(nvcc.home / "bin", nvcc.program.parent, scripts, known.get("PATH"))
    known["LIBRARY_PATH"] = _joined(_link_cudart(nvcc, links), known.get("LIBRARY_PATH"))
    if not (nvcc.home / "include" / "cusparse.h").is_file():
        known["CPATH"] = _joined(*(folder / "include" for folder in pip_folders()), known.get("CPATH"))
    known["MAX_JOBS"] = known.get("MAX_JOBS") or str(max_jobs())
    return known


def max_jobs() -> int:
    """How many files memory and processor can compile at once."""
    kilobytes = re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())
    memory = int(kilobytes[1]) / 2**20 if kilobytes else 0.0
    return max(1, min(len(os.sched_getaffinity(0)), int(memory / GIGABYTES_PER_JOB)))


def _link_cudart(nvcc: Nvcc, links: Path) -> Path | None:
    folders = [nvcc.home / "lib64", nvcc.home / "lib"]
    if any((folder / "libcudart.so").exists() for folder in folders):
        return None
    numbered = next((file for folder in folders for file in sorted(folder.glob("libcudart.so.*"))), None)
    if numbered is None:
        return None
    links.mkdir(parents=True, exist_ok=True)
    link = links / "libcudart.so"
    link.unlink(missing_ok=True)
    link.symlink_to(numbered)
    return links


def _joined(*places: Path | str | None) -> str:
    return os.pathsep.join(str(place) for place in places if place)


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
