"""A room with balls in it, for benchmarks: Gaussians on its surfaces, cameras that walk around, masks with mistakes.

The instances are the six walls and the balls, ray-cast exactly, so that the masks mean the same whatever the number of
Gaussians. Masks are then merged and cut as segmenters do, a different way in each view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.association import View
from proto_saga_ns.rasterize.geometry import Geometry

WIDTH, HEIGHT, COARSER = 512, 384, 2
FOCAL = 0.62 * WIDTH
ROOM = np.array([4.0, 1.5, 3.0])
"""Half of its size, metres; y points down."""
BALLS = 94
WALLS = 6
BALLS_DENSER = 8
EMBEDDING_DIM = 16
MERGED_SHARE = 0.05
LEAST_CUT = 40
"""Coarse pixels of the smallest mask that is cut."""


@dataclass(frozen=True)
class BallRoom:
    """Gaussians and what they lie on.

    Attributes:
        centers: of the balls, metres.
        radii: of the balls, metres.
        geometry: of the Gaussians.
        embeddings: near the code of the instance.
        instance: of each Gaussian: ``WALLS`` walls, then the balls, from 0.
    """

    centers: Float[np.ndarray, "B 3"]
    radii: Float[np.ndarray, " B"]
    geometry: Geometry
    embeddings: Float[np.ndarray, "N 16"]
    instance: Int[np.ndarray, " N"]


def ball_room(gaussians: int, seed: int = 0, balls: int = BALLS) -> BallRoom:
    """Flat Gaussians, as many per area on all walls, and ``BALLS_DENSER`` times as many on all balls."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-1, 1, (balls, 3)) * ROOM * [0.6, 0.85, 0.55]
    radii = rng.uniform(0.12, 0.3, balls)
    sides = np.repeat([4 * ROOM[1] * ROOM[2], 4 * ROOM[0] * ROOM[2], 4 * ROOM[0] * ROOM[1]], 2)
    density = np.concatenate([sides, 4 * math.pi * radii**2 * BALLS_DENSER])
    instance = rng.choice(len(density), gaussians, p=density / density.sum())
    means, normals = _on_surfaces(instance, centers, radii, rng)
    spacing = np.sqrt(density.sum() / gaussians / np.where(instance < WALLS, 1, BALLS_DENSER))
    scales = 0.75 * spacing[:, None] * np.exp(0.5 * rng.standard_normal((gaussians, 3))) * [1, 1, 0.2]
    opacities = 1 / (1 + np.exp(-0.5 - 1.8 * rng.standard_normal(gaussians)))
    codes = rng.standard_normal((len(density), EMBEDDING_DIM))
    embeddings = codes[instance] + 0.5 * rng.standard_normal((gaussians, EMBEDDING_DIM))
    arrays = (means, _turns_to(normals), scales, opacities)
    geometry = Geometry(*(torch.from_numpy(array.astype(np.float32)) for array in arrays))
    return BallRoom(centers, radii, geometry, embeddings.astype(np.float32), instance)


