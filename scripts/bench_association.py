"""Time and memory of association: the size that must hold, how it grows, and Python sets on a smaller case.

Cameras circle a box of balls (the instances) and see every Gaussian, which is the most that association can be given:
it asks for no occlusion. Masks are the regions of the image nearest to each ball's projected centre. Every row runs in
a process of its own, and making the masks is not timed. Prints a Markdown table and writes it to
results/bench_association.md.
"""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from scipy.spatial import KDTree
from torch import Tensor

from proto_saga_ns.association import BANK, GAGA, Association, AssociationOptions, View, associate
from proto_saga_ns.association.claims import claims
from proto_saga_ns.association.memory_bank import MemoryBank

WIDTH, HEIGHT, COARSER = 640, 480, 4
EMBEDDING_DIM = 16
BUDGET_SECONDS, BUDGET_GIGABYTES, BUDGET_RATIO = 60, 4, 50


@dataclass(frozen=True)
class Case:
    """One row: how many Gaussians, views and masks in a view."""

    gaussians: int
    views: int
    masks: int

    def __str__(self) -> str:
        return f"{self.gaussians // 1000}k, {self.views}, {self.masks}"


@dataclass(frozen=True)
class Measured:
    """Seconds on the clock and of the CPU, gigabytes at the peak of the whole process, instances and memberships."""

    seconds: float
    cpu_seconds: float
    gigabytes: float
    instances: int
    memberships: int


