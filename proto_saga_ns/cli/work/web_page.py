"""A run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.export.web.levels import SceneLevels, levels_of_scene
from proto_saga_ns.export.web.pack import MAX_ROWS, PageGaussians, table_rows
from proto_saga_ns.export.web.page import MAX_GAUSSIANS, StartView, WebScene, render_page
from proto_saga_ns.files import write_atomically
from proto_saga_ns.plugin.model.views import TrainingViews
from proto_saga_ns.progress import progress_bar
from proto_saga_ns.rasterize.contributions import contributions
from proto_saga_ns.rasterize.reference import MIN_ALPHA
from proto_saga_ns.splats.splat import Splat, plain_colors

if TYPE_CHECKING:
    from proto_saga_ns.plugin.run import Run

PAGE = "scene.html"
UP = (0.0, 0.0, 1.0)
"""Of the training frame."""
MAX_VIEWS = 9
"""As many as there are keys for."""


def write_web_page(run: Run, granularity: float, max_gaussians: int | None, output: Path) -> None:
    """Write scene.html.

    Args:
        run: with a segmented scene.
        granularity: of the level that is shown first.
        max_gaussians: how many to keep, those that the training views see most of; None keeps all.
        output: folder.

    Raises:
        ProtoSagaError: the scene has too many Gaussians or parts.
    """
    levels = levels_of_scene(run.scene, run.model.embeddings, run.model.means, granularity)
    splat = Splat.from_parameters(dict(run.model.gauss_params.items()))
    views = TrainingViews(run.model, run.pipeline.datamanager)
    drawn = np.flatnonzero((splat.is_finite() & (splat.opacity_logits.sigmoid() >= MIN_ALPHA)).numpy())
    kept = _kept(run, drawn, views, max_gaussians)
    gaussians, units, seen = _page_gaussians(splat.select(torch.from_numpy(kept)), levels, kept)
    scene = WebScene(
        title=run.data.name,
        total=len(drawn),
        antialiased=run.model.config.rasterize_mode == "antialiased",
        min_alpha=run.scene.min_alpha,
        up=UP,
        level=levels.first,
        unit_of_row=units.tolist(),
        seen_of_row=seen.tolist(),
        levels=levels.counting(units[gaussians.rows]),
        views=start_views(run, views),
    )
    page = render_page(scene, gaussians).encode()
    write_atomically(output / PAGE, page)
    say(f"{output / PAGE}: {len(gaussians)} of {len(drawn)} Gaussians, {len(page) / 1e6:.1f} MB. Open it in a browser.")


def _kept(
    run: Run, drawn: Int64[np.ndarray, " N"], views: TrainingViews, max_gaussians: int | None
) -> Int64[np.ndarray, " _n"]:
    """Of those that are drawn at all, if they are too many, those that the training views see most of."""
    most = MAX_GAUSSIANS if max_gaussians is None else max_gaussians
    if len(drawn) <= most:
        return drawn
    if max_gaussians is None:
        raise ProtoSagaError(
            f"The scene has {len(drawn):,} Gaussians, a page at most {MAX_GAUSSIANS:,}: more take browsers too long. "
            f"--max-gaussians {MAX_GAUSSIANS} keeps those that the training views see most of."
        )
    weights = _seen_weights(run, views)[drawn]
    return drawn[np.sort((-weights).argsort(kind="stable")[:most])]


@torch.no_grad()
def _seen_weights(run: Run, views: TrainingViews) -> Float[np.ndarray, " N"]:
    """Pixels that each Gaussian paints over all training views."""
    geometry = run.model.gaussians(cropped=False).geometry.detach()
    weights = torch.zeros(len(geometry), dtype=torch.float64)
    for index in progress_bar(range(len(views)), "Counting what is seen"):
        view = views.geometry(index)
        blank = torch.zeros(view.height, view.width, dtype=torch.int32)
        found = contributions(geometry, view.viewmats[0], view.intrinsics[0], blank)
        weights.index_add_(0, found.gaussians.long().cpu(), found.weights.double().cpu())
    return weights.numpy()


def _page_gaussians(
    splat: Splat, levels: SceneLevels, kept: Int64[np.ndarray, " N"]
) -> tuple[PageGaussians, Int64[np.ndarray, " R"], np.ndarray]:
    """The Gaussians of the page; of each row of its table what it is of, and whether it is seen."""
    ids = levels.gaussians.ids.numpy()[kept].astype(np.int64)
    rows, units, seen = table_rows(ids, (levels.gaussians.confidence.numpy()[kept] > 0).astype(np.int64))
    if len(units) > MAX_ROWS:
        raise ProtoSagaError(f"The scene has {len(units):,} parts, a page at most {MAX_ROWS:,}. Merge some of them.")
    gaussians = PageGaussians(
        means=splat.means.numpy(),
        quats=splat.unit_quats().numpy(),
        log_scales=splat.log_scales.numpy(),
        opacities=splat.opacity_logits.sigmoid().numpy(),
        colors=plain_colors(splat.harmonics[:, 0]).numpy(),
        rows=rows,
    )
    return gaussians, units, seen


def start_views(run: Run, views: TrainingViews) -> list[StartView]:
    """The training view with the most objects first, then those that are farthest from all before them."""
    count = np.array([len({*run.scene.mask_instances.get(name, ())} - {0}) for name in views.names])
    found = [_start_view(views, index) for index in range(len(views))]
    chosen = farthest_first(np.stack([_place(view) for view in found]), int(count.argmax()), MAX_VIEWS)
    return [found[index] for index in chosen]


def _start_view(views: TrainingViews, index: int) -> StartView:
    view = views.geometry(index)
    focal = float(view.intrinsics[0, 1, 1])
    return StartView(views.names[index], view.viewmats[0].detach().cpu().numpy(), focal, view.width, view.height)


def _place(view: StartView) -> Float[np.ndarray, " 6"]:
    """Where it is and where it looks."""
    rotation, translation = view.viewmat[:3, :3], view.viewmat[:3, 3]
    return np.concatenate([-rotation.T @ translation, rotation[2]])


def farthest_first(points: Float[np.ndarray, "N K"], first: int, count: int) -> list[int]:
    """Points far from each other: each is the one that is farthest from those before it."""
    chosen = [first]
    distances = np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
