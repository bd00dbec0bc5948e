"""What joint training costs: a step with embeddings, view classifiers and L_CE against a plain splatfacto step.

Both steps are taken by a real trainer on the demo scene, with the same Gaussians, in turn (budget: 1.35x). Prints a
Markdown table and writes it to results/bench_training_step.md.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro
from common.machines import conditions

from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.plugin.methods import proto_saga_lite
from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
from proto_saga_ns.plugin.model.render import Gaussians


class PlainModel(ProtoSagaModel):
    """Splatfacto on our rasterizer: no embeddings are rendered, no view classifier is asked."""

    def gaussians(self, *arguments: Any, **named: Any) -> Gaussians:
        gaussians = super().gaussians(*arguments, **named)
        return replace(gaussians, embeddings=gaussians.embeddings[:, :0])

    def get_metrics_dict(self, outputs: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
        return super().get_metrics_dict(outputs, {key: batch[key] for key in batch if key != "label_map"})


def main(
    gaussians: int = 100_000, steps: int = 30, rounds: int = 3, output: Path = Path("results/bench_training_step.md")
) -> None:
    """Time training steps.

    Args:
        gaussians: how many, placed at random among the scene's points; densification is off.
        steps: steps a round; the median of all is printed.
        rounds: how often the two methods take turns.
        output: Markdown file to write.
    """
    medians = time_steps(gaussians, steps, rounds)
    table = (
        f"| step, {gaussians} Gaussians, 384x288 | median ms |\n|---|---|\n"
        + "".join(f"| {name} | {1000 * value:.1f} |\n" for name, value in medians.items())
        + f"| joint / plain | {medians['joint'] / medians['plain']:.2f} |\n"
    )
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/bench_training_step.py --gaussians {gaussians}`; {conditions()}\n\n{table}")


def time_steps(gaussians: int, steps: int, rounds: int) -> dict[str, float]:
    """Median seconds of a plain and of a joint step; arguments as of ``main``."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            name: _trainer(model, gaussians, Path(folder) / name)
            for name, model in (("plain", PlainModel), ("joint", ProtoSagaModel))
        }
        times: dict[str, list[float]] = {name: [] for name in trainers}
        for start in range(0, rounds * steps, steps):
            for name, trainer in trainers.items():
                times[name] += [_step(trainer, 3000 + start + offset) for offset in range(steps)]
    return {name: statistics.median(values[3:]) for name, values in times.items()}


def _trainer(model: type[ProtoSagaModel], gaussians: int, folder: Path) -> Any:
    config = deepcopy(proto_saga_lite.config)
    config.vis, config.output_dir, config.timestamp = "tensorboard", folder, "bench"
    config.data = config.pipeline.datamanager.data = DINING
    config.logging.local_writer.enable = False
    model_config: Any = config.pipeline.model
    model_config._target, model_config.stop_split_at = model, 0
    trainer = config.setup()
    trainer.setup()
    _multiply(trainer, gaussians)
    for callback in trainer.callbacks:
        if callback.func.__name__ == "step_cb":
            trainer.before = callback
    return trainer


def _multiply(trainer: Any, count: int) -> None:
    """Repeat the scene's Gaussians, jittered and shrunk, until there are ``count`` of them."""
    import torch

    model = trainer.pipeline.model
    chosen = torch.arange(count) % model.num_points
    shrink = (count / model.num_points) ** (1 / 2)
    for name, parameter in model.gauss_params.items():
        parameter.data = parameter.data[chosen].clone()
        if name == "means":
            spread = model.gauss_params["scales"].data.exp().mean()
            parameter.data += spread * torch.randn_like(parameter)
    model.gauss_params["scales"].data -= torch.log(torch.tensor(shrink))


def _step(trainer: Any, step: int) -> float:
    trainer.pipeline.train()
    start = time.perf_counter()
    trainer.before.run_callback(step)
    trainer.train_iteration(step)
    return time.perf_counter() - start


if __name__ == "__main__":
    tyro.cli(main)
