"""From Gaussians, cameras and masks to blend weights: what consensus is given by a trained model."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.association.claims import Views
from proto_saga_ns.association.consensus.blended_views import RememberedViews
from proto_saga_ns.rasterize.contributions import Contributions, contributions

MAX_BYTES = 1 << 30
"""Enough for 200 views of a million Gaussians."""


def blend_views(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    views: Views,
    antialiased: bool = False,
    max_bytes: int = MAX_BYTES,
) -> RememberedViews:
    """The blend weights of all views, found when they are asked for.

    Args:
        means: centres, world frame.
        quats: orientations w, x, y, z; of any length.
        scales: standard deviations along the axes, world units.
        opacities: in [0, 1].
        views: cameras and label maps.
        antialiased: whether the views are rendered with the rasterize mode of this name.
        max_bytes: how much of the weights is kept; the rest is found again each time, at the price of a rendering.
    """

    def blend(index: int) -> Contributions:
        view = views[index]
        return contributions(means, quats, scales, opacities, view.viewmat, view.K, view.label_map, antialiased)

    num_labels = [int(views[index].label_map.max()) + 1 for index in range(len(views))]
    return RememberedViews(blend, num_labels, max_bytes)
