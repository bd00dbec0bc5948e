"""Boxes around objects, from Gaussians alone: no mesh is needed, and stray Gaussians do not matter.

An object is taken for a cloud of points: of each Gaussian its centre and the six points that lie one standard
deviation out along its axes, weighted by its opacity. (Weights by size as well let a few huge, faint Gaussians decide.)
Points far from the rest of the object are left out: those that are not linked to its largest part by steps of a few
times the usual distance to the 16th neighbour. A box ends at quantiles of what remains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from proto_saga_ns.splats.splat import Splat

QUANTILES = (0.01, 0.99)
CLOUD_POINTS = 2048
"""Of one object."""
NEIGHBOUR = 16
REACH = 3.0
"""Longest step within a part, in medians of the distance to the 16th neighbour."""
YAW_ANGLES = 90
"""Directions that are tried in a quarter turn."""


@dataclass(frozen=True)
class Box:
    """A box in the splat's frame.

    Attributes:
        center: middle of the box.
        size: edge lengths along its axes.
        rotation: its axes as columns, right-handed.
    """

    center: Float[np.ndarray, " 3"]
    size: Float[np.ndarray, " 3"]
    rotation: Float[np.ndarray, "3 3"]


@dataclass(frozen=True)
class ObjectBoxes:
    """The boxes around one object.

    Attributes:
        aligned: along the axes of the frame.
        upright: its third axis points up, the other two give the smallest footprint.
        share: of the object's opacity, what belongs to the linked part that the boxes surround.
    """

    aligned: Box
    upright: Box
    share: float


def object_boxes(splat: Splat, up: Float[np.ndarray, " 3"]) -> ObjectBoxes:
    """Boxes around a splat that is one object.

    Raises:
        ValueError: there is no Gaussian.
    """
    cloud = opaque_cloud(splat)
    linked = largest_part(cloud)
    return ObjectBoxes(aligned_box(cloud[linked]), upright_box(cloud[linked], up), float(linked.mean()))


@torch.no_grad()
def opaque_cloud(splat: Splat, count: int = CLOUD_POINTS) -> Float[np.ndarray, "count 3"]:
    """Points that stand for a splat, each for an equal share of its opacity: the same whenever it is called.

    Raises:
        ValueError: there is no Gaussian.
    """
    if len(splat) == 0:
        raise ValueError("no Gaussians, no box")
    ends = np.cumsum(splat.opacity_logits.double().sigmoid().clamp_min(1e-12).numpy().repeat(7))
    chosen = np.searchsorted(ends, (np.arange(count) + 0.5) / count * ends[-1])
    return _sigma_points(splat)[np.minimum(chosen, len(ends) - 1)]


def _sigma_points(splat: Splat) -> Float[np.ndarray, "M 3"]:
    """Centres and one standard deviation along each axis, seven points for each Gaussian."""
    w, x, y, z = splat.unit_quats().double().numpy().T
    columns = Rotation.from_quat(np.stack([x, y, z, w], axis=1)).as_matrix()
    axes = columns.transpose(0, 2, 1) * splat.log_scales.double().exp().numpy()[:, :, None]
    offsets = np.concatenate([np.zeros_like(axes[:, :1]), axes, -axes], axis=1)
    return (splat.means.double().numpy()[:, None] + offsets).reshape(-1, 3)


def largest_part(cloud: Float[np.ndarray, "M 3"]) -> Bool[np.ndarray, " M"]:
    """Which points belong to the largest linked part of a cloud."""
    # A Gaussian that stands for much opacity occurs many times, and copies are no neighbours.
    points, copies = np.unique(cloud, axis=0, return_inverse=True)
    copies = copies.reshape(-1)
    tree = KDTree(points)
    distances = tree.query(points, k=min(NEIGHBOUR + 1, len(points)))[0].reshape(len(points), -1)
    links = tree.query_pairs(REACH * float(np.median(distances[copies, -1])), output_type="ndarray")
    graph = coo_matrix((np.ones(len(links), bool), (links[:, 0], links[:, 1])), shape=(len(points), len(points)))
    part = connected_components(graph, directed=False)[1][copies]
    return part == np.bincount(part).argmax()


def aligned_box(cloud: Float[np.ndarray, "M 3"]) -> Box:
    """The box along the axes of the frame."""
    return _box(cloud, np.eye(3))


def upright_box(cloud: Float[np.ndarray, "M 3"], up: Float[np.ndarray, " 3"]) -> Box:
    """The box with its third axis along ``up`` and the smallest footprint.

    Furniture stands upright: principal axes would tilt its boxes, and spin freely for what is round or square.
    """
    level = _frame_with_third_axis(up)
    plan = cloud @ level[:, :2]
    yaws = np.arange(YAW_ANGLES) * (np.pi / 2 / YAW_ANGLES)
    along = np.stack([np.cos(yaws), np.sin(yaws)])
    across = np.stack([-np.sin(yaws), np.cos(yaws)])
    extents = [np.diff(np.quantile(plan @ axes, QUANTILES, axis=0), axis=0)[0] for axes in (along, across)]
    best = int(np.argmin(extents[0] * extents[1]))
    turned = level[:, :2] @ np.stack([along[:, best], across[:, best]], axis=1)
    return _box(cloud, np.concatenate([turned, level[:, 2:]], axis=1))


def _box(cloud: Float[np.ndarray, "M 3"], rotation: Float[np.ndarray, "3 3"]) -> Box:
    low, high = np.quantile(cloud @ rotation, QUANTILES, axis=0)
    return Box(rotation @ ((low + high) / 2), high - low, rotation)


def _frame_with_third_axis(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """A rotation whose third column is ``up``."""
    third = up / np.linalg.norm(up)
    second = np.cross(third, np.eye(3)[np.argmin(np.abs(third))])
    second /= np.linalg.norm(second)
    return np.stack([np.cross(second, third), second, third], axis=1)
