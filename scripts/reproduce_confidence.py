"""Confidence on trained runs: is that of pixels calibrated, and does that of instances tell real ones from others?

Associates the masks of each run by the memory bank and by consensus, segments the test views, and compares with the
truth. Needs the runs that scripts/reproduce_demo_table.py (by default) or scripts/reproduce_rooms.py train.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from proto_saga_ns.association import AssociationOptions
from proto_saga_ns.evaluation.calibration import CalibrationProtocol, Reliability, reliability_diagram, reliability_of
from proto_saga_ns.evaluation.instance import HIT_IOU
from proto_saga_ns.plugin.model.associate import segment_scene
from proto_saga_ns.plugin.model.evaluate import evaluate_views
from proto_saga_ns.plugin.model.options import SceneOptions
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.recognition.agreement import DOUBTFUL

RUNS = Path("results/demo_table/outputs/dining/proto-saga-lite")
STRATEGIES: tuple[Literal["memory-bank", "consensus"], ...] = ("memory-bank", "consensus")
AGREEMENT_BINS = 5


@dataclass(frozen=True)
class Measured:
    """One run, segmented in one way.

    Attributes:
        scene: name of the data; several runs may have one.
        figures: of the instance protocol without void.
        pixels: of the test views.
        agreement: of the instances that the test views show.
        real: whether they match a true one with an IoU above one half.
    """

    scene: str
    run: str
    strategy: str
    figures: dict[str, float | int]
    pixels: Reliability
    agreement: Float[np.ndarray, " T"]
    real: Bool[np.ndarray, " T"]


def main(runs: tuple[Path, ...] = (), output: Path = Path("results/confidence")) -> None:
    """Measure, print the tables, draw the reliability diagrams.

    Args:
        runs: config.yml of each; by default those of the demo table for three seeds. Their data holds true label maps
            in a folder called instances.
        output: folder for the tables and the diagram.
    """
    chosen = runs or tuple(RUNS / f"seed{seed}-3000" / "config.yml" for seed in range(3))
    found: list[Measured] = []
    for config in chosen:
        for measured in _measure(config):
            found.append(measured)
            print(_row(measured), flush=True)
    text = "\n".join([f"`python scripts/reproduce_confidence.py`, {len(chosen)} runs", "", *_tables(found), ""])
    print(text)
    output.mkdir(parents=True, exist_ok=True)
    (output / "table.md").write_text(text)
    for scene in dict.fromkeys(each.scene for each in found):
        # Of the first run of each scene.
        drawn = {f"{each.run}, {each.strategy}": each.pixels for each in found if each.scene == scene}
        first = dict(list(drawn.items())[: len(STRATEGIES)])
        (output / f"{scene}.png").write_bytes(reliability_diagram(first))


@torch.no_grad()
def _measure(config: Path) -> Iterator[Measured]:
    run = load_run(config)
    manager: Any = run.pipeline.datamanager
    data = run.data
    for strategy in STRATEGIES:
        scene = segment_scene(run.model, manager, AssociationOptions(strategy=strategy), SceneOptions())
        calibration = CalibrationProtocol()
        views = run.cameras("test")
        result = evaluate_views(run.model, scene, views, data / "instances", calibration)[0].without_void
        assert result is not None
        hits = {result.matched[truth] for truth, iou in result.iou.items() if iou > HIT_IOU}
        shown = [instance for instance in scene.instances if instance.id in calibration.claimed]
        yield Measured(
            *(data.name, f"{config.parts[-4]} {config.parts[-2]}", strategy, result.figures()),
            calibration.result(result.matched),
            np.array([instance.agreement for instance in shown]),
            np.array([instance.id in hits for instance in shown]),
        )


def _tables(found: Sequence[Measured]) -> Iterator[str]:
    yield "| run | association | mIoU | pixels right | mean confidence | ECE | with a map of others | Brier score |"
    yield "|---|---|---|---|---|---|---|---|"
    for measured in found:
        yield _row(measured, found)
    for strategy in STRATEGIES:
        mine = [measured for measured in found if measured.strategy == strategy]
        yield from ("", *_instances(strategy, mine))


def _row(measured: Measured, others: Sequence[Measured] = ()) -> str:
    pixels = measured.pixels
    share = pixels.counts / pixels.counts.sum()
    figures = pixels.figures()
    values = [measured.figures["mIoU"], 100 * share @ pixels.accuracy, 100 * share @ pixels.confidence, figures["ECE"]]
    values += [_ece_with_map(measured, others), figures["Brier score"]]
    cells = ["-" if np.isnan(value) else f"{value:.1f}" for value in values]
    return f"| {measured.run} | {measured.strategy} | {' | '.join(cells)} |"


def _ece_with_map(measured: Measured, found: Sequence[Measured]) -> float:
    """ECE after p' = sigmoid(a logit(p) + b), fitted on the runs of other scenes with the same association."""
    others = [each for each in found if each.strategy == measured.strategy and each.scene != measured.scene]
    if not others:
        return float("nan")
    counts, confidence, accuracy = (
        np.concatenate([getattr(each.pixels, name) for each in others]) for name in ("counts", "confidence", "accuracy")
    )

    def loss(weights: Float[np.ndarray, " 2"]) -> float:
        mapped = _mapped(confidence, weights)
        entropy = accuracy * np.log(mapped) + (1 - accuracy) * np.log(1 - mapped)
        return -float(counts @ entropy) / float(counts.sum())

    pixels = measured.pixels
    mapped = _mapped(pixels.confidence, minimize(loss, [1.0, 0.0], method="Nelder-Mead").x)
    return 100 * float(pixels.counts @ np.abs(mapped - pixels.accuracy)) / float(pixels.counts.sum())


def _mapped(confidence: Float[np.ndarray, " B"], weights: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " B"]:
    return expit(weights[0] * logit(confidence.clip(1e-6, 1 - 1e-6)) + weights[1]).clip(1e-9, 1 - 1e-9)


def _instances(strategy: str, found: Sequence[Measured]) -> Iterator[str]:
    agreement = np.concatenate([measured.agreement for measured in found])
    real = np.concatenate([measured.real for measured in found])
    area = roc_auc_score(real, agreement) if 0 < real.sum() < len(real) else float("nan")
    doubtful = agreement < DOUBTFUL
    yield f"{strategy}: {len(real)} instances, {(~real).sum()} not real; area under the ROC curve {area:.3f}; "
    yield f"{doubtful.sum()} doubtful, {(doubtful & ~real).sum()} of them not real"
    yield from ("", "| agreement | instances | real |", "|---|---|---|")
    bins = reliability_of(agreement, real, AGREEMENT_BINS).to_json()
    for row in bins:
        yield f"| {row['from']:.1f} to {row['to']:.1f} | {row['pixels']} | {100 * row['accuracy']:.0f} % |"


if __name__ == "__main__":
    tyro.cli(main)
