"""Time and memory of finding what each Gaussian contributes to each label of a view, in one run.

Compared with one forward rendering of colours of the same view, and with the same found by a backward pass for every
16 labels (rendered one-hot, as gradients with respect to colours). And memory of the votes of a large scene.
Prints a Markdown table and writes it to results/bench_contributions.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tyro
from bench_rasterizer import Case, in_process_of_its_own, peak_megabytes, room
from jaxtyping import Int
from torch import Tensor

from proto_saga_ns.kernels.library import library, threads
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.contributions import Contributions, contributions
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.recognition.gaussian_instances import InstanceVotes, elect

LABELS_A_PASS = 16
GEOMETRY = ("means", "quats", "scales", "opacities")


def main(
    gaussians: tuple[int, ...] = (45_000, 100_000),
    labels: tuple[int, ...] = (30, 100),
    width: int = 512,
    height: int = 384,
    rounds: int = 9,
    views: int = 200,
    output: Path = Path("results/bench_contributions.md"),
) -> None:
    """Time all three, in turn.

    Args:
        gaussians: how many, a row for each number.
        labels: patches of the label map, a row for each number.
        width: of the view in pixels.
        height: of the view in pixels.
        rounds: repetitions; medians are printed.
        views: that vote on a million Gaussians and a hundred instances.
        output: Markdown file to write.
    """
    cases = [(Case(count, width, height, 3), own) for count in gaussians for own in labels]
    lines = [
        f"`python scripts/bench_contributions.py`, {threads()} threads, {Path(library()._name).stem}",
        "",
        "| Gaussians, size; labels | forward ms | MB | contributions ms | MB | ratio | one-hot ms | MB | ratio |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(case, own, rounds) for case, own in cases),
        "",
        in_process_of_its_own(_votes_line, 1_000_000, 100, views),
    ]
    text = "\n".join(lines)
    print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n")


def _row(case: Case, labels: int, rounds: int) -> str:
    times = in_process_of_its_own(time_ways, case, labels, rounds)
    memory = {name: in_process_of_its_own(memory_of, case, labels, name) for name in times}
    forward, ours, passes = times["forward"], times["contributions"], times["one-hot"]
    return (
        f"| {case.gaussians // 1000}k, {case.width}x{case.height}; {labels} | {1000 * forward:.0f} | "
        f"{memory['forward']:.0f} | {1000 * ours:.0f} | {memory['contributions']:.0f} | {ours / forward:.2f} | "
        f"{1000 * passes:.0f} | {memory['one-hot']:.0f} | {passes / ours:.1f} |"
    )


def time_ways(case: Case, labels: int, rounds: int) -> dict[str, float]:
    """Median seconds of each way, in turn."""
    ways = _ways(case, labels)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def memory_of(case: Case, labels: int, way: str) -> float:
    """Megabytes by which one way raises a process's memory."""
    return peak_megabytes(_ways(case, labels)[way])


def _ways(case: Case, labels: int) -> dict[str, Callable[[], Any]]:
    scene, label_map = room(case), patches(case, labels)
    geometry = Geometry(*(scene[name] for name in GEOMETRY))
    viewmat, intrinsics = scene["viewmats"][0], scene["Ks"][0]
    return {
        "forward": torch.no_grad()(lambda: rasterization(**scene, width=case.width, height=case.height)),
        "contributions": lambda: contributions(geometry, viewmat, intrinsics, label_map),
        "one-hot": lambda: _by_passes(scene, label_map),
    }


def patches(case: Case, count: int) -> Int[Tensor, "H W"]:
    """Each pixel has the label of the nearest of so many random points."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(count, 2, generator=generator) * torch.tensor([case.height, case.width])
    y, x = torch.meshgrid(torch.arange(case.height), torch.arange(case.width), indexing="ij")
    pixels = torch.stack([y, x], dim=-1).reshape(-1, 2).float()
    return torch.cdist(pixels, points).argmin(dim=1).reshape(case.height, case.width)


def _by_passes(scene: dict[str, Any], label_map: Int[Tensor, "H W"]) -> list[Tensor]:
    height, width = label_map.shape
    gradients = []
    for start in range(0, int(label_map.max()) + 1, LABELS_A_PASS):
        colors = torch.zeros(len(scene["means"]), LABELS_A_PASS, requires_grad=True)
        image = rasterization(**{**scene, "colors": colors}, width=width, height=height)[0][0]
        chosen = (label_map[..., None] == torch.arange(start, start + LABELS_A_PASS)).float()
        gradients.append(torch.autograd.grad(image, colors, chosen)[0])
    return gradients


def _votes_line(gaussians: int, instances: int, views: int) -> str:
    """Every view shows a third of the Gaussians, each in two of the twelve instances that it is ever seen in."""
    generator = torch.Generator().manual_seed(0)
    votes, seconds, winners = InstanceVotes(), 0.0, None

    def all_views() -> None:
        nonlocal seconds, winners
        for _ in range(views):
            view = _random_contributions(gaussians, instances, generator)
            start = time.perf_counter()
            votes.add(view)
            seconds += time.perf_counter() - start
        winners = elect(votes.total(), gaussians)

    memory = peak_megabytes(all_views)
    return (
        f"Votes of {views} views on {gaussians} Gaussians and {instances} instances, "
        f"{len(votes) / gaussians:.1f} pairs a Gaussian: {1000 * seconds / views:.0f} ms a view, {memory:.0f} MB."
    )


def _random_contributions(gaussians: int, instances: int, generator: torch.Generator) -> Contributions:
    seen = torch.nonzero(torch.rand(gaussians, generator=generator) < 1 / 3)[:, 0]
    first = torch.randint(6, seen.shape, generator=generator)
    labels = torch.stack([first, first + 6], dim=1) * (instances // 12) + seen[:, None] % (instances // 12)
    weights = torch.rand(labels.numel(), generator=generator)
    return Contributions(seen.repeat_interleave(2).int(), labels.reshape(-1).int(), weights)


if __name__ == "__main__":
    tyro.cli(main)
