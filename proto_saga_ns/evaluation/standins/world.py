"""A stand-in's world: all surfaces, what they belong to, and the light on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.evaluation.standins.shapes import Vector, yaw_matrix
from proto_saga_ns.evaluation.standins.textures import Color
from proto_saga_ns.evaluation.standins.things import Part, Placed, names_of


@dataclass(frozen=True)
class Light:
    """Where light comes from.

    Attributes:
        lamps: positions, world frame; a surface is lit by the nearest.
        fades: whether light grows weaker with distance, as a lamp's does and the sun's does not.
        lit: a point is in the light if nothing lies on this much of the way to the lamp.
        sky: colours at the horizon and above one's head, where a ray meets no surface; None where there is no sky.
    """

    lamps: tuple[Vector, ...]
    fades: bool = True
    lit: float = 0.997
    sky: tuple[Color, Color] | None = None

    def nearest(self, points: Float[np.ndarray, "N 3"]) -> Int[np.ndarray, " N"]:
        """Index of the lamp of each point."""
        if len(self.lamps) == 1:
            return np.zeros(len(points), np.int64)
        apart = np.stack([((points - np.array(lamp)) ** 2).sum(-1) for lamp in self.lamps])
        return apart.argmin(0)


@dataclass(frozen=True)
class World:
    """All surfaces, and what they belong to.

    Attributes:
        size: width (x), depth (y) and height (z) in metres.
        objects: what there is; instance ``i`` is ``objects[i - 1]``.
        num_shell: the first so many instances are what the others stand in: floors, ceilings, walls, or the ground.
        light: see there.
    """

    size: tuple[float, float, float]
    objects: tuple[Placed, ...]
    num_shell: int
    light: Light

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
        positions, yaws = self._frames
        x, y, z = (points - positions[instances - 1]).T
        cos, sin = np.cos(yaws[instances - 1]), np.sin(yaws[instances - 1])
        return np.stack([cos * x + sin * y, cos * y - sin * x, z], -1)

    @cached_property
    def _frames(self) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, " T"]]:
        positions = np.array([placed.position for placed in self.objects])
        return positions, np.array([placed.yaw for placed in self.objects])
