"""Every budget of the project, measured on this machine: pass or miss.

Ratios are of one run. Times and ratios mean something on an idle machine only: the load is printed. A part can be
chosen (``--only consensus``); all take about ten minutes on two cores. Prints a Markdown table, writes it to
results/bench_budgets.md and ends with exit code 1 if a budget was missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import bench_consensus
import bench_import
import bench_inference
import bench_rasterizer
import bench_training_step
import torch
import tyro
from bench_rasterizer import Case, in_process_of_its_own, peak_megabytes
from common.machines import conditions

from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU, cross_entropy

TARGET = Case(100_000, 512, 384, 20)
"""Gaussians, picture and channels of the budgets of training."""
Part = Literal["rasterizer", "step", "joint", "consensus", "looking", "memory", "start"]


@dataclass(frozen=True)
class Budget:
    """One row.

    Attributes:
        what: is measured.
        unit: of the figures.
        limit: that is kept.
        measured: here.
        at_least: whether more is better.
    """

    what: str
    unit: str
    limit: float
    measured: float
    at_least: bool = False

    @property
    def is_kept(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def row(self) -> str:
        sign, verdict = "at least" if self.at_least else "at most", "pass" if self.is_kept else "**miss**"
        return f"| {self.what} | {sign} {self.limit:g} {self.unit} | {self.measured:.3g} {self.unit} | {verdict} |"


def main(only: tuple[Part, ...] = (), output: Path = Path("results/bench_budgets.md")) -> None:
    """Measure budgets.

    Args:
        only: these parts; all if none is named.
        output: Markdown file to write.
    """
    lines = [
        f"`python scripts/bench_budgets.py`; {conditions()}",
        "",
        "| what | budget | measured | |",
        "|---|---|---|---|",
    ]
    missed = False
    print("\n".join(lines), flush=True)
    for part, measure in PARTS.items():
        for budget in measure() if not only or part in only else ():
            lines.append(budget.row())
            print(lines[-1], flush=True)
            missed |= not budget.is_kept
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n")
    sys.exit(missed)


def of_rasterizer() -> Iterator[Budget]:
    (forward, backward, _), (baseline, _) = bench_rasterizer.time_case(TARGET, 7, 8)
    yield Budget("vectorised PyTorch / our blending, there and back", "x", 25, baseline / (forward + backward), True)


def of_step() -> Iterator[Budget]:
    seconds = in_process_of_its_own(bench_rasterizer.time_training_step, TARGET, 20)
    yield Budget(f"training steps ({TARGET})", "a second", 12, 1 / seconds, True)


def of_joint_step() -> Iterator[Budget]:
    seconds = bench_training_step.time_steps(100_000, 30, 3)
    yield Budget("joint step / plain step of the same trainer", "x", 1.2, seconds["joint"] / seconds["plain"])


def of_consensus() -> Iterator[Budget]:
    case = bench_consensus.Case(1_000_000, 200)
    measured = in_process_of_its_own(bench_consensus.measure, case, torch.get_num_threads())
    what = f"consensus, {case} views of {bench_consensus.MASKS} masks"
    yield Budget(what, "s", 60, measured.clock)
    yield Budget(f"{what}, memory", "GB", 2, max(measured.gigabytes.values()))


def of_looking() -> Iterator[Budget]:
    seconds = bench_inference.time_ways(100_000, (30, 100), 512, 384, 15)
    for instances, limit in ((30, 1.3), (100, 1.5)):
        ratio = seconds[f"segmentation with votes, {instances} instances"] / seconds["colour"]
        yield Budget(f"segmenting a view with votes / its colour, {instances} instances", "x", limit, ratio)


def of_memory() -> Iterator[Budget]:
    bytes_ = in_process_of_its_own(cross_entropy_bytes, 512, 384, 300)
    yield Budget("cross entropy with its gradient, memory a pixel and label", "bytes", 1, bytes_)
    few, many = (in_process_of_its_own(bench_inference.megabytes_of_votes, count) for count in (30, 3000))
    yield Budget("memory of a segmented view, 3,000 instances / 30", "x", 1.1, many / few)


def cross_entropy_bytes(width: int, height: int, labels: int) -> float:
    """By which a loss and its gradients raise the peak of a process, beyond the gradient of the features."""
    features, classifier = torch.randn(height, width, 16, requires_grad=True), torch.randn(16, labels)
    label_map = torch.randint(labels + 1, (height, width))
    warm = features.detach()[:20, :20].clone().requires_grad_()
    cross_entropy(warm, classifier, label_map[:20, :20], DEFAULT_TAU)[0].backward()
    taken = peak_megabytes(lambda: cross_entropy(features, classifier, label_map, DEFAULT_TAU)[0].backward())
    return (taken * 2**20 - 4 * features.numel()) / (width * height * labels)


def of_start() -> Iterator[Budget]:
    plugin, helped = bench_import.processor_seconds(5)
    yield Budget("importing the plugin after nerfstudio", "processor s", 0.2, plugin)
    yield Budget("`proto-saga --help`", "processor s", 1, helped)


PARTS: dict[str, Callable[[], Iterator[Budget]]] = {
    "rasterizer": of_rasterizer,
    "step": of_step,
    "joint": of_joint_step,
    "consensus": of_consensus,
    "looking": of_looking,
    "memory": of_memory,
    "start": of_start,
}

if __name__ == "__main__":
    tyro.cli(main)
