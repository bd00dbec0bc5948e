"""Things: objects of named parts, before and after they are put into a room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proto_saga_ns.evaluation.standins.shapes import Mesh
from proto_saga_ns.evaluation.standins.textures import Paint


@dataclass(frozen=True)
class Part:
    """A piece of an object that a finer ground truth tells apart."""

    name: str
    mesh: Mesh
    """in the frame of the object"""
    paint: Paint


@dataclass(frozen=True)
class Thing:
    """An object in a frame of its own: it stands on the origin, and its front looks along -y."""

    category: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> tuple[float, float, float]:
        """Width, depth and height in metres."""
        vertices = np.concatenate([part.mesh.vertices for part in self.parts])
        width, depth, height = vertices.max(0) - vertices.min(0)
        return float(width), float(depth), float(height)


@dataclass(frozen=True)
class Placed:
    """A thing in the room.

    Attributes:
        position: of the thing's origin, metres, world frame.
        yaw: radians, from x to y.
    """

    thing: Thing
    position: tuple[float, float, float]
    yaw: float = 0.0

    def local(self, offset: tuple[float, float, float], thing: Thing, yaw: float = 0.0) -> Placed:
        """Another thing at a place given in this one's frame."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = offset
        at = (cos * x - sin * y, sin * x + cos * y, z)
        shifted = tuple(float(a + b) for a, b in zip(self.position, at, strict=True))
        return Placed(thing, (shifted[0], shifted[1], shifted[2]), self.yaw + yaw)


def names_of(categories: Sequence[str]) -> list[str]:
    """Names that differ: ``cup``, ``cup #2``, ..."""
    seen: dict[str, int] = {}
    names = []
    for category in categories:
        seen[category] = seen.get(category, 0) + 1
        names.append(category if seen[category] == 1 else f"{category} #{seen[category]}")
    return names
