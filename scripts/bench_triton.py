"""Time and memory of Triton's kernels against PyTorch on a GPU, in one run.

Prints a Markdown table and writes it to results/bench_triton.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import tyro
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.triton.door import why_not
from proto_saga_ns.plugin.model.image_loss import image_loss, image_loss_by_pytorch
from proto_saga_ns.recognition.cosine_softmax import (
    DEFAULT_TAU,
    cosine_logits,
    cross_entropy,
    labelled_cross_entropy,
    nearest,
)

HEAD = "| what | Triton ms | PyTorch ms | ratio | Triton MB | PyTorch MB |\n|---|---|---|---|---|---|"
Call = Callable[[], object]


def main(
    width: int = 1920,
    height: int = 1080,
    masks: tuple[int, ...] = (30, 100, 300),
    rounds: int = 20,
    output: Path = Path("results/bench_triton.md"),
) -> None:
    """Time the kernels.

    Args:
        width: of the view, in pixels.
        height: of the view, in pixels.
        masks: how many masks or instances a view has, a row each.
        rounds: repetitions; the fastest counts.
        output: Markdown file to write.
    """
    if not torch.cuda.is_available() or (reason := why_not(0)) is not None:
        sys.exit(f"There is nothing to measure: {reason if torch.cuda.is_available() else 'no GPU'}.")
    rows = [_row(name, ours, theirs, rounds) for name, ours, theirs in _cases(width, height, masks)]
    about = f"{torch.cuda.get_device_name()}, {width}x{height}, forward and backward where there is a gradient"
    table = "\n".join([about, "", HEAD, *rows, ""])
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(table, encoding="utf-8")


def _cases(width: int, height: int, masks: tuple[int, ...]) -> Iterator[tuple[str, Call, Call]]:
    """Each with what it is, our call and PyTorch's."""
    torch.manual_seed(0)
    features = torch.randn(height, width, 16, device="cuda", requires_grad=True)
    for count in masks:
        weights = torch.randn(16, count, device="cuda", requires_grad=True)
        labels = torch.randint(0, count + 1, (height, width), device="cuda")
        yield (
            f"cross entropy, {count} masks",
            lambda w=weights, of=labels: cross_entropy(features, w, of, DEFAULT_TAU)[0].backward(),
            lambda w=weights, of=labels: labelled_cross_entropy(cosine_logits(features, w, DEFAULT_TAU), of)[
                0
            ].backward(),
        )
        unit, flat = F.normalize(weights.detach().T, dim=1), features.detach().flatten(0, 1)
        yield (
            f"nearest of {count}",
            lambda unit=unit, flat=flat: nearest(flat, unit, DEFAULT_TAU),
            lambda unit=unit, flat=flat: _nearest_by_pytorch(flat, unit),
        )
    photo = torch.rand(height, width, 3, device="cuda")
    rendered = torch.rand(height, width, 3, device="cuda", requires_grad=True)
    yield (
        "L1 and SSIM",
        lambda: image_loss(rendered, photo, 0.2).backward(),
        lambda: image_loss_by_pytorch(rendered, photo, 0.2).backward(),
    )


def _cross_entropy_by_pytorch(features: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    return labelled_cross_entropy(cosine_logits(features, weights, DEFAULT_TAU), labels)[0]


def _nearest_by_pytorch(features: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    best = (F.normalize(features, dim=1) @ (DEFAULT_TAU * unit.T)).softmax(dim=1).max(dim=1)
    return best.indices, best.values


def _row(name: str, ours: Call, theirs: Call, rounds: int) -> str:
    (mine, my_memory), (other, other_memory) = _measure(ours, rounds), _measure(theirs, rounds)
    return f"| {name} | {mine:.2f} | {other:.2f} | {other / mine:.1f}x | {my_memory:.0f} | {other_memory:.0f} |"


def _measure(call: Call, rounds: int) -> tuple[float, float]:
    """Fastest time in milliseconds, and the peak of memory beyond what was there, in MB."""
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(rounds):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return min(times), (torch.cuda.max_memory_allocated() - before) / 1e6


if __name__ == "__main__":
    tyro.cli(main)
