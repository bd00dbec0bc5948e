"""Rooms with balls side by side, for benchmarks: every view lies in one room, as those of a flat or a house do."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from common.balls_in_room import ROOM, WALLS, ball_room, room_views
from proto_saga_ns.association import View
from proto_saga_ns.rasterize.geometry import Geometry

WALL_THICKNESS = 0.5
"""Metres between rooms."""
OPAQUE = 0.99
"""Opacity of walls: nothing is to be seen through them."""


@dataclass(frozen=True)
class House:
    """Rooms in a square, or nearly one.

    Attributes:
        geometry: of all Gaussians.
        embeddings: near the code of the instance.
        ball: of each Gaussian, from 0 through all rooms; -1 on a wall.
        views: of the first room, then of the second, ...
    """

    geometry: Geometry
    embeddings: Float[np.ndarray, "N 16"]
    ball: Int[np.ndarray, " N"]
    views: list[View]


def ball_house(rooms: int, balls: int, gaussians: int, views: int, masks: int, seed: int = 0) -> House:
    """A house of rooms that differ in balls, their codes and the mistakes of masks.

    Args:
        rooms: how many.
        balls: in each room.
        gaussians: in each room.
        views: in each room.
        masks: in each view.
        seed: of the first room; the others have those after it.
    """
    across = math.ceil(math.sqrt(rooms))
    tensors, embeddings, owners, cameras = [], [], [], []
    for number in range(rooms):
        room = ball_room(gaussians, seed + number, balls)
        row, column = divmod(number, across)
        corner = torch.tensor([column, 0, row]) * (2 * torch.from_numpy(ROOM) + WALL_THICKNESS)
        is_wall = room.instance < WALLS
        means, quats, scales, opacities = room.geometry.tensors
        opacities = torch.where(torch.from_numpy(is_wall), OPAQUE, opacities)
        tensors.append((means + corner.float(), quats, scales, opacities))
        embeddings.append(room.embeddings)
        owners.append(np.where(is_wall, -1, room.instance - WALLS + number * balls))
        cameras += [_moved(view, corner, number) for view in room_views(room, views, masks, seed + number)]
    geometry = Geometry(*(torch.cat(column) for column in zip(*tensors, strict=True)))
    return House(geometry, np.concatenate(embeddings), np.concatenate(owners), cameras)


def _moved(view: View, corner: Float[torch.Tensor, " 3"], room: int) -> View:
    viewmat = view.viewmat.double()
    viewmat[:3, 3] -= viewmat[:3, :3] @ corner.double()
    return replace(view, name=f"room{room}_{view.name}", viewmat=viewmat.float())
