"""What a figure was measured with: for the records beside the tables."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("proto_saga_ns", "nerfstudio", "gsplat", "torch")


def versions() -> dict[str, str]:
    """Of the packages that figures depend on."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def machine() -> dict[str, Any]:
    """The GPU if there is one, the processor, and its cores."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {"gpu": gpu, "processor": _processor(), "cores": os.cpu_count()}


def conditions() -> str:
    """What times depend on: the processor, its cores, threads, kernels, other work at this moment, PyTorch."""
    from proto_saga_ns.kernels.library import library, threads

    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    kernels = Path(library()._name).stem
    return f"{_processor()}, {os.cpu_count()} cores, {threads()} threads, {kernels}{load}, torch {versions()['torch']}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
