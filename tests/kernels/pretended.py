"""Machines that this one is not: compilers that answer, a GPU that torch believes in, a gsplat of one small file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

SOURCE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "csrc", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_csrc(void) { return PyModule_Create(&module); }
"""


def write_nvcc(folder: Path, version: str) -> Path:
    """A toolkit in a folder, whose compiler says its version and place; it compiles nothing."""
    program = folder / "bin" / "nvcc"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --version) echo "Cuda compilation tools, release {version}, V{version}.88" ;;\n'
        f"--dryrun) echo '#$ TOP={folder}/bin/..' >&2 ;; *) exit 1 ;; esac\n"
    )
    program.chmod(0o755)
    (folder / "include").mkdir()
    (folder / "include" / "cuda_runtime.h").touch()
    return program


def write_gsplat(folder: Path, source: str = SOURCE, version: str = "1.4.0") -> Path:
    """A package gsplat of the given version with one source file, for a PYTHONPATH."""
    sources = folder / "gsplat" / "cuda" / "csrc"
    sources.mkdir(parents=True)
    (folder / "gsplat" / "__init__.py").touch()
    (sources / "ext.cpp").write_text(source)
    metadata = folder / f"gsplat-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: gsplat\nVersion: {version}\n")
    return folder


def pretend_gpu(patch: pytest.MonkeyPatch, capability: tuple[int, int] = (8, 9), cuda: str = "13.0") -> None:
    """Let torch say that there is a GPU; nothing can be computed on it."""
    patch.setattr(torch.version, "cuda", cuda)
    patch.setattr(torch.cuda, "is_available", lambda: True)
    patch.setattr(torch.cuda, "device_count", lambda: 1)
    patch.setattr(torch.cuda, "get_device_capability", lambda index=0: capability)
    properties = type("Properties", (), {"name": "Pretended GPU", "total_memory": 24 * 2**30})
    patch.setattr(torch.cuda, "get_device_properties", lambda index: properties())


def hide_compilers(patch: pytest.MonkeyPatch) -> None:
    """As on a machine without any nvcc."""
    from proto_saga_ns.kernels import nvcc

    patch.setattr(nvcc, "_candidates", lambda: iter(()))
