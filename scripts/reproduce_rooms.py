"""Association on scenes that nobody has looked at before: memory bank, consensus, and the true association.

Makes stand-ins of fixed seeds, of one or several kinds, at several levels of noise in masks and poses, trains each by
the real ``ns-train proto-saga-lite``, associates and segments it in every way, and evaluates the test views by the
instance protocol. A finished scene is kept as a JSON file with its command, figures and versions, and not done again; a
killed run goes on where it was.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from common.training import train_lite
from reproduce_consensus import Figures, Trained, figures_of_ways, figures_with_same_votes, markdown

from proto_saga_ns.evaluation.standins.options import PRESETS, Kind, Preset, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.files import write_json

PACKAGES = ("proto_saga_ns", "nerfstudio", "gsplat", "torch", "scikit-learn", "scipy")
FRESH_SEEDS = tuple(range(100, 110))
"""Chosen before any of these rooms existed; options were developed on seeds under 100."""
Ways = Literal["every", "same-votes"]


@dataclass(frozen=True)
class Scene:
    """A stand-in, and what is done with it.

    Attributes:
        options: of the stand-in.
        level: preset of the simulated segmenter.
        steps: training steps.
        orders: random orders of views for the memory bank.
        ways: which rows there are.
    """

    options: StandinOptions
    level: Preset
    steps: int
    orders: int
    ways: Ways

    @property
    def name(self) -> str:
        """Of its folder; what is as usual is not named."""
        given = _given(self.options)
        return "-".join([f"{self.options.kind}{self.options.seed}", self.level, *(f"{k}{v}" for k, v in given.items())])

    @property
    def condition(self) -> str:
        """What scenes of other seeds share with it, for the title of a table."""
        return ", ".join([self.options.kind, self.level, *(f"{k} {v}" for k, v in _given(self.options).items())])

    @property
    def file(self) -> str:
        """Of its figures."""
        same = "-same-votes" if self.ways == "same-votes" else ""
        return f"{self.name}-{self.steps}-{self.orders}{same}.json"

    @property
    def command(self) -> str:
        """That does this scene alone."""
        words = ["--kinds", self.options.kind, "--seeds", self.options.seed, "--levels", self.level]
        words += ["--steps", self.steps, "--orders", self.orders, "--ways", self.ways]
        for name, value in _given(self.options).items():
            words += [f"--{name}"] if value is True else [f"--{name}", value]
        return f"python scripts/reproduce_rooms.py {' '.join(str(word) for word in words)}"


def _given(options: StandinOptions) -> dict[str, Any]:
    """What differs from the defaults, by the names of this script's options."""
    usual = StandinOptions()
    names = {"pose_noise": "pose-noises"}
    shown = ("rooms", "objects", "views", "test_views", "pose_noise", "exposure_changes", "blurred_share")
    return {
        names.get(name, name.replace("_", "-")): getattr(options, name)
        for name in shown
        if getattr(options, name) != getattr(usual, name)
    }


def main(
    seeds: tuple[int, ...] = FRESH_SEEDS,
    kinds: tuple[Kind, ...] = ("room",),
    levels: tuple[Preset, ...] = ("default", "heavy-split", "heavy-merge"),
    pose_noises: tuple[float, ...] = (0.0,),
    rooms: int | None = None,
    objects: int | None = None,
    views: int = 60,
    test_views: int = 12,
    exposure_changes: bool = False,
    blurred_share: float = 0.0,
    steps: int = 2000,
    orders: int = 3,
    ways: Ways = "every",
    folder: Path = Path("results/rooms"),
) -> None:
    """Make, train, associate, evaluate; print a table for each kind, level and pose noise.

    Args:
        seeds: of the scenes.
        kinds: of the scenes.
        levels: presets of the simulated segmenter.
        pose_noises: degrees by which poses are wrong.
        rooms: of a house.
        objects: of all kinds but room.
        views: for training.
        test_views: held out.
        exposure_changes: whether each image has an exposure of its own.
        blurred_share: of the images.
        steps: training steps.
        orders: random orders of views for the memory bank.
        ways: every way to associate and segment; or true association, Gaga, paper and consensus, each by prototypes
            and with the same votes.
        folder: where scenes, runs and figures are kept.
    """
    command = f"python scripts/reproduce_rooms.py {' '.join(sys.argv[1:])}".strip()
    tables = [f"`{command}`: STAND-INS (rendered scenes, simulated segmenter), {len(seeds)} scenes a table"]
    for kind, level, noise in itertools.product(kinds, levels, pose_noises):
        house = kind == "house"
        scenes = [
            Scene(
                StandinOptions(
                    seed=seed,
                    views=views,
                    test_views=test_views,
                    kind=kind,
                    rooms=rooms if house else None,
                    objects=None if kind == "room" else objects,
                    pose_noise=noise,
                    exposure_changes=exposure_changes,
                    blurred_share=blurred_share,
                ),
                level,
                steps,
                orders,
                ways,
            )
            for seed in seeds
        ]
        rows: dict[str, list[Figures]] = {}
        for cell in [_cell(scene, folder) for scene in scenes]:
            for name, figures in cell["ways"].items():
                rows.setdefault(name, []).append(figures)
        tables += [f"**{scenes[0].condition}**", "\n".join(markdown(rows))]
    text = "\n\n".join(tables) + "\n"
    print(text)
    (folder / "table.md").write_text(text)


def _cell(scene: Scene, folder: Path) -> dict[str, Any]:
    """Everything about one scene, from the file if it was done before."""
    finished = folder / "cells" / scene.file
    if finished.is_file():
        return json.loads(finished.read_text())
    start = time.perf_counter()
    data = folder / "data" / scene.name
    write_standin(data, scene.options, PRESETS[scene.level], scene.level)
    config = folder / "outputs" / data.name / "proto-saga-lite" / f"steps{scene.steps}" / "config.yml"
    if not (config.parent / f"nerfstudio_models/step-{scene.steps - 1:09d}.ckpt").is_file():
        train_lite(data, folder / "outputs", f"steps{scene.steps}", scene.options.seed, scene.steps)
    trained = Trained.load(config, data / "instances")
    seconds: dict[str, list[float]] = {}
    ways = {}
    for name, figures in _figures(trained, scene, seconds):
        ways[name] = figures
        print(scene.name, name, {key: round(value, 1) for key, value in figures.items()}, flush=True)
    cell = {
        "command": scene.command,
        "ways": ways,
        "seconds": {"everything": time.perf_counter() - start, **{name: values[0] for name, values in seconds.items()}},
        "gaussians": len(trained.run.model.means),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    finished.parent.mkdir(parents=True, exist_ok=True)
    write_json(finished, cell)
    return cell


def _figures(trained: Trained, scene: Scene, seconds: dict[str, list[float]]) -> Iterator[tuple[str, Figures]]:
    if scene.ways == "same-votes":
        return figures_with_same_votes(trained, seconds)
    return figures_of_ways(trained, seconds, orders=scene.orders)


if __name__ == "__main__":
    tyro.cli(main)
