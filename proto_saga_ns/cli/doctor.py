"""``proto-saga doctor``: what this machine has, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from proto_saga_ns.errors import ProtoSagaError


@dataclass
class Doctor:
    """Show what this machine has and what follows from it: GPU, compiler, kernels, programs, extras, weights.

    Ends with exit code 0 if training, segmenting and evaluating can run here, on the GPU if there is one, else with 2.
    """

    build: bool = False
    """first compile gsplat's code for the GPU, which training does by itself when it starts"""
    cuda_arch: str | None = None
    """with --build: compute capability to compile for, such as 8.6 or "8.6;8.9". None takes the GPUs of this machine; a
    machine without one must be told"""
    gpu_check: bool = False
    """compute on the GPU and on the CPU all that has a path of its own on each, and compare the results; in a minute"""
    json: bool = False
    """print JSON in place of a table"""

    def run(self) -> None:
        if self.cuda_arch is not None and not self.build:
            raise ProtoSagaError("--cuda-arch says what --build compiles for: give both.")

        from proto_saga_ns.cli.work.doctor import build, report

        if self.build:
            build(self.cuda_arch)
        report(self.json)
        if self.gpu_check:
            from proto_saga_ns.cli.work.gpu_check import report as report_gpu

            report_gpu()
