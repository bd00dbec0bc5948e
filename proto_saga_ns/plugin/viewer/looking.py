"""What lies under the mouse, or inside a box on the screen.

The whole view is rendered as the picture is, features alone. A few pixels along the ray of a click would be faster, but
Gaussians are sorted and flattened per view: looked at along their own ray, one pixel in ten shows another instance.
Places on the screen are (x, y) from 0 to 1, y down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int, Int32, UInt8
from torch import Tensor

from proto_saga_ns.plugin.model.outputs import shown_labels
from proto_saga_ns.plugin.model.render import CameraView

if TYPE_CHECKING:
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.render import Rendered
    from proto_saga_ns.scene import SegmentedScene

Spot = tuple[float, float]

BOX_SHARE = 0.5
"""A box selects an instance if it holds more than this share of the pixels that the view shows of it."""


@dataclass(frozen=True)
class Point:
    """What a view shows in one place.

    Attributes:
        instance: its id, 0 for nothing recognised.
        feature: rendered there.
        votes: rendered there, if the scene has any.
    """

    instance: int
    feature: Float[Tensor, " D"]
    votes: Float[Tensor, " P"] | None


@torch.no_grad()
def look_at(model: ProtoSagaModel, scene: SegmentedScene, view: CameraView, spot: Spot) -> Point:
    """What a view shows in one place; hidden instances are looked through."""
    visible = _visible(model, scene, view)
    labels = shown_labels(scene, visible)[0]
    row, column = (
        min(max(int(place * size), 0), size - 1) for place, size in zip(reversed(spot), labels.shape, strict=True)
    )
    votes = None if visible.votes is None else visible.votes[row, column].cpu()
    return Point(int(labels[row, column]), visible.features[row, column].cpu(), votes)


@torch.no_grad()
def instances_in_box(
    model: ProtoSagaModel, scene: SegmentedScene, view: CameraView, low: Spot, high: Spot
) -> tuple[int, ...]:
    """Instances of which a view shows more than half inside a box between two corners."""
    labels = shown_labels(scene, _visible(model, scene, view))[0]
    return mostly_inside(labels.cpu().numpy(), low, high)


@torch.no_grad()
def picture_and_labels(
    model: ProtoSagaModel, scene: SegmentedScene, view: CameraView
) -> tuple[UInt8[np.ndarray, "H W 3"], Int32[np.ndarray, "H W"]]:
    """What a view shows, hidden instances apart, and which instance it is."""
    visible = _visible(model, scene, view)
    rgb = visible.over(model.background_color.to(model.device))
    return (255 * rgb).round().byte().cpu().numpy(), shown_labels(scene, visible)[0].cpu().numpy()


def mostly_inside(labels: Int[np.ndarray, "H W"], low: Spot, high: Spot) -> tuple[int, ...]:
    """Labels with more than half of their pixels inside a box between two corners."""
    height, width = labels.shape
    columns, rows = (
        slice(*(round(min(max(place, 0.0), 1.0) * size) for place in (a, b)))
        for a, b, size in zip(low, high, (width, height), strict=True)
    )
    largest = int(labels.max(initial=0)) + 1
    inside = np.bincount(labels[rows, columns].reshape(-1), minlength=largest)
    everywhere = np.bincount(labels.reshape(-1), minlength=largest)
    chosen = np.flatnonzero(inside > BOX_SHARE * everywhere)
    return tuple(int(label) for label in chosen if label > 0)


def _visible(model: ProtoSagaModel, scene: SegmentedScene, view: CameraView) -> Rendered:
    if not scene.display.hidden:  # choosing among all Gaussians copies those that stay
        return model.render_some(view, None, scene)
    found = scene.instances_of(model.embeddings).to(model.device)
    return model.render_some(view, ~scene.display.hides(found), scene)
