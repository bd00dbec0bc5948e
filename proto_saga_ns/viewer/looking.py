"""What lies under the mouse: a few pixels around a ray, or the instances inside a box on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.model.cameras import CameraView
from proto_saga_ns.model.outputs import shown_labels

if TYPE_CHECKING:
    from proto_saga_ns.model.outputs import RenderedColors
    from proto_saga_ns.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene import SegmentedScene

Vector = tuple[float, float, float]
Corner = tuple[float, float]

FOCAL = 600.0
"""Pixels; as large as a pixel of the viewer's picture, so that a click sees what the picture shows."""
PATCH = 5
BOX_SHARE = 0.5
"""A box selects an instance if it holds more than this share of the pixels that the view shows of it."""


@dataclass(frozen=True)
class Point:
    """What a ray meets first.

    Attributes:
        instance: its id, 0 for nothing recognised.
        feature: rendered there.
    """

    instance: int
    feature: Float[Tensor, " D"]


@torch.no_grad()
def look_along(model: ProtoSagaModel, scene: SegmentedScene, origin: Vector, direction: Vector) -> Point:
    """What a ray meets, hidden instances apart. World frame of the training."""
    seen = _render_visible(model, scene, ray_view(origin, direction, model.device))
    labels, _ = shown_labels(scene, seen)
    middle = PATCH // 2
    return Point(int(labels[middle, middle]), seen.features[middle, middle].cpu())


@torch.no_grad()
def instances_in_box(
    model: ProtoSagaModel, scene: SegmentedScene, view: CameraView, low: Corner, high: Corner
) -> tuple[int, ...]:
    """Instances of which a view shows more than half inside a box; corners (x, y) from 0 to 1, y down."""
    labels, _ = shown_labels(scene, _render_visible(model, scene, view))
    return mostly_inside(labels.cpu().numpy(), low, high)


def mostly_inside(
    labels: Int[np.ndarray, "H W"], low: tuple[float, float], high: tuple[float, float]
) -> tuple[int, ...]:
    """Labels with more than half of their pixels inside a box; corners (x, y) from 0 to 1, y down."""
    height, width = labels.shape
    columns, rows = (
        slice(round(max(a, 0.0) * size), round(min(b, 1.0) * size))
        for a, b, size in zip(low, high, (width, height), strict=True)
    )
    largest = int(labels.max(initial=0)) + 1
    inside = np.bincount(labels[rows, columns].reshape(-1), minlength=largest)
    everywhere = np.bincount(labels.reshape(-1), minlength=largest)
    chosen = np.flatnonzero(inside > BOX_SHARE * everywhere)
    return tuple(int(label) for label in chosen if label > 0)


def ray_view(origin: Vector, direction: Vector, device: torch.device) -> CameraView:
    """A tiny view whose middle pixel looks along a ray."""
    forward = F.normalize(torch.tensor(direction, dtype=torch.float64), dim=0)
    helper = torch.eye(3, dtype=torch.float64)[int(forward.abs().argmin())]
    right = F.normalize(torch.linalg.cross(helper, forward), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ torch.tensor(origin, dtype=torch.float64)
    centre = PATCH / 2
    intrinsics = torch.tensor([[FOCAL, 0, centre], [0, FOCAL, centre], [0, 0, 1]])
    return CameraView(viewmat[None].float().to(device), intrinsics[None].to(device), PATCH, PATCH)


def _render_visible(model: ProtoSagaModel, scene: SegmentedScene, view: CameraView) -> RenderedColors:
    ids = scene.instances_of(model.embeddings).ids.to(model.device)
    return model.render_some(view, ~scene.display.is_hidden(ids))
