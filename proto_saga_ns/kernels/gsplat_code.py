"""gsplat's compiled code: which version is taken, where its library lies, and how it is built.

gsplat comes as sources, which it compiles itself at the first rasterization: after all masks were made, without a word
of how far it is, with ten files at once whatever the memory, and with None in place of functions where there is no
compiler. Here it is built before anything else, once for this torch, Python and GPU, and loaded from then on without a
compiler. Libraries that other people built (``gsplat.csrc``) come first.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.nvcc import Nvcc, compiling_environment, find_nvcc, torch_cuda

ACCEPTED = "1.4."
"""What versions of gsplat begin with that are taken."""
ANY_VERSION = "PROTO_SAGA_ANY_GSPLAT"
"""Environment variable: 1 takes any version of gsplat."""
ARCHITECTURES = "TORCH_CUDA_ARCH_LIST"
"""Environment variable of torch: what GPUs to compile for, such as 8.6 or 8.6;8.9."""
OLDEST = {12: (7, 0), 13: (7, 5)}
"""By CUDA's major version, the oldest compute capability that its compiler knows and gsplat runs on."""


def check_version() -> None:
    """gsplat is one of the versions that this package was tested with.

    Raises:
        ProtoSagaError: it is not, or there is none.
    """
    try:
        found = version("gsplat")
    except PackageNotFoundError as error:
        raise ProtoSagaError("gsplat is not installed. Install it with: pip install gsplat==1.4.0") from error
    if not found.startswith(ACCEPTED) and os.environ.get(ANY_VERSION) != "1":
        raise ProtoSagaError(
            f"gsplat {found} is installed, this package takes {ACCEPTED}*: 1.5.3 never resets opacities, and others "
            "are untried. Install it with: pip install gsplat==1.4.0; or try "
            f"yours at your own risk: {ANY_VERSION}=1 before the command."
        )


def radii_per_gaussian() -> int:
    """How many radii the installed gsplat's strategies expect of each Gaussian in a view: from 1.5 on, one an axis."""
    major, minor = map(int, version("gsplat").split(".")[:2])
    return 1 if (major, minor) < (1, 5) else 2


@cache
def load_gsplat() -> ModuleType:
    """gsplat with its compiled code, which is built if need be.

    Raises:
        ProtoSagaError: it cannot be loaded or built on this machine; the message has the remedy.
    """
    check_version()
    if not take_library():
        build_gsplat()
        take_library()
    _try_it()
    return importlib.import_module("gsplat")


def take_library() -> bool:
    """Whether compiled code is there for this machine, from a wheel of binaries or built before; builds nothing.

    Raises:
        ProtoSagaError: the GPU is too old.
    """
    try:
        importlib.import_module("gsplat.csrc")
    except ImportError:  # not there, or made for another torch
        file = library_file(_architectures_here())
        return file.is_file() and _take(file)
    return True


