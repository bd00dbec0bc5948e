"""What every launch of a Triton kernel shares. Importing this module needs no Triton."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from proto_saga_ns.kernels.library import Expected, check_shapes

INTERPRET = "TRITON_INTERPRET"
"""Environment variable that lets Triton run kernels in Python, on the CPU too; read when a kernel is decorated."""
SMALLEST_DOT = 16
"""``tl.dot`` takes no shorter sides."""


@dataclass(frozen=True)
class Specialisation:
    """A compilation that stands for those that occur: what ``scripts/compile_triton.py`` compiles, without a device.

    A module of kernels lists its own as ``SPECIALISATIONS``.

    Attributes:
        kernel: decorated with ``triton.jit``.
        types: of all arguments that are no constants, as Triton writes them ("*fp32", "i32", "fp32"; "i32:16" for a
            multiple of 16, which it compiles for as well).
        constants: values of the arguments that are ``tl.constexpr``.
        warps: of 32 threads, of one program.
        bytes: that one item (pixel or other) costs in device memory, read and written; 0 if it is not stated.
        operations: in float32 that one item costs.
    """

    kernel: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    warps: int = 4
    bytes: float = 0
    operations: float = 0


def is_interpreted() -> bool:
    """Whether kernels that are decorated from now on run in Python, on tensors of the CPU."""
    return os.environ.get(INTERPRET, "").lower() in ("1", "true", "yes", "on", "y")


def check_tensors(kernel: str, device: torch.device, **tensors: Expected) -> None:
    """What a kernel is about to read is there, on its device, and kernels can run there.

    Raises:
        ValueError: a tensor has another shape, type or device (the message names it), or it is on the CPU, where
            kernels run under the interpreter only.
    """
    if device.type != "cuda" and not is_interpreted():
        raise ValueError(f"{kernel}: expected tensors on a GPU, not on {device}")
    check_shapes(kernel, device, tensors)


def launch(kernel: Any, programs: int | tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    """Start ``programs`` copies of a kernel on the device of its first tensor; none, if that is no number above 0.

    Args:
        kernel: decorated with ``triton.jit``.
        programs: how many, along one to three axes.
        arguments: tensors and numbers, in the order of the kernel.
        constants: its ``tl.constexpr`` arguments by name, and Triton's own (``num_warps``).
    """
    grid = (programs,) if isinstance(programs, int) else programs
    if min(grid) == 0:
        return
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    # Triton launches on the current device, wherever the tensors are.
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernel[grid](*arguments, **constants)


def blocks(count: int, size: int) -> int:
    """How many blocks of a size hold ``count`` things."""
    return -(-count // size)


def padded(count: int, least: int = SMALLEST_DOT) -> int:
    """The power of two that ``count`` things fit into: Triton's blocks have such sizes only."""
    return max(1 << max(count - 1, 0).bit_length(), least)
