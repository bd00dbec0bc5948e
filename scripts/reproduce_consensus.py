"""Consensus beside the memory bank on trained runs of the demo scene: figures, seconds, and sweeps.

Needs the runs that scripts/reproduce_demo_table.py trains (the folder ``outputs`` that it leaves). The given masks are
associated in every way; the test views are segmented by prototypes, by rendered votes (of the masks, or of the training
views segmented by these), or by both, and evaluated by the instance protocol.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import tyro

from proto_saga_ns.association import (
    BANK,
    GAGA,
    PAPER,
    ConsensusOptions,
    associate,
    ground_truth_association,
)
from proto_saga_ns.association.consensus import Consensus, RememberedViews, find_consensus
from proto_saga_ns.cli.demo_scene import DINING
from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.associate import as_views_show_it, count_votes, pool_features, training_views
from proto_saga_ns.plugin.model.views import TrainingViews, segment_view
from proto_saga_ns.plugin.run import Run, load_run
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.votes import Votes
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene

TRUTH = DINING / "instances"
RUNS = Path("results/demo_table/outputs/dining/proto-saga-lite")
SWEEPS = {
    "theta": [0.2, 0.3, 0.4, 0.5, 0.6],
    "num_atoms": [1000, 2000, 4000, 6000],
    "atom_seed": [1, 2, 3],
}
Figures = dict[str, float]
Result = TypeVar("Result")


def main(
    runs: tuple[Path, ...] = (),
    sweep: bool = False,
    same_votes: bool = False,
    output: Path = Path("results/consensus.md"),
) -> None:
    """Associate, segment, evaluate, print the tables.

    Args:
        runs: config.yml of each; by default those of the demo table for three seeds.
        sweep: whether other thetas, numbers of atoms and seeds of the atoms are tried too.
        same_votes: whether every association gets votes of its masks, in place of all ways to segment.
        output: Markdown file to write.
    """
    chosen = runs or tuple(RUNS / f"seed{seed}-3000" / "config.yml" for seed in range(3))
    rows: dict[str, list[Figures]] = {}
    seconds: dict[str, list[float]] = {}
    for config in chosen:
        trained = Trained.load(config)
        sweeps = [replace(ConsensusOptions(), **{key: value}) for key, values in SWEEPS.items() for value in values]
        every = partial(figures_of_ways, others=sweeps if sweep else ())
        for name, figures in (figures_with_same_votes if same_votes else every)(trained, seconds):
            rows.setdefault(name, []).append(figures)
            print(config.parent.name, name, {key: round(value, 1) for key, value in figures.items()}, flush=True)
    command = (
        f"`python scripts/reproduce_consensus.py{' --sweep' * sweep}{' --same-votes' * same_votes}`, {len(chosen)} runs"
    )
    text = "\n".join([command, "", *markdown(rows), "", *_times(seconds), ""])
    print(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)


@dataclass(frozen=True)
class Trained:
    """A trained run, the blend weights of its training views, and its true label maps."""

    run: Run
    truth: Path
    views: TrainingViews
    blended: RememberedViews

    @classmethod
    @torch.no_grad()
    def load(cls, config: Path, truth: Path = TRUTH) -> Trained:
        run = load_run(config)
        views = training_views(run.model, run.pipeline.datamanager)
        return cls(run, truth, views, views.blended)


@torch.no_grad()
def figures_of_ways(
    trained: Trained, seconds: dict[str, list[float]], others: Sequence[ConsensusOptions] = (), orders: int = 0
) -> Iterator[tuple[str, Figures]]:
    """Name and figures of every way to associate and segment.

    Args:
        trained: what is segmented.
        seconds: gets the time of consensus.
        others: options of consensus to try besides the default.
        orders: random orders of views to try with the memory bank besides that of names.
    """
    yield "ground-truth association, prototypes", _by_prototypes(trained, _true_masks(trained))
    shuffled = [replace(BANK, view_order="seed", order_seed=seed) for seed in range(orders)]
    banks = [("default", BANK), ("paper", PAPER), ("Gaga", GAGA)]
    for name, options in [*banks, *((f"default, random order {seed}", way) for seed, way in enumerate(shuffled))]:
        model = trained.run.model
        found = associate(model.means, model.embeddings, trained.views, options, model.config.tau)
        yield f"memory bank, {name}, prototypes", _by_prototypes(trained, found.instance_of_mask)
    default = ConsensusOptions()
    yield from _by_consensus(trained, "consensus", find_and_time(trained, default, seconds))
    for options in others:
        changed = {key: value for key, value in vars(options).items() if value != getattr(default, key)}
        name = ", ".join(f"{key} {value}" for key, value in changed.items())
        yield from _by_consensus(trained, f"consensus, {name}", find_and_time(trained, options, {}))


@torch.no_grad()
def figures_with_same_votes(trained: Trained, seconds: dict[str, list[float]]) -> Iterator[tuple[str, Figures]]:
    """Name and figures of four associations, each by prototypes and by votes that are counted alike for all.

    Args:
        trained: what is segmented.
        seconds: gets the time of consensus.
    """
    model = trained.run.model
    means = model.means, model.embeddings, trained.views
    associations: dict[str, Callable[[], list[np.ndarray]]] = {
        "ground-truth association": lambda: _true_masks(trained),
        "memory bank, Gaga": lambda: associate(*means, GAGA, model.config.tau).instance_of_mask,
        "memory bank, paper": lambda: associate(*means, PAPER, model.config.tau).instance_of_mask,
        "consensus": lambda: find_and_time(trained, ConsensusOptions(), seconds).association().instance_of_mask,
    }
    for name, found in associations.items():
        of_mask = found()
        yield f"{name}, prototypes", _by_prototypes(trained, of_mask)
        yield f"{name}, votes and prototypes", _by_counted_votes(trained, of_mask)


def _by_counted_votes(trained: Trained, of_mask: list[np.ndarray]) -> Figures:
    """Masks vote for their instances; then the training views that these segment, as by default."""
    model, views = trained.run.model, trained.views
    maps = (torch.from_numpy(of_mask[index])[views.label_map(index).long()] for index in range(len(views)))
    counted = count_votes(model, views, maps)
    votes = Votes.largest(counted.counts, len(model.means), ConsensusOptions().top_votes)
    scene = _scene(trained, pool_features(views, of_mask), votes)
    return _evaluate(trained, as_views_show_it(model, views, scene, None))


def find_and_time(trained: Trained, options: ConsensusOptions, seconds: dict[str, list[float]]) -> Consensus:
    """``find_consensus`` with the time that it took; scripts/bench_consensus.py times its stages."""
    model = trained.run.model
    means, embeddings = (tensor.detach().cpu().numpy() for tensor in (model.means, model.embeddings))
    return _timed(seconds, "consensus", lambda: find_consensus(means, embeddings, trained.blended, options))


def _timed(seconds: dict[str, list[float]], name: str, stage: Callable[[], Result]) -> Result:
    start = time.perf_counter()
    result = stage()
    seconds.setdefault(name, []).append(time.perf_counter() - start)
    return result


def _true_masks(trained: Trained) -> list[np.ndarray]:
    views = trained.views
    truths = [read_label_map(trained.truth / f"{name}.png") for name in views.names]
    return [ground_truth_association(views.label_map(index).numpy(), truth) for index, truth in enumerate(truths)]


def _by_prototypes(trained: Trained, of_mask: list[np.ndarray]) -> Figures:
    return _evaluate(trained, _scene(trained, pool_features(trained.views, of_mask)))


def _by_consensus(trained: Trained, name: str, found: Consensus) -> Iterator[tuple[str, Figures]]:
    masks = pool_features(trained.views, found.association().instance_of_mask)
    scene = _scene(trained, masks, found.votes)
    seen = as_views_show_it(trained.run.model, trained.views, scene, None)
    chosen = {"atoms": float(found.atoms.count), "theta": found.theta}
    for way, segmented in {
        "prototypes": replace(scene, votes=None),
        "votes of masks": _without_prototypes(scene),
        "votes of masks, prototypes": scene,
        "votes of masks, prototypes at full weight": replace(scene, votes=replace(found.votes, prototype_weight=1.0)),
        "votes of segmented views": _without_prototypes(seen),
        "votes of segmented views, prototypes (the default)": seen,
    }.items():
        yield f"{name}, {way}", {**_evaluate(trained, segmented), **chosen}


def _scene(trained: Trained, masks: MaskTable, votes: Votes | None = None) -> SegmentedScene:
    return SegmentedScene(masks, EmbeddingColors.fit(trained.run.model.embeddings.detach()), votes=votes)


def _without_prototypes(scene: SegmentedScene) -> SegmentedScene:
    return replace(scene, masks=replace(scene.masks, features=torch.zeros_like(scene.masks.features)))


def _evaluate(trained: Trained, scene: SegmentedScene) -> Figures:
    """Figures of the test views."""
    protocol = InstanceProtocol()
    for path, camera, _ in trained.run.cameras("test"):
        truth = read_label_map(trained.truth / f"{path.stem}.png")
        protocol.add(truth, segment_view(trained.run.model, scene, camera).labels)
    return _figures(protocol)


def _figures(protocol: InstanceProtocol) -> Figures:
    result = protocol.result().figures()
    return {key: float(result[key]) for key in ("mIoU", "precision", "recall", "instances (predicted)")}


def markdown(rows: dict[str, list[Figures]]) -> Iterator[str]:
    """A line for each way: mean and deviation over runs."""
    columns = ("mIoU", "precision", "recall", "instances (predicted)", "atoms", "theta")
    yield f"| association and segmentation | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name, seeds in rows.items():
        values = {column: [figures[column] for figures in seeds if column in figures] for column in columns}
        cells = [_cell(values[column], digits=2 if column == "theta" else 1) for column in columns]
        yield f"| {name} | {' | '.join(cells)} |"


def _cell(values: list[float], digits: int = 1) -> str:
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def _times(seconds: dict[str, list[float]]) -> Iterator[str]:
    yield "| stage | seconds |"
    yield "|---|---|"
    for name, values in seconds.items():
        yield f"| {name} | {_cell(values)} |"


if __name__ == "__main__":
    tyro.cli(main)
