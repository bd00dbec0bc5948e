"""A furnished room from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.evaluation.standins.furnish import furnish
from proto_saga_ns.evaluation.standins.shapes import box, quad, yaw_matrix
from proto_saga_ns.evaluation.standins.textures import Color, Paint, shade
from proto_saga_ns.evaluation.standins.things import Part, Placed, Thing, names_of

_WALL_COLORS: tuple[Color, ...] = ((0.82, 0.79, 0.72), (0.70, 0.77, 0.80), (0.78, 0.74, 0.66), (0.74, 0.79, 0.70))
_FLOORS: tuple[Paint, ...] = (
    Paint((0.66, 0.47, 0.29), "planks", scale=0.2),
    Paint((0.47, 0.33, 0.22), "planks", scale=0.2),
    Paint((0.76, 0.74, 0.70), "checks", (0.62, 0.60, 0.57), 0.45),
)
NUM_SHELL = 6
"""Instances 1 to 6 are floor, ceiling and walls, in this order; what stands in the room follows."""
_BEYOND = 0.05
"""Walls, floor and ceiling reach past their corners, so that no ray slips out between them."""


@dataclass(frozen=True)
class Room:
    """All surfaces of a room, and what they belong to.

    Attributes:
        size: width (x), depth (y) and height (z) in metres.
        objects: what stands in it; instance ``i`` is ``objects[i - 1]``.
    """

    size: tuple[float, float, float]
    objects: tuple[Placed, ...]

    @property
    def num_instances(self) -> int:
        """How many objects there are; their ids are 1 to this number."""
        return len(self.objects)

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each instance; names differ."""
        return dict(enumerate(names_of([placed.thing.category for placed in self.objects]), start=1))

    @cached_property
    def parts(self) -> tuple[tuple[int, Part], ...]:
        """Instance and part; part ``p`` of the finer ground truth is ``parts[p - 1]``."""
        pairs = [(i, part) for i, placed in enumerate(self.objects, start=1) for part in placed.thing.parts]
        return tuple(pairs)

    @cached_property
    def part_names(self) -> dict[int, str]:
        """Name of each part, with that of its instance."""
        return {p: f"{self.names[i]}: {part.name}" for p, (i, part) in enumerate(self.parts, start=1)}

    @cached_property
    def instance_of_part(self) -> Int[np.ndarray, " P"]:
        """Instance of each part id; 0 is nothing and belongs to nothing."""
        return np.array([0, *(instance for instance, _ in self.parts)], np.int32)

    @cached_property
    def part_of_face(self) -> Int[np.ndarray, " F"]:
        """Part id of each triangle."""
        return np.repeat(np.arange(1, len(self.parts) + 1), [len(part.mesh.faces) for _, part in self.parts])

    @cached_property
    def triangles(self) -> Float[np.ndarray, "F 3 3"]:
        """Corners of the triangles, world frame."""
        corners = [
            (part.mesh.vertices @ yaw_matrix(self.objects[i - 1].yaw).T + self.objects[i - 1].position)[part.mesh.faces]
            for i, part in self.parts
        ]
        return np.concatenate(corners)

    def to_objects(
        self, points: Float[np.ndarray, "N 3"], instances: Int[np.ndarray, " N"]
    ) -> Float[np.ndarray, "N 3"]:
        """World points in the frame of the object that each belongs to.

        Args:
            instances: ids from 1.
        """
        yaws = np.array([placed.yaw for placed in self.objects])[instances - 1]
        x, y, z = (points - np.array([placed.position for placed in self.objects])[instances - 1]).T
        cos, sin = np.cos(yaws), np.sin(yaws)
        return np.stack([cos * x + sin * y, cos * y - sin * x, z], -1)


def make_room(seed: int) -> Room:
    """The room of a seed: 24 to 30 instances, six of them floor, ceiling and walls."""
    rng = np.random.default_rng(seed)
    size = (float(rng.uniform(5.2, 6.0)), float(rng.uniform(4.8, 5.4)), 2.6)
    shell = [Placed(thing, (0.0, 0.0, 0.0)) for thing in _shell(rng, size)]
    wanted = int(rng.integers(24, 31)) - len(shell)
    return Room(size, (*shell, *furnish(rng, size, wanted)))


def _shell(rng: np.random.Generator, size: tuple[float, float, float]) -> Sequence[Thing]:
    width, depth, height = size
    floor, color = _FLOORS[int(rng.integers(len(_FLOORS)))], _WALL_COLORS[int(rng.integers(len(_WALL_COLORS)))]
    x, y = width / 2 + _BEYOND, depth / 2 + _BEYOND
    return [
        Thing("floor", (Part("floor", quad((-x, -y, 0), (2 * x, 0, 0), (0, 2 * y, 0)), floor),)),
        Thing(
            "ceiling", (Part("ceiling", quad((-x, -y, height), (2 * x, 0, 0), (0, 2 * y, 0)), Paint((0.9, 0.9, 0.9))),)
        ),
        *(_wall(side, size, color) for side in range(4)),
    ]


def _wall(side: int, size: tuple[float, float, float], color: Color) -> Thing:
    """A wall with its skirting: 0 north (+y), 1 east (+x), 2 south, 3 west."""
    length, distance = (size[0], size[1] / 2) if side % 2 == 0 else (size[1], size[0] / 2)
    reach = length / 2 + _BEYOND
    surface = quad((-reach, distance, -_BEYOND), (2 * reach, 0, 0), (0, 0, size[2] + 2 * _BEYOND))
    skirting = box(length, 0.02, 0.09).moved((0, distance - 0.01, 0))
    # Each wall a shade of its own, as light from a window would make them.
    paint = Paint(shade(color, 1 - 0.05 * side), "plain", scale=0.7)
    yaw = -side * np.pi / 2
    parts = (Part("wall", surface.turned(yaw), paint), Part("skirting", skirting.turned(yaw), Paint((0.85, 0.83, 0.8))))
    return Thing(f"{('north', 'east', 'south', 'west')[side]} wall", parts)