def _on_surfaces(
    instance: Int[np.ndarray, " N"],
    centers: Float[np.ndarray, "B 3"],
    radii: Float[np.ndarray, " B"],
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3"]]:
    """A random point on the surface of each instance, and the normal there."""
    axis, side = np.minimum(instance, WALLS - 1) // 2, 2.0 * (instance % 2) - 1
    walls = np.eye(3)[axis] * side[:, None]
    outward = rng.standard_normal((len(instance), 3))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    on_wall = np.where(walls != 0, walls, rng.uniform(-1, 1, (len(instance), 3))) * ROOM
    ball = np.maximum(instance - WALLS, 0)
    is_ball = (instance >= WALLS)[:, None]
    on_ball = centers[ball] + radii[ball, None] * outward
    return np.where(is_ball, on_ball, on_wall), np.where(is_ball, outward, walls)


def _turns_to(normals: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 4"]:
    """Quaternions that turn the z axis into the normals."""
    x, y, z = normals.T
    return np.stack([1 + z + 1e-4, -y, x, np.zeros_like(x)], axis=1)


def room_views(room: BallRoom, count: int, masks: int, seed: int = 0) -> list[View]:
    """Cameras on an ellipse inside the room that look at its middle, with so many masks in each view."""
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    views = []
    for index in range(count):
        viewmat = _looking_in(2 * math.pi * index / count)
        truth = _true_labels(room, viewmat)
        coarse = noisy_masks(truth, masks, np.random.default_rng([seed, index]))
        label_map = torch.from_numpy(coarse.repeat(COARSER, 0).repeat(COARSER, 1).astype(np.int32))
        views.append(View(f"view{index}", viewmat.float(), K, WIDTH, HEIGHT, label_map))
    return views


def _looking_in(angle: float) -> Float[Tensor, "4 4"]:
    """World to camera, OpenCV axes."""
    eye = torch.tensor([3.6 * math.cos(angle), -0.5 + 0.7 * math.sin(3 * angle), 2.7 * math.sin(angle)]).double()
    forward = F.normalize(-eye, dim=0)
    right = F.normalize(torch.linalg.cross(torch.tensor([0.0, 1, 0]).double(), forward), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
    viewmat = torch.eye(4).double()
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ eye
    return viewmat


def _true_labels(room: BallRoom, viewmat: Float[Tensor, "4 4"]) -> Int[np.ndarray, "h w"]:
    """What each coarse pixel shows: the walls are 1..6, the balls follow."""
    rotation, eye = viewmat[:3, :3].numpy(), -(viewmat[:3, :3].T @ viewmat[:3, 3]).numpy()
    y, x = np.mgrid[COARSER / 2 : HEIGHT : COARSER, COARSER / 2 : WIDTH : COARSER]
    rays = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], axis=-1) @ rotation
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    to_walls = (np.copysign(ROOM, rays) - eye) / rays
    nearest, label = to_walls.min(axis=-1), to_walls.argmin(axis=-1)
    label = 2 * label + (np.take_along_axis(rays, label[..., None], -1)[..., 0] > 0)
    for ball, (center, radius) in enumerate(zip(room.centers - eye, room.radii, strict=True)):
        along = rays @ center
        root = along**2 - (center @ center - radius**2)
        distance = np.where((root > 0) & (along > 0), along - np.sqrt(np.maximum(root, 0)), np.inf)
        closer = (distance > 0) & (distance < nearest)
        nearest[closer], label[closer] = distance[closer], WALLS + ball
    return label + 1


def noisy_masks(truth: Int[np.ndarray, "h w"], count: int, rng: np.random.Generator) -> Int[np.ndarray, "h w"]:
    """Some instances share a mask with a neighbour, others are cut until there are ``count``; borders get no label."""
    masks = _merged(truth, rng)
    for new in range(masks.max() + 1, masks.max() + 1 + count - len(np.unique(masks))):
        rows, columns = np.nonzero(masks == rng.choice(np.flatnonzero(np.bincount(masks.ravel()) >= LEAST_CUT)))
        angle, at = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 0.75)
        along = math.cos(angle) * rows + math.sin(angle) * columns
        beyond = along > np.quantile(along, at)
        masks[rows[beyond], columns[beyond]] = new
    masks = np.unique(masks, return_inverse=True)[1].reshape(truth.shape) + 1
    border = np.zeros(truth.shape, dtype=bool)
    border[:, 1:] |= masks[:, 1:] != masks[:, :-1]
    border[1:] |= masks[1:] != masks[:-1]
    return np.where(border, 0, masks)


def _merged(truth: Int[np.ndarray, "h w"], rng: np.random.Generator) -> Int[np.ndarray, "h w"]:
    """A share of the instances takes the name of what lies to the right of it."""
    name = np.arange(truth.max() + 1)
    for instance in np.unique(truth):
        inside = truth[:, :-1] == instance
        neighbours = np.unique(truth[:, 1:][inside])
        neighbours = neighbours[neighbours != instance]
        if len(neighbours) and rng.random() < MERGED_SHARE:
            name[instance] = name[rng.choice(neighbours)]
    return name[truth]
