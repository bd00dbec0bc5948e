"""Compiles all Triton kernels for GPUs that need not be here, and prints what each program takes of them.

Registers and spills are what ptxas says, which Triton brings. The bounds are of an ideal: every item's bytes moved at
the full bandwidth, or its operations done at the full rate in float32, whatever takes longer.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from proto_saga_ns.kernels import triton as kernels
from proto_saga_ns.kernels.triton.launch import Specialisation, is_interpreted

ARCHITECTURES = (80, 90, 120)
"""A100, H200 and RTX 50; what runs on 80 runs on RTX 30 and 40 as well."""
DEVICES = {"H200": (4.8e12, 67e12), "RTX 4090": (1.0e12, 82e12)}
"""Bytes, and operations in float32, that a device does in a second."""


@dataclass(frozen=True)
class Compiled:
    """What one program of a kernel takes on one architecture; memory in bytes."""

    registers: int
    spilled: int
    shared: int


def specialisations() -> Iterator[tuple[str, Specialisation]]:
    """All that modules of kernels list, each with its name."""
    for module in pkgutil.iter_modules(kernels.__path__):
        found = importlib.import_module(f"{kernels.__name__}.{module.name}")
        for each in getattr(found, "SPECIALISATIONS", ()):
            yield f"{module.name}.{each.kernel.__name__.lstrip('_')}", each


def compile_for(each: Specialisation, architecture: int) -> Compiled:
    """Compile for an architecture (90 for sm_90), to machine code."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = each.kernel.arg_names
    types = {name: "constexpr" if name in each.constants else each.types[name] for name in names}
    # Tensors of torch begin at multiples of 16 bytes, which a launch finds out as it does for numbers.
    divisible = [place for place, kind in enumerate(types.values()) if kind.startswith("*") or kind.endswith(":16")]
    signature = {name: kind.removesuffix(":16") for name, kind in types.items()}
    aligned = {(place,): [["tt.divisibility", 16]] for place in divisible}
    source = ASTSource(each.kernel, signature, dict(each.constants), aligned)
    target = GPUTarget("cuda", architecture, 32)
    made = triton.compile(source, target=target, options={"num_warps": each.warps})
    registers, spilled = _registers(made.asm["ptx"], architecture)
    return Compiled(registers, spilled, made.metadata.shared)


def _registers(ptx: str, architecture: int) -> tuple[int, int]:
    """Registers of a thread, and bytes that it spills for want of more."""
    from triton.backends.nvidia.compiler import get_ptxas

    target = re.findall(r"\.target (sm_\w+)", ptx)[0]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(ptx, encoding="utf-8")
        command = [get_ptxas(architecture).path, "-v", f"--gpu-name={target}", source, "-o", Path(folder, "kernel.o")]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return int(re.findall(r"Used (\d+) registers", said)[0]), int(re.findall(r"(\d+) bytes spill stores", said)[0])


def bounds(each: Specialisation) -> dict[str, float]:
    """Nanoseconds that an item takes at the least, by device."""
    return {name: 1e9 * max(each.bytes / moved, each.operations / done) for name, (moved, done) in DEVICES.items()}


def main(architectures: tuple[int, ...] = ARCHITECTURES, only: str = "") -> None:
    """Compile and print tables in Markdown.

    Args:
        architectures: compute capabilities without their point.
        only: a part of the names of kernels; all if empty.
    """
    if is_interpreted():
        sys.exit("Kernels are interpreted, not compiled, while TRITON_INTERPRET is set: unset it.")
    chosen = [(name, each) for name, each in specialisations() if only in name]
    print(
        "| kernel | constants | warps | GPU | registers | spilled bytes | shared bytes |\n|---|---|---|---|---|---|---|"
    )
    for name, each in chosen:
        constants = " ".join(f"{key}={value}" for key, value in each.constants.items())
        for architecture in architectures:
            it = compile_for(each, architecture)
            row = (name, constants, each.warps, f"sm_{architecture}", it.registers, it.spilled, it.shared)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print(f"\n| kernel | bytes | operations | {' | '.join(f'{name}, ns' for name in DEVICES)} |\n{'|---' * 5}|")
    for name, each in chosen:
        if each.bytes or each.operations:
            least = " | ".join(f"{time:.3f}" for time in bounds(each).values())
            print(f"| {name} | {each.bytes:.0f} | {each.operations:.0f} | {least} |")


if __name__ == "__main__":
    tyro.cli(main)
