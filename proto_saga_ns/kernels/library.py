"""The compiled CPU kernels: choosing the library for this processor and calling it through ctypes.

ctypes releases the GIL, and the kernels keep no state, so viewer and trainer may render at the same time.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch  # before the kernels are loaded, so that both share one OpenMP runtime
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError

ISA_VARIABLE = "PROTO_SAGA_ISA"
"""Environment variable that forces an instruction set, for tests and comparisons."""
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")

_int, _long, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "splat_padded_channels": (_int, [_int]),
    "splat_project": (None, [_long, _pointer, _pointer, _pointer, _int]),
    "splat_project_backward": (None, [_long, *[_pointer] * 5, _int]),
    "splat_count_entries": (_long, [_long, *[_pointer] * 4, _int, _int, _pointer, _pointer, _int]),
    "splat_fill_entries": (None, [_long, _pointer, _pointer, _int, _int, _pointer, _pointer, _int]),
    "splat_blend": (_int, [_int, _pointer, _int, _int, *[_pointer] * 3, _int]),
    "splat_blend_backward": (_int, [_int, _long, _pointer, _int, _int, *[_pointer] * 3, _int]),
    "splat_place_channels": (_long, [*[_pointer] * 3, _int, _int, _pointer, _int]),
    "splat_classify_votes": (None, [*[_pointer] * 3, _int, _int, *[_pointer] * 2, _int]),
    "splat_place_tables": (_long, [_pointer, _pointer, _int, _int, _pointer, _int]),
    "splat_fill_tables": (_long, [_pointer, _pointer, _int, _int, _pointer, _pointer, _int]),
    "splat_sum_tables": (_long, [_long, *[_pointer] * 3, _int, _int, *[_pointer] * 3, _int]),
    "splat_harmonics": (None, [_long, _pointer, _pointer, _int]),
    "splat_harmonics_backward": (None, [_long, *[_pointer] * 3, _int]),
    "splat_nearest": (None, [_long, _int, _int, _long, *[_pointer] * 2, ctypes.c_float, *[_pointer] * 3, _int]),
    "splat_own_log_probability": (None, [_long, _int, _int, *[_pointer] * 2, ctypes.c_float, *[_pointer] * 2, _int]),
    "splat_cross_entropy": (None, [_long, _int, _int, *[_pointer] * 3, ctypes.c_float, *[_pointer] * 3, _int]),
    "splat_compare": (None, [*[_pointer] * 5, _int]),
    "splat_compare_backward": (None, [*[_pointer] * 6, _int]),
    "splat_place": (None, [_pointer, _long, *[_pointer] * 3, _int, _pointer]),
    "splat_processor_level": (_int, []),
}


class Camera(ctypes.Structure):
    """``splat::Camera`` of csrc/projection.h."""

    _fields_ = (
        ("rotation", ctypes.c_float * 9),
        ("translation", ctypes.c_float * 3),
        *((name, ctypes.c_float) for name in ("fx", "fy", "cx", "cy", "width", "height")),
        *((name, ctypes.c_float) for name in ("blur", "near", "far", "radius_clip")),
    )


@cache
def library() -> ctypes.CDLL:
    """The kernels for the best instruction set of this processor, or for the one in ``PROTO_SAGA_ISA``.

    Raises:
        ProtoSagaError: if they were not built, or the processor lacks the instruction set asked for.
    """
    supported = supported_instruction_sets()
    wanted = os.environ.get(ISA_VARIABLE) or supported[-1]
    if wanted not in supported:
        raise ProtoSagaError(
            f"{ISA_VARIABLE}={wanted}, but the kernels of this installation run here as "
            f"{', '.join(supported)}. Choose one of these, or unset the variable."
        )
    return _load(wanted)


@cache
def supported_instruction_sets() -> list[str]:
    """Instruction sets that are built and that this processor has, the widest last."""
    level = _load(INSTRUCTION_SETS[0]).splat_processor_level()
    return [name for name in INSTRUCTION_SETS[: level + 1] if _find(name) is not None]


def _find(name: str) -> Path | None:
    import proto_saga_ns.kernels as package

    files = (Path(folder) / f"kernels_{name}.so" for folder in package.__path__)
    return next((file for file in files if file.is_file()), None)


@cache
def _load(name: str) -> ctypes.CDLL:
    file = _find(name)
    if file is None:
        raise ProtoSagaError(
            f"The CPU kernels (proto_saga_ns/kernels/kernels_{name}.so) are missing: the package was not "
            "built. Install it with pip; a C++ compiler must be there."
        )
    loaded = ctypes.CDLL(str(file))
    for function, (result, arguments) in _SIGNATURES.items():
        getattr(loaded, function).restype = result
        getattr(loaded, function).argtypes = arguments
    return loaded


def pointers(*tensors: Tensor) -> ctypes.Array[ctypes.c_void_p]:
    """A C struct of pointers to the memory of contiguous tensors, in this order."""
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


Expected = tuple[Tensor, tuple[int | None, ...], torch.dtype]
"""A tensor, the shape that it must have (None for any size) and its type."""


def check_tensors(kernel: str, **tensors: Expected) -> None:
    """What a kernel is about to read is there: it knows pointers and sizes alone, and reads on beyond shorter tensors.

    Raises:
        ValueError: a tensor has another shape, type or device; the message names it.
    """
    check_shapes(kernel, torch.device("cpu"), tensors)


def check_shapes(kernel: str, device: torch.device, tensors: Mapping[str, Expected]) -> None:
    """The same for any device.

    Raises:
        ValueError: a tensor has another shape, type or device; the message names it.
    """
    for name, (tensor, shape, dtype) in tensors.items():
        fits = tensor.dim() == len(shape) and all(
            size in (None, there) for size, there in zip(shape, tensor.shape, strict=True)
        )
        if not fits or tensor.dtype != dtype or tensor.device != device:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise ValueError(
                f"{kernel}: {name} is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}, expected {dtype} "
                f"({wanted}) on {device}"
            )


def threads() -> int:
    """As many threads as torch uses."""
    return torch.get_num_threads()
