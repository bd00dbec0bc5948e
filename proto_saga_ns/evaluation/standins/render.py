"""Ray casting: colours, instances, parts and depth of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.room import Room
from proto_saga_ns.evaluation.standins.textures import Painter

if TYPE_CHECKING:
    from proto_saga_ns.export.videos.turntable import PinholeLens

_AMBIENT, _LAMP = 0.45, 0.75
_LAMP_OFFSETS = np.array([(-0.2, -0.2, 0.0), (0.2, -0.2, 0.0), (-0.2, 0.2, 0.0), (0.2, 0.2, 0.0)])
"""The lamp is as large as this: each sample of a pixel sees another point of it, which makes shadows soft."""
_LIT = 0.997
"""A point is in the light if nothing lies on this much of the way to the lamp."""
_GAMMA = 1 / 1.6


@dataclass(frozen=True)
class Picture:
    """A rendered view.

    Attributes:
        rgb: colours.
        instances: ids from 1; 0 where nothing is seen.
        parts: ids of the finer ground truth from 1; 0 where nothing is seen.
        depth: metres along the optical axis; 0 where nothing is seen.
        points: what the pixel's centre shows, world frame.
    """

    rgb: UInt8[np.ndarray, "H W 3"]
    instances: Int32[np.ndarray, "H W"]
    parts: Int32[np.ndarray, "H W"]
    depth: Float[np.ndarray, "H W"]
    points: Float[np.ndarray, "H W 3"]


class Renderer:
    """Rays against the triangles of a room.

    Args:
        room: what is seen.
        samples: rays along each side of a pixel for its colour; ids and depth are always those of its centre.

    Raises:
        ProtoSagaError: Embree is not installed.
    """

    def __init__(self, room: Room, samples: int = 2) -> None:
        self._room, self._samples = room, samples
        self._corners = room.triangles
        sides = self._corners[:, 1:] - self._corners[:, :1]
        normals = np.cross(sides[:, 0], sides[:, 1])
        # Triangles at the poles of round things have no area and are never hit.
        self._normals = normals / np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12)
        self._painter = Painter([part.paint for _, part in room.parts])
        self._lamp = np.array([0.3, -0.2, room.size[2] - 0.1])
        self._scene = _embree_scene(self._corners)

    def render(self, lens: PinholeLens, pose: Float[np.ndarray, "4 4"]) -> Picture:
        """One view.

        Args:
            pose: camera to world, OpenGL axes.
        """
        shape = (lens.height, lens.width)
        origin, directions = pose[:3, 3], pixel_rays(lens, pose, 0.5, 0.5)
        faces, depth = self._cast(origin, directions)
        parts = np.where(faces < 0, 0, self._room.part_of_face[faces]).astype(np.int32)
        points = origin + depth[:, None] * directions
        colors = self._colors(lens, pose).reshape(*shape, 3)
        return Picture(
            (colors * 255).round().astype(np.uint8),
            self._room.instance_of_part[parts].reshape(shape),
            parts.reshape(shape),
            depth.reshape(shape),
            points.reshape(*shape, 3),
        )

    def _colors(self, lens: PinholeLens, pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "N 3"]:
        total = np.zeros((lens.height * lens.width, 3))
        places = (np.arange(self._samples) + 0.5) / self._samples
        for index, (dx, dy) in enumerate((x, y) for y in places for x in places):
            lamp = self._lamp + (_LAMP_OFFSETS[index % len(_LAMP_OFFSETS)] if self._samples > 1 else 0.0)
            total += self._shade(pose[:3, 3], pixel_rays(lens, pose, dx, dy), lamp)
        return total / len(places) ** 2

    def _shade(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "N 3"], lamp: Float[np.ndarray, " 3"]
    ) -> Float[np.ndarray, "N 3"]:
        """Colours in [0, 1]: the paint under a lamp with shadows, and more light from above than from below."""
        faces, depth = self._cast(origin, directions)
        points = origin + depth[:, None] * directions
        parts = self._room.part_of_face[faces]
        albedo = self._painter.colors(self._room.to_objects(points, self._room.instance_of_part[parts]), parts - 1)
        normals = self._normals[faces]
        normals = normals * -np.sign((normals * directions).sum(-1, keepdims=True))
        to_lamp = lamp - points
        distance = np.linalg.norm(to_lamp, axis=-1)
        slope = ((normals * to_lamp).sum(-1) / distance).clip(0)
        direct = _LAMP * slope * self._is_lit(lamp, -to_lamp) / (1 + (distance / 4) ** 2)
        light = _AMBIENT * (0.8 + 0.2 * normals[:, 2] + 0.12 * normals[:, 0]) + direct
        light = np.maximum(light, self._painter.glows(parts - 1))
        colors = (albedo * light[:, None]).clip(0, 1) ** _GAMMA
        return np.where(faces[:, None] < 0, 0.0, colors)

    def _is_lit(self, lamp: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
        """1 where the first thing on the way from the lamp is the point itself, at distance 1, else 0."""
        return (self._cast(lamp, directions)[1] > _LIT).astype(float)

    def _cast(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "N 3"]
    ) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """The first triangle on each ray (-1 for none) and how many lengths of the direction away it is."""
        starts = np.broadcast_to(origin.astype(np.float32), directions.shape)
        faces = self._scene.run(np.ascontiguousarray(starts), directions.astype(np.float32))
        # Embree counts in 32 bits: the distance is taken from the plane of the triangle.
        normals = self._normals[faces]
        along = (normals * directions).sum(-1)
        away = (normals * (self._corners[faces, 0] - origin)).sum(-1)
        is_hit = (faces >= 0) & (np.abs(along) > 1e-12)
        return np.where(is_hit, faces, -1), np.divide(away, along, out=np.zeros(len(away)), where=is_hit)


def pixel_rays(lens: PinholeLens, pose: Float[np.ndarray, "4 4"], dx: float, dy: float) -> Float[np.ndarray, "N 3"]:
    """World directions through a place in each pixel, row by row; a length of 1 along the optical axis.

    Args:
        pose: camera to world, OpenGL axes.
        dx: place in the pixel from its left border, in [0, 1].
        dy: the same from its upper border.
    """
    x = (np.arange(lens.width) + dx - lens.width / 2) / lens.focal
    y = (lens.height / 2 - np.arange(lens.height) - dy) / lens.focal
    grid = np.stack([*np.meshgrid(x, y), -np.ones((lens.height, lens.width))], -1).reshape(-1, 3)
    return grid @ pose[:3, :3].T


def _embree_scene(corners: Float[np.ndarray, "F 3 3"]) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise ProtoSagaError(
            "Rendering stand-ins needs Embree, which is not installed here. pip install embreex, then run the same "
            "command again."
        ) from error
    scene = EmbreeScene()
    TriangleMesh(scene=scene, vertices=np.ascontiguousarray(corners, np.float32))
    return scene
