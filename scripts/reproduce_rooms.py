"""Association on rooms that nobody has looked at before: memory bank, consensus, and the true association.

Makes stand-ins of fixed seeds at several levels of noise, trains each by the real ``ns-train proto-saga-lite``,
associates and segments it in every way, and evaluates the test views by the instance protocol. A finished room is kept
as a JSON file with its command, figures and versions, and not done again; a killed run goes on where it was.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

import tyro
from common.training import train_lite
from reproduce_consensus import Figures, Trained, figures_of_ways, markdown

from proto_saga_ns.evaluation.standins.options import PRESETS, Preset, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.files import write_json

PACKAGES = ("proto_saga_ns", "nerfstudio", "gsplat", "torch", "scikit-learn", "scipy")
FRESH_SEEDS = tuple(range(100, 110))
"""Chosen before any of these rooms existed; options were developed on seeds under 100."""


def main(
    seeds: tuple[int, ...] = FRESH_SEEDS,
    levels: tuple[Preset, ...] = ("default", "heavy-split", "heavy-merge"),
    steps: int = 2000,
    orders: int = 3,
    folder: Path = Path("results/rooms"),
) -> None:
    """Make, train, associate, evaluate; print a table for each level.

    Args:
        seeds: of the rooms.
        levels: presets of the simulated segmenter.
        steps: training steps.
        orders: random orders of views for the memory bank.
        folder: where rooms, runs and figures are kept.
    """
    command = f"python scripts/reproduce_rooms.py {' '.join(sys.argv[1:])}".strip()
    tables = [f"`{command}`: STAND-INS (rendered rooms, simulated segmenter), {len(seeds)} rooms a level"]
    for level in levels:
        cells = [_cell(seed, level, steps, orders, folder) for seed in seeds]
        rows: dict[str, list[Figures]] = {}
        for name, figures in ((name, figures) for cell in cells for name, figures in cell["ways"].items()):
            rows.setdefault(name, []).append(figures)
        tables += [f"**{level}**", "\n".join(markdown(rows))]
    text = "\n\n".join(tables) + "\n"
    print(text)
    (folder / "table.md").write_text(text)


def _cell(seed: int, level: Preset, steps: int, orders: int, folder: Path) -> dict[str, Any]:
    """Everything about one room at one level, from the file if it was done before."""
    finished = folder / "cells" / f"room{seed}-{level}-{steps}-{orders}.json"
    if finished.is_file():
        return json.loads(finished.read_text())
    start = time.perf_counter()
    room = folder / "data" / f"room{seed}-{level}"
    write_standin(room, StandinOptions(seed=seed), PRESETS[level], level)
    config = folder / "outputs" / room.name / "proto-saga-lite" / f"steps{steps}" / "config.yml"
    if not (config.parent / f"nerfstudio_models/step-{steps - 1:09d}.ckpt").is_file():
        train_lite(room, folder / "outputs", f"steps{steps}", seed, steps)
    trained = Trained.load(config, room / "instances")
    seconds: dict[str, list[float]] = {}
    ways = {}
    for name, figures in figures_of_ways(trained, seconds, orders=orders):
        ways[name] = figures
        print(seed, level, name, {key: round(value, 1) for key, value in figures.items()}, flush=True)
    arguments = f"--seeds {seed} --levels {level} --steps {steps} --orders {orders}"
    cell = {
        "command": f"python scripts/reproduce_rooms.py {arguments}",
        "ways": ways,
        "seconds": {"everything": time.perf_counter() - start, **{name: values[0] for name, values in seconds.items()}},
        "gaussians": len(trained.run.model.means),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    finished.parent.mkdir(parents=True, exist_ok=True)
    write_json(finished, cell)
    return cell


if __name__ == "__main__":
    tyro.cli(main)