def library_file(architectures: str) -> Path:
    """Where the library for these GPUs lies, or is to lie: one folder for each gsplat, torch, CUDA, Python and GPU."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    cuda = "".join(map(str, torch_cuda()))
    gpus = f"sm{re.sub(r'[^A-Za-z0-9.]+', '-', architectures)}"
    name = f"gsplat-{version('gsplat')}-torch-{version('torch').split('+')[0]}-cu{cuda}-{python}-{gpus}"
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or Path(caches, "torch_extensions")
    return Path(root, "proto_saga_ns", name, "csrc.so")


def _architectures_here() -> str:
    """What to compile for: TORCH_CUDA_ARCH_LIST, else the GPUs of this machine.

    Raises:
        ProtoSagaError: no GPU, or one that is too old.
    """
    if given := os.environ.get(ARCHITECTURES):
        return given
    if not torch.cuda.is_available():
        raise ProtoSagaError(
            "There is no GPU here to compile gsplat for. Name one: proto-saga doctor --build --cuda-arch 8.6"
        )
    oldest = OLDEST.get(torch_cuda()[0], max(OLDEST.values()))
    capabilities = sorted({torch.cuda.get_device_capability(index) for index in range(torch.cuda.device_count())})
    if capabilities[0] < oldest:
        raise ProtoSagaError(
            f"A GPU of this machine has compute capability {'.'.join(map(str, capabilities[0]))}; gsplat with CUDA "
            f"{torch.version.cuda} needs {'.'.join(map(str, oldest))} (Turing is 7.5) at least. Choose another with "
            "CUDA_VISIBLE_DEVICES=N."
        )
    return ";".join(f"{major}.{minor}" for major, minor in capabilities)


def _take(file: Path) -> bool:
    """Put a library where gsplat looks first; False if it cannot be loaded."""
    import gsplat

    try:
        spec = spec_from_file_location("gsplat.csrc", file)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError:
        return False
    sys.modules["gsplat.csrc"] = module
    gsplat.csrc = module  # type: ignore[attr-defined]
    return True


def _try_it() -> None:
    """Draw one Gaussian: a library for other GPUs loads, and fails at the first kernel."""
    import gsplat

    if not torch.cuda.is_available():
        return
    one = torch.ones(1, 3, device="cuda")
    camera = torch.eye(4, device="cuda")
    lens = torch.tensor([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]], device="cuda")
    try:
        gsplat.rasterization(
            means=one,
            quats=one.new_tensor([[1.0, 0, 0, 0]]),
            scales=one,
            opacities=one[:, 0],
            colors=one,
            viewmats=camera[None],
            Ks=lens[None],
            width=16,
            height=16,
            packed=False,  # as everywhere here
        )
        torch.cuda.synchronize()
    except RuntimeError as error:
        raise ProtoSagaError(
            f"gsplat's compiled code fails on this GPU: {' '.join(str(error).split())[:200]} Remove {_place()}, "
            "and build it for this GPU: proto-saga doctor --build"
        ) from error


def _place() -> str:
    return str(sys.modules["gsplat.csrc"].__file__)


def build_gsplat(architectures: str | None = None) -> Path:
    """Compile gsplat, with a progress bar; what an earlier run has compiled is kept, and two runs take turns.

    Args:
        architectures: as in TORCH_CUDA_ARCH_LIST; None takes that, or the GPUs of this machine.

    Returns:
        The library.

    Raises:
        ProtoSagaError: what it takes is missing, or the compiler failed; the log stays.
    """
    nvcc = check_buildable()
    architectures = architectures or _architectures_here()
    file = library_file(architectures)
    folder = file.parent / "build"
    folder.mkdir(parents=True, exist_ok=True)
    environment = compiling_environment(nvcc, folder / "links")
    environment[ARCHITECTURES] = architectures
    log = file.parent / "build.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(file)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _show_progress(process, folder, int(environment["MAX_JOBS"]))
        finally:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        raise ProtoSagaError(
            f"gsplat cannot be compiled with {nvcc}: {_first_error(log.read_text(errors='replace'))} All that the "
            f"compiler said is in {log}."
        )
    return file


def check_buildable() -> Nvcc:
    """The compiler to build with; Python's headers, a C++ compiler and ninja are there as well.

    Raises:
        ProtoSagaError: one of them is missing.
    """
    nvcc = find_nvcc()
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    path = os.pathsep.join([os.environ.get("PATH", ""), sysconfig.get_path("scripts")])
    if not header.is_file():
        raise ProtoSagaError(f"gsplat must be compiled once, and {header} is missing: apt-get install python3-dev")
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        raise ProtoSagaError("gsplat must be compiled once, and there is no C++ compiler: apt-get install g++")
    if shutil.which("ninja", path=path) is None:
        raise ProtoSagaError("gsplat must be compiled once, and ninja is missing: pip install ninja")
    return nvcc


def _show_progress(process: subprocess.Popen[bytes], folder: Path, jobs: int) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), SpinnerColumn(), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as progress:
        what = f"Compiling gsplat, once, in some minutes ({jobs} at a time)"
        task = progress.add_task(what, total=len(_group_sources(jobs)))
        while process.poll() is None:
            progress.update(task, completed=len(list(folder.glob("*.o"))))
            time.sleep(0.2)
        if process.returncode == 0:
            progress.update(task, completed=len(_group_sources(jobs)))


def _first_error(log: str) -> str:
    """The line that says why, in what a compiler and torch have printed."""
    lines = [line.strip() for line in log.splitlines()]
    wanted = (r"\berror\b.*:|: error|fatal error|fatal\s*:", r"\w+Error: ")
    for pattern in wanted:
        if found := next((line for line in lines if re.search(pattern, line)), None):
            return found[:300]
    return (lines[-1] if lines else "it said nothing")[:300]


def _group_sources(jobs: int) -> list[list[Path]]:
    """gsplat's sources, in groups that are compiled as one file each.

    Most of the time of a file goes into PyTorch's headers, so there are as few groups as keep all jobs busy. Two at
    least, and neighbours by name go into different ones: two files have a kernel of the same name.
    """
    folder = _gsplat_folder() / "cuda" / "csrc"
    kernels, others = (sorted(folder.glob(kind)) for kind in ("*.cu", "*.cpp"))
    groups = [kernels[first :: max(jobs, 2)] for first in range(max(jobs, 2))]
    return [*filter(None, groups), *([source] for source in others)]


def _write_groups(groups: list[list[Path]], folder: Path) -> list[str]:
    """One file for each group that includes its members; as it was, if it is there already, for ninja to see."""
    files = []
    for index, group in enumerate(groups):
        file = folder / f"group_{index}_of_{len(groups)}{group[0].suffix}"
        content = "".join(f'#include "{source}"\n' for source in group)
        if not file.is_file() or file.read_text() != content:
            file.write_text(content)
        files.append(str(file))
    return files


def _gsplat_folder() -> Path:
    spec = find_spec("gsplat")
    assert spec is not None and spec.origin is not None, "checked before"
    return Path(spec.origin).parent


def _compile(file: Path) -> None:
    """Compile in this process, and put the library in its place in one step. Flags are those of gsplat itself."""
    from torch.utils.cpp_extension import load

    folder = file.parent / "build"
    with (file.parent / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if file.is_file() and _take(file):
            return  # another process was first
        (folder / "lock").unlink(missing_ok=True)  # torch's own, which one that was killed leaves behind
        source = _gsplat_folder() / "cuda" / "csrc"
        load(
            "csrc",
            _write_groups(_group_sources(int(os.environ["MAX_JOBS"])), folder),
            extra_cflags=["-O3"],
            extra_cuda_cflags=["-O3", "--use_fast_math"],
            extra_include_paths=[str(source), str(source / "third_party" / "glm")],
            build_directory=str(folder),
            verbose=True,
        )
        os.replace(folder / "csrc.so", file)
        shutil.rmtree(folder)


if __name__ == "__main__":
    _compile(Path(sys.argv[1]))
