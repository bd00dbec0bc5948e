"""``rasterization`` on the CPU kernels."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from proto_saga_ns.kernels.gsplat_code import radii_per_gaussian
from proto_saga_ns.rasterize.arguments import TILE, Scene, compose, joined
from proto_saga_ns.rasterize.blend import MAX_CHANNELS, Blend, Tiles, bin_splats
from proto_saga_ns.rasterize.project import Project

if TYPE_CHECKING:
    from proto_saga_ns.rasterize.votes import GaussianVotes, Voting


def rasterize(scene: Scene, absgrad: bool, votes: GaussianVotes | None = None) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Images, alphas and info of checked float32 arguments; see ``proto_saga_ns.rasterize.rasterization``."""
    lens = scene.lens
    means2d, conics, depths, compensations, radii = Project.apply(
        scene.means, scene.quats, scene.scales, scene.viewmats, scene.intrinsics, lens
    )
    opacities = scene.opacities.expand(len(radii), -1)
    if scene.antialiased:
        opacities = opacities * compensations
    sums = _AbsoluteGradients(means2d) if absgrad and means2d.requires_grad else None
    tiles = [
        bin_splats(*splats, lens.width, lens.height)
        for splats in zip(means2d, conics, opacities, depths, radii, strict=True)
    ]

    votings = [None if votes is None else votes.placed(of_view) for of_view in tiles]

    def blend(view: int, features: Tensor, view_opacities: Tensor) -> tuple[Tensor, Tensor]:
        collected = None if sums is None else sums.of_view(view)
        return _blend(means2d[view], conics[view], view_opacities, features, tiles[view], collected, votings[view])

    images, alphas = compose(scene, depths, opacities, blend)
    info = {
        "means2d": means2d,
        "conics": conics,
        "depths": depths,
        "radii": radii if radii_per_gaussian() == 1 else radii[..., None].expand(-1, -1, 2),
        "opacities": opacities,
        "camera_ids": None,
        "gaussian_ids": None,
        "width": lens.width,
        "height": lens.height,
        "n_cameras": len(radii),
        "tile_size": TILE,
        "tile_width": -(-lens.width // TILE),
        "tile_height": -(-lens.height // TILE),
    }
    if votes is not None:
        info["votes"] = [voting.blended for voting in votings if voting is not None]
    return images, alphas, info


def _blend(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    tiles: Tiles,
    collected: list[Tensor] | None,
    voting: Voting | None,
) -> tuple[Tensor, Tensor]:
    """Blend any number of channels, as many at a time as the kernels take, and votes in the first pass."""
    parts = features.split(MAX_CHANNELS, dim=-1)
    passes = [
        Blend.apply(means2d, conics, opacities, part, tiles, collected, None if index else voting)
        for index, part in enumerate(parts)
    ]
    return joined([image for image, _ in passes]), passes[0][1]


class _AbsoluteGradients:
    """Puts ``absgrad`` (C, N, 2) on means2d once its gradient is complete, as gsplat does."""

    def __init__(self, means2d: Tensor) -> None:
        self._views: list[list[Tensor]] = [[] for _ in means2d]
        target = weakref.ref(means2d)  # a tensor that its own hook held would live until garbage collection

        def attach(gradient: Tensor) -> None:
            owner = target()
            if owner is not None:
                zero = torch.zeros_like(gradient[0])
                owner.absgrad = torch.stack([sum(parts, start=zero) for parts in self._views])  # type: ignore
            for parts in self._views:  # a graph that is kept can be walked again
                parts.clear()

        means2d.register_hook(attach)

    def of_view(self, view: int) -> list[Tensor]:
        return self._views[view]
