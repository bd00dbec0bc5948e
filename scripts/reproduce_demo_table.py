"""The table for the demo scene: association, its alternatives, and classifiers of novel views, over several seeds.

Trains one scene a seed by the real ``ns-train proto-saga-lite``, then segments it in every way and evaluates the test
views by the instance protocol. What is finished is kept in results/demo_table/ and not done again.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from common.training import train_lite

from proto_saga_ns.association import BANK, GAGA, PAPER, PAPER_AS_RUN, AssociationOptions, ground_truth_association
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.files import write_json
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.associate import pool_features, segment_scene, training_views
from proto_saga_ns.plugin.model.evaluate import evaluate_views
from proto_saga_ns.plugin.model.options import Classifier, SceneOptions
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene

COLUMNS = ("PSNR", "mIoU", "precision", "recall", "instances (predicted)", "seconds")


def main(seeds: tuple[int, ...] = (0, 1, 2), steps: int = 3000, folder: Path = Path("results/demo_table")) -> None:
    """Train, segment in every way, evaluate, print the table.

    Args:
        seeds: of ns-train (--machine.seed), one training each.
        steps: training steps.
        folder: where runs and figures are kept.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        for name, figures in _seed(seed, steps, folder).items():
            rows.setdefault(name, []).append(figures)
    table = _markdown(rows)
    print(table)
    command = f"python scripts/reproduce_demo_table.py --seeds {' '.join(map(str, seeds))} --steps {steps}"
    (folder / "table.md").write_text(f"`{command}`\n\n{table}")


def _seed(seed: int, steps: int, folder: Path) -> dict[str, dict[str, float]]:
    """Figures of all ways; those that the file has are not made again."""
    finished = folder / f"seed{seed}-{steps}.json"
    rows: dict[str, dict[str, float]] = json.loads(finished.read_text()) if finished.is_file() else {}
    config = folder / "outputs" / "dining" / "proto-saga-lite" / f"seed{seed}-{steps}" / "config.yml"
    for name, way in WAYS.items():
        if name in rows:
            continue
        if not (config.parent / f"nerfstudio_models/step-{steps - 1:09d}.ckpt").is_file():
            train_lite(DINING, folder / "outputs", config.parent.name, seed, steps)
        rows[name] = _figures(load_run(config), way)  # loaded afresh: the trained classifier changes the embeddings
        write_json(finished, rows)
        print(seed, name, {column: round(rows[name][column], 1) for column in COLUMNS}, flush=True)
    return {name: rows[name] for name in WAYS}


def _figures(run: Run, way: Callable[[Run], SegmentedScene]) -> dict[str, float]:
    start = time.perf_counter()
    scene = way(run)
    seconds = time.perf_counter() - start
    result, quality = evaluate_views(run.model, scene, run.cameras("test"), DINING / "instances")
    return {**result.figures(), **quality.figures(), "seconds": seconds}


def _way(options: AssociationOptions, classifier: Classifier = "prototypes") -> Callable[[Run], SegmentedScene]:
    return lambda run: segment_scene(run.model, run.pipeline.datamanager, options, SceneOptions(classifier))


@torch.no_grad()
def _upper_bound(run: Run) -> SegmentedScene:
    """Prototypes of the true instances, over the given masks, each given its majority instance."""
    views = training_views(run.model, run.pipeline.datamanager)
    truths = [read_label_map(DINING / "instances" / f"{name}.png") for name in views.names]
    masks = [ground_truth_association(views.label_map(index).numpy(), truth) for index, truth in enumerate(truths)]
    return SegmentedScene(pool_features(views, masks), EmbeddingColors.fit(run.model.embeddings.detach()))


WAYS: dict[str, Callable[[Run], SegmentedScene]] = {
    "upper bound: ground-truth association of the given masks": _upper_bound,
    "consensus, votes and prototypes (the default)": _way(AssociationOptions()),
    "paper: depth and probability (Eq. 16), prototypes": _way(PAPER),
    "the same, instances in fewer than 5 views dropped": _way(BANK),
    "the same, best first view": _way(replace(PAPER, view_order="best-first")),
    "depth only (Eq. 10)": _way(replace(PAPER, criteria="depth")),
    "probability only (Eq. 15)": _way(replace(PAPER, criteria="probability")),
    "Gaga's preset": _way(GAGA),
    "paper's criteria, Gaga's rules (paper-as-run)": _way(PAPER_AS_RUN),
    "paper's association, K-Means": _way(PAPER, "kmeans"),
    "HDBSCAN over features, no association": _way(PAPER, "hdbscan"),
    "paper's association, trained classifier (Cls)": _way(PAPER, "trained"),
}


def _markdown(rows: dict[str, list[dict[str, float]]]) -> str:
    lines = [f"| method | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for name, seeds in rows.items():
        cells = []
        for column in COLUMNS:
            values = [figures[column] for figures in seeds]
            deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{deviation}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    tyro.cli(main)
