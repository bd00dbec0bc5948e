"""Small splats of flat Gaussians: a room with things in it, and a thing that stands outside."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from proto_saga_ns.splats.splat import Splat, constant_harmonics

SIZE = np.array([6.0, 5.0, 2.6])
"""Of the room, z up."""
SPACING = 0.12


def room() -> Splat:
    """Walls, floor and ceiling, and three boxes on the floor."""
    boxes = [
        ((1.5, 1.2, 0.4), (1.0, 0.8, 0.8)),
        ((-1.8, -1.0, 0.5), (0.8, 0.8, 1.0)),
        ((-1.0, 1.5, 0.3), (0.6, 0.6, 0.6)),
    ]
    surfaces = [_box(np.array([0, 0, SIZE[2] / 2]), SIZE), *(_box(np.array(at), np.array(size)) for at, size in boxes)]
    return _splat(surfaces)


def statue() -> Splat:
    """A box on a wide ground, with nothing around it."""
    ground = _face(np.array([0.0, 0, 0]), np.array([4.0, 0, 0]), np.array([0, 4.0, 0]))
    return _splat([ground, _box(np.array([0, 0, 0.6]), np.array([0.9, 0.7, 1.2]))])


def _box(middle: Float[np.ndarray, " 3"], size: Float[np.ndarray, " 3"]) -> tuple[np.ndarray, np.ndarray]:
    faces = []
    for axis in range(3):
        one, other = (np.eye(3)[(axis + k) % 3] * size[(axis + k) % 3] for k in (1, 2))
        for side in (-0.5, 0.5):
            faces.append(_face(middle + side * size[axis] * np.eye(3)[axis], one, other))
    return np.concatenate([points for points, _ in faces]), np.concatenate([normals for _, normals in faces])


def _face(
    middle: Float[np.ndarray, " 3"], one: Float[np.ndarray, " 3"], other: Float[np.ndarray, " 3"]
) -> tuple[np.ndarray, np.ndarray]:
    steps = [np.linspace(-0.5, 0.5, max(int(np.linalg.norm(side) / SPACING), 2)) for side in (one, other)]
    u, v = np.meshgrid(*steps)
    points = middle + u.reshape(-1, 1) * one + v.reshape(-1, 1) * other
    normal = np.cross(one, other)
    return points, np.broadcast_to(normal / np.linalg.norm(normal), points.shape)


def _splat(surfaces: list[tuple[np.ndarray, np.ndarray]]) -> Splat:
    points = np.concatenate([points for points, _ in surfaces])
    normals = np.concatenate([normals for _, normals in surfaces])
    turns = [
        Rotation.align_vectors(normal[None], [[0, 0, 1]])[0].as_quat()[[3, 0, 1, 2]]
        for normal in np.unique(normals, axis=0)
    ]
    quats = np.array(turns)[np.unique(normals, axis=0, return_inverse=True)[1].reshape(-1)]
    rng = np.random.default_rng(0)
    colors = np.concatenate([np.tile(rng.uniform(0.2, 0.9, 3), (len(points), 1)) for points, _ in surfaces])
    scales = np.log([0.6 * SPACING, 0.6 * SPACING, 0.05 * SPACING])
    return Splat(
        means=torch.tensor(points, dtype=torch.float32),
        quats=torch.tensor(quats, dtype=torch.float32),
        log_scales=torch.tensor(np.tile(scales, (len(points), 1)), dtype=torch.float32),
        opacity_logits=torch.full((len(points),), 4.0),
        harmonics=constant_harmonics(torch.tensor(colors, dtype=torch.float32))[:, None],
    )
