"""Consensus in houses of more and more rooms, against the truth: what it finds, its atoms, time and memory.

Rooms of 25 balls stand side by side and every view lies in one of them (scripts/common/balls_in_house.py). What an
object takes of a view does not change with the number of rooms; what is found should not either. A ball is found if an
instance has an IoU of 0.5 with it; sets of Gaussians are weighed by what they paint in all views. Every house runs in a
process of its own. Prints Markdown and writes it to results/bench_house.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from bench_consensus import gigabytes, restart_peak
from bench_rasterizer import in_process_of_its_own
from common.balls_in_house import House, ball_house
from common.machines import conditions
from jaxtyping import Float, Int

from proto_saga_ns.association import ConsensusOptions
from proto_saga_ns.association.consensus import BlendedViews, blend_views, find_consensus

BALLS = 25
FOUND = 0.5
SMALL_SHARE = 0.2
"""The smallest fifth of the balls, by what they paint."""
HEADER = "| rooms | balls found | mIoU | of the smallest fifth | atoms | theta | clock s | CPU s | peak GB |"


@dataclass(frozen=True)
class Measured:
    """One house.

    Attributes:
        overlaps: IoU of each ball with the instance that fits it best, the smallest ball first.
        atoms: K.
        theta: chosen.
        clock: seconds that passed.
        cpu: seconds of the CPU.
        peak: gigabytes above what scene and masks take.
    """

    overlaps: Float[np.ndarray, " balls"]
    atoms: int
    theta: float
    clock: float
    cpu: float
    peak: float

    def row(self, rooms: int) -> str:
        """Of the table."""
        small = self.overlaps[: max(round(SMALL_SHARE * len(self.overlaps)), 1)]
        found = f"{(self.overlaps >= FOUND).sum()} of {len(self.overlaps)}"
        shares = [f"{100 * self.overlaps.mean():.1f}", f"{100 * small.mean():.1f}"]
        cost = [f"{self.clock:.0f}", f"{self.cpu:.0f}", f"{self.peak:.2f}"]
        return f"| {' | '.join([str(rooms), found, *shares, str(self.atoms), str(self.theta), *cost])} |"


def main(
    rooms: tuple[int, ...] = (1, 8, 16),
    gaussians: int = 50_000,
    views: int = 30,
    masks: int = 30,
    seed: int = 0,
    threads: int = 1,
    output: Path = Path("results/bench_house.md"),
) -> None:
    """Look for the balls of houses.

    Args:
        rooms: of each house.
        gaussians: in each room.
        views: of each room.
        masks: in each view.
        seed: of balls, codes and mistakes.
        threads: of torch and the kernels.
        output: Markdown file to write.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{gaussians} Gaussians, {views} views and {BALLS} balls a room, {masks} masks a view; {conditions()}.",
        "",
    ]
    lines += [HEADER, "|---" * (HEADER.count("|") - 1) + "|"]
    for count in rooms:
        lines.append(in_process_of_its_own(measure, count, gaussians, views, masks, seed, threads).row(count))
        print(lines[-1], flush=True)
    text = "\n".join(lines)
    print(text)
    output.write_text(text + "\n")


def measure(rooms: int, gaussians: int, views: int, masks: int, seed: int, threads: int) -> Measured:
    """Consensus with default options in one house."""
    torch.set_num_threads(threads)
    house = ball_house(rooms, BALLS, gaussians, views, masks, seed)
    blended = blend_views(house.geometry, house.views)
    base, clock, cpu = restart_peak(), time.perf_counter(), time.process_time()
    found = find_consensus(house.geometry.means.numpy(), house.embeddings, blended, ConsensusOptions())
    passed = time.perf_counter() - clock, time.process_time() - cpu
    peak = gigabytes("VmHWM") - base
    instance = found.votes.labels[:, 0].numpy()
    return Measured(overlaps(house, blended, instance), found.atoms.count, found.theta, *passed, peak)


def overlaps(house: House, views: BlendedViews, instance: Int[np.ndarray, " N"]) -> Float[np.ndarray, " balls"]:
    """IoU of each ball with its best instance, the ball with the least weight first.

    Args:
        house: the truth.
        views: which say what a Gaussian weighs.
        instance: of each Gaussian, 0 for none.
    """
    weights = np.zeros(len(instance))
    for index in range(len(views)):
        view = views[index]
        weights += np.bincount(view.gaussians, view.units, len(instance))
    table = np.zeros((house.ball.max() + 2, instance.max() + 1))
    np.add.at(table, (house.ball, instance), weights)  # walls are the last row
    union = table.sum(axis=1)[:-1, None] + table.sum(axis=0) - table[:-1]
    best = (table[:-1] / np.maximum(union, 1))[:, 1:].max(axis=1, initial=0.0)
    return best[np.argsort(table.sum(axis=1)[:-1], kind="stable")]


if __name__ == "__main__":
    tyro.cli(main)
