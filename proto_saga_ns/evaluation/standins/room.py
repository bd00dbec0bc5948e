"""A furnished room from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from proto_saga_ns.evaluation.standins.furnish import Size, furnish
from proto_saga_ns.evaluation.standins.shapes import box, joined, quad
from proto_saga_ns.evaluation.standins.textures import Color, Paint, shade
from proto_saga_ns.evaluation.standins.things import Part, Placed, Thing
from proto_saga_ns.evaluation.standins.world import Light, World

_WALL_COLORS: tuple[Color, ...] = ((0.82, 0.79, 0.72), (0.70, 0.77, 0.80), (0.78, 0.74, 0.66), (0.74, 0.79, 0.70))
_FLOORS: tuple[Paint, ...] = (
    Paint((0.66, 0.47, 0.29), "planks", scale=0.2),
    Paint((0.47, 0.33, 0.22), "planks", scale=0.2),
    Paint((0.76, 0.74, 0.70), "checks", (0.62, 0.60, 0.57), 0.45),
)
NUM_SHELL = 6
"""Instances 1 to 6 are floor, ceiling and walls, in this order; what stands in the room follows."""
DOORWAY = (0.9, 2.05)
"""Width and height of a doorway in metres."""
_BEYOND = 0.05
"""Walls, floor and ceiling reach past their corners, so that no ray slips out between them."""


def make_room(seed: int) -> World:
    """The room of a seed: 24 to 30 instances, six of them floor, ceiling and walls."""
    rng = np.random.default_rng(seed)
    size = (float(rng.uniform(5.2, 6.0)), float(rng.uniform(4.8, 5.4)), 2.6)
    shell = [Placed(thing, (0.0, 0.0, 0.0)) for thing in shell_of(rng, size)]
    wanted = int(rng.integers(24, 31)) - len(shell)
    return World(size, (*shell, *furnish(rng, size, wanted)), NUM_SHELL, lamp_of(size))


def lamp_of(size: Size) -> Light:
    """One lamp below the ceiling."""
    return Light(((0.3, -0.2, size[2] - 0.1),))


def shell_of(rng: np.random.Generator, size: Size, doorways: Mapping[int, float] | None = None) -> Sequence[Thing]:
    """Floor, ceiling and four walls.

    Args:
        doorways: how far along a wall the middle of its doorway is, of the walls that have one.
    """
    width, depth, height = size
    floor, color = _FLOORS[int(rng.integers(len(_FLOORS)))], _WALL_COLORS[int(rng.integers(len(_WALL_COLORS)))]
    x, y = width / 2 + _BEYOND, depth / 2 + _BEYOND
    return [
        Thing("floor", (Part("floor", quad((-x, -y, 0), (2 * x, 0, 0), (0, 2 * y, 0)), floor),)),
        Thing(
            "ceiling", (Part("ceiling", quad((-x, -y, height), (2 * x, 0, 0), (0, 2 * y, 0)), Paint((0.9, 0.9, 0.9))),)
        ),
        *(_wall(side, size, color, (doorways or {}).get(side)) for side in range(4)),
    ]


def _wall(side: int, size: Size, color: Color, doorway: float | None) -> Thing:
    """A wall with its skirting: 0 north (+y), 1 east (+x), 2 south, 3 west."""
    length, distance = (size[0], size[1] / 2) if side % 2 == 0 else (size[1], size[0] / 2)
    reach = length / 2 + _BEYOND
    top = size[2] + _BEYOND
    if doorway is None:
        surface = quad((-reach, distance, -_BEYOND), (2 * reach, 0, 0), (0, 0, size[2] + 2 * _BEYOND))
        skirting = box(length, 0.02, 0.09).moved((0, distance - 0.01, 0))
    else:
        left, right = doorway - DOORWAY[0] / 2, doorway + DOORWAY[0] / 2
        spans = ((-reach, left, -_BEYOND), (right, reach, -_BEYOND), (left, right, DOORWAY[1]))
        surface = joined([quad((a, distance, z), (b - a, 0, 0), (0, 0, top - z)) for a, b, z in spans])
        feet = ((-length / 2, left), (right, length / 2))
        skirting = joined([box(b - a, 0.02, 0.09).moved(((a + b) / 2, distance - 0.01, 0)) for a, b in feet])
    # Each wall a shade of its own, as light from a window would make them.
    paint = Paint(shade(color, 1 - 0.05 * side), "plain", scale=0.7)
    yaw = -side * np.pi / 2
    parts = (Part("wall", surface.turned(yaw), paint), Part("skirting", skirting.turned(yaw), Paint((0.85, 0.83, 0.8))))
    return Thing(f"{('north', 'east', 'south', 'west')[side]} wall", parts)
