"""What segmenting a novel view costs against rendering its colour (budget: 1.5x), in one run.

Colour: spherical harmonics, rasterization of 3 channels. Segmentation: rasterization of the embeddings and the nearest
prototype of every pixel, with its probability. With votes, those of the Gaussians are blended as well, and decide
together with the prototypes; "as channels", one for each instance, with PyTorch for the rest, as on CUDA. Prints a
Markdown table and writes it to results/bench_inference.md.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import tyro
from bench_rasterizer import peak_megabytes
from common.machines import conditions

from proto_saga_ns.plugin.model.render import CameraView, Gaussians, render
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.recognition.prototypes import classify
from proto_saga_ns.recognition.votes import Votes, classify_with_votes


def main(
    gaussians: int = 100_000,
    instances: tuple[int, ...] = (30, 100),
    width: int = 512,
    height: int = 384,
    runs: int = 15,
    output: Path = Path("results/bench_inference.md"),
) -> None:
    """Time both, in turn.

    Args:
        gaussians: how many.
        instances: prototypes to choose from, one measurement for each number.
        width: of the view in pixels.
        height: of the view in pixels.
        runs: counted runs of each; medians are printed.
        output: Markdown file to write.
    """
    times = time_ways(gaussians, instances, width, height, runs)
    rows = [f"| {name} | {1000 * value:.1f} | {value / times['colour']:.2f} |" for name, value in times.items()]
    table = f"| {gaussians} Gaussians, {width}x{height} | median ms | ratio |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    print(table)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f"`python scripts/bench_inference.py`; {conditions()}\n\n{table}")


def time_ways(gaussians: int, instances: tuple[int, ...], width: int, height: int, runs: int) -> dict[str, float]:
    """Median seconds by what is done; arguments as of ``main``."""
    scene, view = _room(gaussians, width, height)
    colorless = replace(scene, colors=scene.colors[:, :0])
    ways: dict[str, Callable[[], object]] = {
        "colour": lambda: _render(replace(scene, embeddings=scene.embeddings[:, :0]), view, 3)
    }
    for count in instances:
        prototypes = torch.randn(count, 16)
        votes = _votes(scene, count).of(range(1, count + 1))
        channels = torch.cat([scene.embeddings, votes.dense()], dim=1)
        segment, with_votes = f"segmentation, {count} instances", f"segmentation with votes, {count} instances"
        ways |= {
            segment: partial(_segment, colorless, None, view, prototypes),
            f"colour and {segment}": partial(_segment, scene, 3, view, prototypes),
            with_votes: partial(_segment_with_votes, replace(colorless, votes=votes), None, view, prototypes),
            f"colour and {with_votes}": partial(_segment_with_votes, replace(scene, votes=votes), 3, view, prototypes),
            f"{with_votes} alone": partial(
                _segment_with_votes, replace(colorless, votes=votes), None, view, torch.zeros_like(prototypes)
            ),
            f"{with_votes} as channels": partial(
                _segment_with_channels, replace(colorless, embeddings=channels), view, prototypes
            ),
        }
    return _in_turn(ways, runs)


@torch.no_grad()
def megabytes_of_votes(instances: int) -> float:
    """By which segmenting a view with so many prototypes, and votes for 30 of them, raises the peak of a process."""
    scene, view = _room(100_000, 512, 384)
    prototypes = torch.randn(instances, 16)
    scene = replace(scene, votes=_votes(scene, 30).of(range(1, instances + 1)))
    small = CameraView(view.viewmats, view.intrinsics, 16, 16)
    _segment_with_votes(scene, 3, small, prototypes)
    return peak_megabytes(lambda: _segment_with_votes(scene, 3, view, prototypes))


def _room(count: int, width: int, height: int) -> tuple[Gaussians, CameraView]:
    """Flat Gaussians on the inside of a box, seen from its middle."""
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.rand(count, 3, generator=generator) - 1
    side = torch.randint(0, 3, (count, 1), generator=generator)
    points.scatter_(1, side, points.gather(1, side).sign())
    spacing = (24 / count) ** 0.5
    scales = spacing * torch.exp(0.5 * torch.randn(count, 3, generator=generator))
    scales.scatter_(1, side, 0.1 * spacing)
    scene = Gaussians(
        Geometry(
            means=points * torch.tensor([2.0, 1.5, 2.0]),
            quats=torch.tensor([1.0, 0, 0, 0]).expand(count, 4).contiguous(),
            scales=scales,
            opacities=torch.sigmoid(1 + 2 * torch.randn(count, generator=generator)),
        ),
        colors=0.3 * torch.randn(count, 3, generator=generator),
        harmonics=0.3 * torch.randn(count, 15, 3, generator=generator),
        embeddings=torch.randn(count, 16, generator=generator),
    )
    intrinsics = torch.tensor([[[0.6 * width, 0, width / 2], [0, 0.6 * width, height / 2], [0, 0, 1]]])
    return scene, CameraView(torch.eye(4)[None], intrinsics, width, height)


def _render(scene: Gaussians, view: CameraView, sh_degree: int | None):
    return render(scene, view, sh_degree=sh_degree, with_depth=False)[0]


def _votes(scene: Gaussians, instances: int) -> Votes:
    """Most of each Gaussian for the nearest of some random places, the rest for three of the twelve nearest.

    Thirteen of 30 labels then occur in a tile, as many as of 26 in the demo scene after consensus.
    """
    generator = torch.Generator().manual_seed(1)
    places = scene.geometry.means[torch.randperm(len(scene.geometry.means), generator=generator)[:instances]]
    nearest = torch.cdist(scene.geometry.means, places).topk(12, largest=False).indices
    order = torch.rand(len(nearest), 11, generator=generator).argsort(dim=1)[:, :3] + 1
    labels = torch.cat([nearest[:, :1], nearest.gather(1, order)], dim=1) + 1
    return Votes(labels.int(), torch.tensor([0.7, 0.15, 0.1, 0.05]).expand(len(labels), 4).contiguous())


def _segment(scene: Gaussians, sh_degree: int | None, view: CameraView, prototypes: torch.Tensor) -> object:
    rendered = _render(scene, view, sh_degree)
    return classify(rendered.features, prototypes, rendered.alpha[..., 0])


def _segment_with_votes(scene: Gaussians, sh_degree: int | None, view: CameraView, prototypes: torch.Tensor) -> object:
    rendered = _render(scene, view, sh_degree)
    assert rendered.votes is not None
    return classify_with_votes(rendered.features, rendered.votes, prototypes, rendered.alpha[..., 0])


def _segment_with_channels(scene: Gaussians, view: CameraView, prototypes: torch.Tensor) -> object:
    rendered = _render(scene, view, None)
    features, votes = rendered.features.split([prototypes.shape[1], len(prototypes)], dim=-1)
    return classify_with_votes(features, votes, prototypes, rendered.alpha[..., 0])


@torch.no_grad()
def _in_turn(ways: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs + 2):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[2:]) for name, values in times.items()}


if __name__ == "__main__":
    tyro.cli(main)