class OrbitViews:
    """Views of the box, made when asked for; ``seconds`` and ``cpu_seconds`` count what the making took."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.case, self.seconds, self.cpu_seconds = case, 0.0, 0.0
        centers = 2 * torch.rand(case.masks, 3, generator=generator) - 1
        ball = torch.randint(case.masks, (case.gaussians,), generator=generator)
        self.means = centers[ball] + 0.1 * torch.randn(case.gaussians, 3, generator=generator)
        codes = torch.randn(case.masks, EMBEDDING_DIM, generator=generator)
        self.embeddings = codes[ball] + 0.5 * torch.randn(case.gaussians, EMBEDDING_DIM, generator=generator)
        self._centers, self._codes = centers, codes

    def __len__(self) -> int:
        return self.case.views

    def __getitem__(self, index: int, /) -> View:
        start, cpu_start = time.perf_counter(), time.process_time()
        view = self._make(index)
        self.cpu_seconds += time.process_time() - cpu_start
        self.seconds += time.perf_counter() - start
        return view

    def _make(self, index: int) -> View:
        viewmat = _orbit(2 * math.pi * index / self.case.views)
        K = torch.tensor([[WIDTH, 0, WIDTH / 2], [0, WIDTH, HEIGHT / 2], [0, 0, 1.0]])
        points = (self._centers @ viewmat[:3, :3].T + viewmat[:3, 3]) @ K.T
        nearest = _nearest_ball(points[:, :2] / points[:, 2:])
        used, labels = np.unique(nearest, return_inverse=True)
        label_map = torch.from_numpy(labels.reshape(nearest.shape).astype(np.int32) + 1)
        label_map = label_map.repeat_interleave(COARSER, 0).repeat_interleave(COARSER, 1)
        return View(f"view{index}", viewmat, K, WIDTH, HEIGHT, label_map, self._codes[used].T.contiguous())


def main(quick: bool = False, threads: int = 0, output: Path = Path("results/bench_association.md")) -> None:
    """Time association.

    Args:
        quick: a tenth of the Gaussians.
        threads: threads of PyTorch, 0 = as many as it takes by itself. Threads that wait for each other burn time
            on a busy machine; there only the CPU seconds of a single thread mean something.
        output: Markdown file to write.
    """
    target = Case(100_000 if quick else 1_000_000, 200, 100)
    chosen = threads or torch.get_num_threads()
    command = (
        f"python scripts/bench_association.py{' --quick' if quick else ''}{f' --threads {threads}' * (threads > 0)}"
    )
    lines = [f"`{command}`, {chosen} threads", ""]
    print(*lines, sep="\n")
    for line in _table(target, chosen):
        print(line, flush=True)
        lines.append(line)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n")


def _table(target: Case, threads: int) -> Iterator[str]:
    """Lines as they become known, the size that must hold first."""
    default = BANK
    small = replace(target, gaussians=target.gaussians // 10, views=50)
    yield f"Budget: 1000k, 200, 100 in {BUDGET_SECONDS} s and {BUDGET_GIGABYTES} GB; {BUDGET_RATIO}x of Python sets."
    yield ""
    yield "| Gaussians, views, masks | options | seconds | CPU seconds | peak GB | instances | memberships |"
    yield "|---|---|---|---|---|---|---|"
    yield _row(target, "default", default, threads)
    yield _row(target, "Gaga", GAGA, threads)
    yield from (_row(case, "default", default, threads) for case in _smaller(target))
    yield ""
    yield "| Gaussians, views, masks | options | memory bank s | nested Python sets s, same claims | ratio |"
    yield "|---|---|---|---|---|"
    yield _ratio_row(small, "default", default)
    yield _ratio_row(small, "Gaga", GAGA)


def _smaller(target: Case) -> list[Case]:
    """Halves and quarters of the target's Gaussians and of its views."""
    fewer = [replace(target, gaussians=target.gaussians // part) for part in (2, 4)]
    return fewer + [replace(target, views=target.views // part) for part in (2, 4)]


def _row(case: Case, name: str, options: AssociationOptions, threads: int) -> str:
    measured: Measured = _in_process_of_its_own(time_association, case, options, threads)
    return (
        f"| {case} | {name} | {measured.seconds:.1f} | {measured.cpu_seconds:.1f} | {measured.gigabytes:.2f} | "
        f"{measured.instances} | {measured.memberships} |"
    )


def _ratio_row(case: Case, name: str, options: AssociationOptions) -> str:
    bank, sets = _in_process_of_its_own(time_bank_and_sets, case, options)
    return f"| {case} | {name} | {bank:.2f} | {sets:.2f} | {sets / bank:.0f}x |"


def _in_process_of_its_own(run: Callable[..., Any], *arguments: Any) -> Any:
    """So that the peak of an earlier row is not counted again."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def time_association(case: Case, options: AssociationOptions, threads: int) -> Measured:
    """The whole of association, but for the making of the views."""
    torch.set_num_threads(threads)
    views = OrbitViews(case)
    start, cpu_start = time.perf_counter(), time.process_time()
    association: Association = associate(views.means, views.embeddings, views, options)
    seconds = time.perf_counter() - start - views.seconds
    cpu_seconds = time.process_time() - cpu_start - views.cpu_seconds
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Measured(seconds, cpu_seconds, gigabytes, association.num_instances, len(association.gaussian_sets[0]))


def time_bank_and_sets(case: Case, options: AssociationOptions) -> tuple[float, float]:
    """CPU seconds that the memory bank and nested Python sets take for the same masks; making the masks' sets is free.

    Raises:
        RuntimeError: if the two place a mask differently.
    """
    torch.set_num_threads(1)
    views = OrbitViews(case)
    found = [_claims_of_masks(views, index, options) for index in range(len(views))]
    as_sets = [[set(mask.tolist()) for mask in masks] for masks in found]
    start = time.process_time()
    ours = _place_in_bank(found, case.gaussians, options)
    middle = time.process_time()
    theirs = _place_in_sets(as_sets, options)
    end = time.process_time()
    if ours != theirs:
        raise RuntimeError(f"the memory bank and the sets disagree on {case}")
    return middle - start, end - middle


def _claims_of_masks(views: OrbitViews, index: int, options: AssociationOptions) -> list[np.ndarray]:
    labels, gaussians = claims(views.means, views.embeddings, views[index], 10.0, options)
    return np.split(gaussians, np.flatnonzero(np.diff(labels)) + 1)


def _place_in_bank(views: list[list[np.ndarray]], gaussians: int, options: AssociationOptions) -> list[int]:
    bank = MemoryBank(gaussians, options)
    return [
        int(instance)
        for index, masks in enumerate(views)
        for instance in bank.place(np.concatenate(masks), np.array([len(mask) for mask in masks]), founding=index == 0)
    ]


def _place_in_sets(views: list[list[set[int]]], options: AssociationOptions) -> list[int]:
    """Eqs. 11-13: every mask against every instance."""
    bank = [set(mask) for mask in views[0]]
    owned = set().union(*bank)
    placed = list(range(len(bank)))
    for mask in (mask for masks in views[1:] for mask in masks):
        both = [len(mask & members) for members in bank]
        scores = [n / (len(mask) + (n if options.score == "sum" else 0)) for n in both]
        best = max(range(len(bank)), key=scores.__getitem__)
        if scores[best] <= options.delta:
            best = len(bank)
            bank.append(set(mask))
        else:
            bank[best] |= mask if options.growth == "union" else mask - owned
        owned |= mask
        placed.append(best)
    return placed


def _orbit(angle: float) -> Tensor:
    """World to camera, OpenCV axes: on a circle around the box, far enough to see all of it, looking at its middle."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[cos, 0, -sin, 0], [0, 1.0, 0, 0], [sin, 0, cos, 5.5], [0, 0, 0, 1.0]])


def _nearest_ball(pixels: Tensor) -> np.ndarray:
    """Index of the ball nearest to each pixel of an image that is coarser than the view."""
    y, x = np.mgrid[: HEIGHT // COARSER, : WIDTH // COARSER] * COARSER
    return np.asarray(KDTree(pixels.numpy()).query(np.stack([x, y], axis=-1))[1])


if __name__ == "__main__":
    tyro.cli(main)
