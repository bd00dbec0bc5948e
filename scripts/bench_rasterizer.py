"""Time and memory of the CPU rasterizer against vectorised PyTorch and against the slow reference, in one run.

The PyTorch baseline blends tile by tile with dense tensor operations and autograd, from the same projected Gaussians
and the same tile lists; it keeps the gradients of one tile at a time, so that memory does not slow it down. It blends
one of eight tiles, and its time is multiplied. Prints a Markdown table and writes it to results/bench_rasterizer.md.
Times mean something on an idle machine only: threads that wait for each other suffer most from other work.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import tyro
from common.machines import conditions
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.plugin.model.render import CameraView, Gaussians, render
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.arguments import TILE
from proto_saga_ns.rasterize.reference import composite
from proto_saga_ns.rasterize.tiles import Tiles, bin_splats
from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU, cross_entropy

GEOMETRY = ("means", "quats", "scales", "opacities")


@dataclass(frozen=True)
class Case:
    """One row: how many Gaussians and channels, and the image in pixels."""

    gaussians: int
    width: int
    height: int
    channels: int

    def __str__(self) -> str:
        return f"{self.gaussians // 1000}k, {self.width}x{self.height}, {self.channels}"


CASES = [Case(20_000, 512, 384, 3), Case(20_000, 512, 384, 20), Case(100_000, 512, 384, 3)]
CASES += [Case(100_000, 512, 384, channels) for channels in (20, 33)] + [Case(100_000, 960, 540, 20)]
REFERENCE_CASE = Case(1000, 96, 64, 20)


def main(
    rounds: int = 7,
    baseline_every: int = 8,
    steps: int = 20,
    quick: bool = False,
    output: Path = Path("results/bench_rasterizer.md"),
) -> None:
    """Time the rasterizer.

    Args:
        rounds: repetitions of the kernels; the fastest counts.
        baseline_every: the PyTorch baseline blends one of so many tiles; its time is multiplied by that.
        steps: training steps that are timed; the median counts.
        quick: only 100k Gaussians at 512x384 with 20 channels, and the training step.
        output: Markdown file to write.
    """
    target = Case(100_000, 512, 384, 20)
    lines = [
        f"`python scripts/bench_rasterizer.py`; {conditions()}",
        "",
        "| Gaussians, size, channels | forward ms | backward ms | peak MB | PyTorch ms | PyTorch MB | ratio |",
        "|---|---|---|---|---|---|---|",
        *(_row(case, rounds, baseline_every) for case in ([target] if quick else CASES)),
        "",
        _reference_line(REFERENCE_CASE, rounds),
        "",
        _training_line(target, steps),
    ]
    text = "\n".join(lines)
    print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n")


def room(case: Case, seed: int = 0) -> dict[str, Any]:
    """Flat Gaussians on the floor and walls of a room and on four balls in it, as many per area everywhere."""
    generator = torch.Generator().manual_seed(seed)
    count = case.gaussians
    on_wall = torch.rand(count, 3, generator=generator) * torch.tensor([6.0, 3.0, 5.0]) - torch.tensor([3, 1.8, -1.5])
    wall = torch.multinomial(torch.tensor([0.4, 0.25, 0.175, 0.175]), count, replacement=True, generator=generator)
    axis, border = torch.tensor([1, 2, 0, 0])[wall], torch.tensor([1.2, 6.5, -3.0, 3.0])[wall]
    on_wall.scatter_(1, axis[:, None], border[:, None])
    outward = F.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    centers = torch.tensor([[-1.2, 0.6, 3.0], [0.9, 0.5, 3.4], [0.1, 0.2, 4.5], [1.8, 0.3, 5.0]])
    on_ball = centers[torch.randint(4, (count,), generator=generator)] + 0.75 * outward
    is_ball = torch.rand(count, generator=generator) < 0.3
    normal = torch.where(is_ball[:, None], outward, F.one_hot(axis, 3).float())
    # The quaternion that turns the z axis into the normal.
    turn = torch.stack([1 + normal[:, 2] + 1e-4, -normal[:, 1], normal[:, 0], torch.zeros(count)], dim=-1)
    spacing = (75.0 / count) ** 0.5
    scales = 0.75 * spacing * torch.exp(0.5 * torch.randn(count, 3, generator=generator))
    return {
        "means": torch.where(is_ball[:, None], on_ball, on_wall),
        "quats": turn,
        "scales": scales * torch.tensor([1.0, 1.0, 0.2]),
        "opacities": torch.sigmoid(0.5 + 1.8 * torch.randn(count, generator=generator)),
        "colors": torch.rand(count, case.channels, generator=generator),
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor(
            [[[0.72 * case.width, 0, case.width / 2], [0, 0.72 * case.width, case.height / 2], [0, 0, 1.0]]]
        ),
    }


def _row(case: Case, rounds: int, baseline_every: int) -> str:
    (forward, backward, memory), (baseline, baseline_memory) = time_case(case, rounds, baseline_every)
    return (
        f"| {case} | {1000 * forward:.1f} | {1000 * backward:.1f} | {memory:.0f} | "
        f"{1000 * baseline:.0f} | {baseline_memory:.0f} | {baseline / (forward + backward):.0f}x |"
    )


def time_case(case: Case, rounds: int, baseline_every: int) -> tuple[tuple[float, float, float], tuple[float, float]]:
    """What ``time_kernels`` and ``time_baseline`` give."""
    kernels = in_process_of_its_own(time_kernels, case, rounds)
    return kernels, in_process_of_its_own(time_baseline, case, baseline_every)


def in_process_of_its_own(run: Callable[..., Any], *arguments: Any) -> Any:
    """So that memory which an earlier row has freed does not hide what this one takes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def time_kernels(case: Case, rounds: int) -> tuple[float, float, float]:
    """Seconds of forward and backward, fastest of all rounds; megabytes that the first round took."""
    scene = room(case)
    leaves = [scene[name].requires_grad_() for name in (*GEOMETRY, "colors")]
    forward, backward = [], []

    def once() -> None:
        start = time.perf_counter()
        image, alpha, _ = rasterization(**scene, width=case.width, height=case.height)
        middle = time.perf_counter()
        torch.autograd.grad((image, alpha), leaves, (torch.ones_like(image), torch.ones_like(alpha)))
        forward.append(middle - start)
        backward.append(time.perf_counter() - middle)

    memory = peak_megabytes(once)
    for _ in range(rounds):
        once()
    return min(forward), min(backward), memory


