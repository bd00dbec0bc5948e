"""Where the time of a training step goes: a picture and a table, beside an earlier profile if there is one.

The step is that of scripts/bench_rasterizer.py: the functions that the model calls, on 100,000 Gaussians, 20 channels
and 512x384 pixels, with Adam. Times mean something on an idle machine only. Writes results/profile_training_step.md,
.json and .png; the JSON file of another version can be given (``--before``).
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
import tyro
from bench_rasterizer import Case, training_step
from common.machines import conditions
from torch.profiler import ProfilerActivity, profile

STAGES = {
    "blending, back": ("BlendBackward",),
    "blending": ("Blend",),
    "cross entropy": ("CrossEntropy", "CrossEntropyBackward"),
    "projection, there and back": ("Project", "ProjectBackward"),
    "harmonics, there and back": ("_Kernel", "_KernelBackward"),
    "L1 and SSIM, there and back": ("ImageLoss", "ImageLossBackward"),
    "Adam": ("aten::_fused_adam_", "Optimizer.step#Adam.step"),
}
"""Functions of autograd and operators of torch, without what these call."""
REST = "PyTorch's other operators"
COLORS = ("#0072b2", "#56b4e9", "#d55e00", "#009e73", "#f0e442", "#cc79a7", "#e69f00", "#999999")

Profile = dict[str, float]


def main(steps: int = 30, before: Path | None = None, output: Path = Path("results/profile_training_step.md")) -> None:
    """Profile a step.

    Args:
        steps: that are averaged.
        before: JSON file of an earlier profile, for comparison.
        output: Markdown file to write, with a picture and a JSON file of the same name.
    """
    profiles = {} if before is None else {"before": json.loads(before.read_text())}
    profiles["now"] = profile_step(Case(100_000, 512, 384, 20), steps)
    text = "\n".join([f"`python scripts/profile_training_step.py`; {conditions()}", "", *_table(profiles), ""])
    print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    output.with_suffix(".json").write_text(json.dumps(profiles["now"]))
    draw(profiles, output.with_suffix(".png"))


def profile_step(case: Case, steps: int) -> Profile:
    """Milliseconds of a step by stage; they add up to the time without a profiler, which slows steps down a little."""
    step = training_step(case)
    for _ in range(5):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    whole = 1000 * (time.perf_counter() - start) / steps
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for _ in range(steps):
            step()
    own = {event.key: event.self_cpu_time_total / 1000 / steps for event in recorded.key_averages()}
    shares = {stage: sum(own.get(name, 0.0) for name in names) for stage, names in STAGES.items()}
    shares[REST] = sum(own.values()) - sum(shares.values())
    return {stage: value * whole / sum(own.values()) for stage, value in shares.items()}


def _table(profiles: dict[str, Profile]) -> list[str]:
    rows = [f"| ms of a step | {' | '.join(profiles)} |", "|---" * (1 + len(profiles)) + "|"]
    for stage in (*STAGES, REST):
        rows.append(f"| {stage} | {' | '.join(f'{values[stage]:.1f}' for values in profiles.values())} |")
    return [*rows, f"| **all** | {' | '.join(f'**{sum(values.values()):.0f}**' for values in profiles.values())} |"]


def draw(profiles: dict[str, Profile], file: Path) -> None:
    """A bar for each profile."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.2 + 0.7 * len(profiles)), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(profiles.values()):
        left = 0.0
        for color, stage in zip(COLORS, (*STAGES, REST), strict=True):
            axes.barh(place, values[stage], left=left, color=color, label=stage if place == 0 else None)
            left += values[stage]
        axes.text(left, place, f" {left:.0f} ms", va="center")
    axes.set_yticks(range(len(profiles)), list(profiles))
    axes.invert_yaxis()
    axes.set_xlabel("ms of a training step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    torch.manual_seed(0)
    tyro.cli(main)
