"""Where things are computed: the one place that decides between a GPU and the CPU.

Networks (Segment Anything and others) need a GPU that torch sees. Gaussians need gsplat's compiled code as well.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from proto_saga_ns.errors import ProtoSagaError

if TYPE_CHECKING:
    import torch

DRIVER = Path("/proc/driver/nvidia/version")
VISIBLE = "CUDA_VISIBLE_DEVICES"
CPU_ALLOCATOR = "DefaultCPUAllocator"
"""By which torch's error about main memory is known; its type is that of all."""
MORE_MAIN_MEMORY = "End other programs, or take less: smaller images, fewer views or fewer Gaussians."
WITHOUT_GPU = f"To go on without the GPU: {VISIBLE}= before the command."


def has_gpu() -> bool:
    """Whether torch sees an NVIDIA GPU."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ``unused_gpu`` tells it
        return torch.cuda.is_available()


def network_device() -> torch.device:
    """Where networks run: on the GPU where there is one."""
    import torch

    return torch.device("cuda" if has_gpu() else "cpu")


def scene_device(wanted: str | torch.device | None = None, *, may_fall_back: bool) -> torch.device:
    """Where Gaussians live, with all that rasterizing them there takes made ready.

    Args:
        wanted: a device that somebody asked for; None is the GPU where there is one.
        may_fall_back: whether the CPU's kernels will do where gsplat's code cannot be had, as for looking at a scene;
            this is said on stderr, once. Training would take hours instead of minutes, and must not.

    Raises:
        ProtoSagaError: gsplat is of another version, or its code is needed and neither there nor to be built.
    """
    import torch

    from proto_saga_ns.kernels.gsplat_code import check_version, load_gsplat

    device = network_device() if wanted is None else torch.device(wanted)
    check_version()
    if device.type != "cuda":
        if (reason := unused_gpu()) is not None:
            say_once(f"{reason} Going on with the CPU; `proto-saga doctor` shows all of it.")
        return device
    if not has_gpu() and not may_fall_back:  # as the config.yml of a run from another machine may ask
        raise ProtoSagaError(
            f"{unused_gpu() or 'torch finds no GPU here.'} To train on the CPU: --machine.device-type cpu. `proto-saga "
            "doctor` shows what is there."
        )
    try:
        load_gsplat()
    except ProtoSagaError as error:
        if not may_fall_back:
            raise ProtoSagaError(f"{error} {WITHOUT_GPU}") from error
        say_once(f"The GPU is not used, the CPU is: {error}")
        return torch.device("cpu")
    return device


def unused_gpu() -> str | None:
    """Why torch does not see a GPU whose driver is there; None where it does, or there is none, or it was hidden."""
    if not DRIVER.exists() or os.environ.get(VISIBLE, "all") in ("", "-1"):
        return None
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    if torch.version.cuda is None:
        return f"NVIDIA's driver is here, but this torch ({torch.__version__}) is built without CUDA."
    said = " ".join(str(caught[0].message).split(". ")[0].split()) if caught else "it does not say why"
    return f"NVIDIA's driver is here, but torch ({torch.__version__}) finds no GPU: {said}."


@contextmanager
def memory_errors_are_explained(what: str, what_now: Callable[[], str]) -> Iterator[None]:
    """Turn a GPU that is out of memory into one line; main memory too, where the system refuses it.

    Args:
        what: it has not enough memory for.
        what_now: which options take less, for people; asked for when it is needed.

    Raises:
        ProtoSagaError: in place of torch's error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or CPU_ALLOCATOR in str(error):
            asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
            amount = "" if asked is None else f" ({asked[1]} more were asked for)"
            raise ProtoSagaError(f"Main memory is not enough for {what}{amount}. {MORE_MAIN_MEMORY}") from error
        if type(error).__name__ != "OutOfMemoryError":  # torch's: commands that need no torch need not import it
            raise
        raise ProtoSagaError(f"The GPU has not enough memory for {what}. {what_now()}") from error


@cache
def say_once(text: str) -> None:
    """Tell the person on stderr, once a process."""
    print(f"proto-saga: {text}", file=sys.stderr, flush=True)