def time_baseline(case: Case, every: int) -> tuple[float, float]:
    """Seconds of forward and backward blending in PyTorch, without projection, and megabytes."""
    scene = room(case)
    info = rasterization(**scene, width=case.width, height=case.height)[2]
    splats = [info[name][0] for name in ("means2d", "conics", "opacities")]
    tiles = bin_splats(splats[0], splats[1], splats[2], info["depths"][0], info["radii"][0], case.width, case.height)
    rows = torch.cat([*splats[:2], splats[2][:, None], scene["colors"]], dim=-1)
    gradients = torch.zeros_like(rows)
    chosen = range(every // 2, len(tiles.offsets) - 1, every)
    seconds = 0.0

    def once() -> None:
        nonlocal seconds
        start = time.perf_counter()
        for index in chosen:
            _blend_tile(rows, tiles, index, gradients)
        seconds = (time.perf_counter() - start) * (len(tiles.offsets) - 1) / len(chosen)

    memory = peak_megabytes(once)
    return seconds, memory


def _blend_tile(rows: Tensor, tiles: Tiles, index: int, gradients: Tensor) -> None:
    entries = tiles.entries[tiles.offsets[index] : tiles.offsets[index + 1]].long()
    columns = -(-tiles.width // TILE)
    x = torch.arange(TILE) + TILE * (index % columns) + 0.5
    y = torch.arange(TILE) + TILE * (index // columns) + 0.5
    mine = rows[entries].requires_grad_()
    means, conics, opacities, features = mine.split([2, 3, 1, mine.shape[1] - 6], dim=1)
    dx = (means[:, 0, None] - x)[:, None, :]
    dy = (means[:, 1, None] - y)[:, :, None]
    xx, xy, yy = (value[:, None, None] for value in conics.unbind(1))
    alpha = (opacities[:, None] * torch.exp(-0.5 * (xx * dx**2 + yy * dy**2) - xy * dx * dy)).flatten(1)
    alpha = torch.where(alpha >= 1 / 255, alpha.clamp_max(0.999), 0.0)
    left = (1 - alpha).cumprod(0)
    weights = alpha * torch.cat([torch.ones_like(left[:1]), left[:-1]]) * (left > 1e-4)
    image, total = weights.T @ features, weights.sum(0)
    (gradient,) = torch.autograd.grad((image.sum() + total.sum(),), (mine,))
    gradients.index_add_(0, entries, gradient)


def _reference_line(case: Case, rounds: int) -> str:
    scene = room(case)
    arguments: dict[str, Any] = {**scene, "width": case.width, "height": case.height}
    ours = _fastest(lambda: rasterization(**arguments), rounds)
    slow = _fastest(lambda: rasterization(**arguments, backend="reference"), 1)
    return (
        f"Forward alone, {case.gaussians} Gaussians, {case.width}x{case.height}: kernels {1000 * ours:.1f} ms, dense "
        f"reference (`{composite.__module__}`) {1000 * slow:.0f} ms, {slow / ours:.0f}x."
    )


def _training_line(case: Case, steps: int) -> str:
    median = time_training_step(case, steps)
    return (
        f"A training step ({case}: SH of degree 3, 16 embeddings; L1, SSIM, cross entropy, fused Adam): "
        f"{1000 * median:.0f} ms, {1 / median:.1f} a second."
    )


def time_training_step(case: Case, steps: int) -> float:
    """Median seconds of a whole step by the functions that the model calls, without what Nerfstudio adds."""
    step = training_step(case)
    return statistics.median(_fastest(step, 1) for _ in range(steps + 1))


def training_step(case: Case) -> Callable[[], None]:
    """A step with parameters as splatfacto has them, on a made-up photo and label map."""
    scene, count = room(case), case.gaussians
    parameters = {name: scene[name].clone() for name in ("means", "quats")}
    parameters |= {"scales": scene["scales"].log(), "opacities": scene["opacities"].logit()[:, None]}
    parameters |= {"features_dc": torch.randn(count, 3), "features_rest": 0.1 * torch.randn(count, 15, 3)}
    parameters |= {"embeddings": torch.randn(count, 16), "classifier": torch.randn(16, 40)}
    leaves = {name: value.requires_grad_() for name, value in parameters.items()}
    optimizers = [torch.optim.Adam([leaf], lr=1e-5, eps=1e-15, fused=True) for leaf in leaves.values()]
    photo = torch.rand(case.height, case.width, 3)
    labels = torch.randint(41, (case.height, case.width))
    view = CameraView(scene["viewmats"], scene["Ks"], case.width, case.height)
    black = torch.zeros(3)

    def step() -> None:
        shown, info = render(Gaussians.from_parameters(leaves), view, sh_degree=3, with_depth=False, absgrad=True)
        info["means2d"].retain_grad()
        loss = image_loss(shown.over(black), photo, 0.2)
        loss = loss + 0.05 * cross_entropy(shown.features, leaves["classifier"], labels, DEFAULT_TAU)[0]
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    return step


def _fastest(run: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_megabytes(run: Callable[[], object]) -> float:
    """How far the process's memory rises while ``run`` runs; Linux only, else NaN."""
    status = Path("/proc/self/status")
    if not status.exists():
        run()
        return float("nan")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is in use
    before = _status_kilobytes(status, "VmRSS")
    run()
    return (_status_kilobytes(status, "VmHWM") - before) / 1024


def _status_kilobytes(status: Path, name: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


if __name__ == "__main__":
    tyro.cli(main)
