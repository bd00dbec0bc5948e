"""Triangle meshes of the simple solids that furniture is made of. Metres, z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

Vector = tuple[float, float, float]

SIDES = 32
"""Sides of what is round."""


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: positions.
        faces: three indices of vertices each; their order does not matter, both sides are seen.
    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]

    def moved(self, offset: Vector) -> Mesh:
        """The mesh at another place."""
        return Mesh(self.vertices + np.asarray(offset), self.faces)

    def turned(self, yaw: float) -> Mesh:
        """The mesh turned about the z axis by an angle in radians, from x to y."""
        return Mesh(self.vertices @ yaw_matrix(yaw).T, self.faces)

    def tilted(self, angle: float) -> Mesh:
        """The mesh turned about the y axis by an angle in radians, from z to x."""
        cos, sin = np.cos(angle), np.sin(angle)
        return Mesh(self.vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T, self.faces)


def yaw_matrix(yaw: float) -> Float[np.ndarray, "3 3"]:
    """The rotation about the z axis by an angle in radians, from x to y."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def box(width: float, depth: float, height: float) -> Mesh:
    """A box along x, y and z that stands on the origin in the middle of its base."""
    corners = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [0.0, 1.0], indexing="ij"), -1).reshape(-1, 3)
    quads = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    return Mesh(corners * np.array([width, depth, height]), _triangles(np.array(quads)))


def quad(corner: Vector, first: Vector, second: Vector) -> Mesh:
    """A parallelogram with two sides from a corner."""
    start, u, v = (np.asarray(vector, float) for vector in (corner, first, second))
    return Mesh(np.stack([start, start + u, start + u + v, start + v]), _triangles(np.array([(0, 1, 2, 3)])))


def turned_solid(profile: Sequence[tuple[float, float]], sides: int = SIDES) -> Mesh:
    """What a lathe makes: a profile of (radius, height) turned about the z axis; a radius of 0 closes an end."""
    radii, heights = np.array(profile, float).T
    angles = 2 * np.pi * np.arange(sides) / sides
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    flat = radii[:, None, None] * ring
    vertices = np.concatenate([flat, np.broadcast_to(heights[:, None, None], (*flat.shape[:2], 1))], -1)
    row, column = np.meshgrid(np.arange(len(radii) - 1), np.arange(sides), indexing="ij")
    here, there = row * sides + column, row * sides + (column + 1) % sides
    quads = np.stack([here, there, there + sides, here + sides], -1).reshape(-1, 4)
    return Mesh(vertices.reshape(-1, 3), _triangles(quads))


def cylinder(radius: float, height: float) -> Mesh:
    """A closed cylinder that stands on the origin."""
    return turned_solid([(0, 0), (radius, 0), (radius, height), (0, height)])


def ellipsoid(width: float, depth: float, height: float) -> Mesh:
    """An ellipsoid of these diameters that stands on the origin."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, SIDES // 2 + 1)
    ball = turned_solid(list(zip(np.cos(angles).clip(0), np.sin(angles) + 1, strict=True)))
    return Mesh(ball.vertices * np.array([width, depth, height]) / 2, ball.faces)


def ring(radius: float, thickness: float) -> Mesh:
    """A torus about the y axis with its middle at the origin.

    Args:
        radius: of the line in the middle of the tube.
        thickness: diameter of the tube.
    """
    around, tube = 16, 8
    angles, turns = 2 * np.pi * np.arange(around) / around, 2 * np.pi * np.arange(tube) / tube
    reach = radius + thickness / 2 * np.cos(turns)
    across = np.broadcast_to(thickness / 2 * np.sin(turns), (around, tube))
    vertices = np.stack([np.cos(angles)[:, None] * reach, across, np.sin(angles)[:, None] * reach], -1)
    row, column = np.meshgrid(np.arange(around), np.arange(tube), indexing="ij")
    corners = [(row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1)]
    quads = np.stack([r % around * tube + c % tube for r, c in corners], -1).reshape(-1, 4)
    return Mesh(vertices.reshape(-1, 3), _triangles(quads))


def _triangles(quads: Int[np.ndarray, "Q 4"]) -> Int[np.ndarray, "F 3"]:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
