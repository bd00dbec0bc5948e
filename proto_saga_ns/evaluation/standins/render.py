"""Ray casting: colours, instances, parts and depth of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Int32, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.textures import Painter, noise
from proto_saga_ns.evaluation.standins.world import World

if TYPE_CHECKING:
    from proto_saga_ns.export.videos.turntable import PinholeLens

_AMBIENT, _LAMP = 0.45, 0.75
_LAMP_OFFSETS = np.array([(-0.2, -0.2, 0.0), (0.2, -0.2, 0.0), (-0.2, 0.2, 0.0), (0.2, 0.2, 0.0)])
"""The lamp is as large as this: each sample of a pixel sees another point of it, which makes shadows soft."""
GAMMA = 1 / 1.6
"""Colours of a picture are light to this power."""


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
    """Rays against the triangles of a world.

    Args:
        world: what is seen.
        samples: rays along each side of a pixel for its colour; ids and depth are always those of its centre.

    Raises:
        ProtoSagaError: Embree is not installed.
    """

    def __init__(self, world: World, samples: int = 2) -> None:
        self._world, self._samples = world, samples
        self._corners = world.triangles
        sides = self._corners[:, 1:] - self._corners[:, :1]
        normals = np.cross(sides[:, 0], sides[:, 1])
        # Triangles at the poles of round things have no area and are never hit.
        self._normals = normals / np.linalg.norm(normals, axis=-1, keepdims=True).clip(1e-12)
        self._painter = Painter([part.paint for _, part in world.parts])
        self._lamps = np.array(world.light.lamps)
        self._scene = _embree_scene(self._corners)

    def render(self, lens: PinholeLens, pose: Float[np.ndarray, "4 4"]) -> Picture:
        """One view.

        Args:
            pose: camera to world, OpenGL axes.
        """
        shape = (lens.height, lens.width)
        origin, directions = pose[:3, 3], pixel_rays(lens, pose, 0.5, 0.5)
        faces, depth = self.cast(origin, directions)
        parts = np.where(faces < 0, 0, self._world.part_of_face[faces]).astype(np.int32)
        points = origin + depth[:, None] * directions
        colors = self._colors(lens, pose).reshape(*shape, 3)
        return Picture(
            (colors * 255).round().astype(np.uint8),
            self._world.instance_of_part[parts].reshape(shape),
            parts.reshape(shape),
            depth.reshape(shape),
            points.reshape(*shape, 3),
        )

    def _colors(self, lens: PinholeLens, pose: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "N 3"]:
        total = np.zeros((lens.height * lens.width, 3))
        places = (np.arange(self._samples) + 0.5) / self._samples
        for index, (dx, dy) in enumerate((x, y) for y in places for x in places):
            lamps = self._lamps + (_LAMP_OFFSETS[index % len(_LAMP_OFFSETS)] if self._samples > 1 else 0.0)
            total += self._shade(pose[:3, 3], pixel_rays(lens, pose, dx, dy), lamps)
        return total / len(places) ** 2

    def _shade(
        self, origin: Float[np.ndarray, " 3"], directions: Float[np.ndarray, "N 3"], lamps: Float[np.ndarray, "L 3"]
    ) -> Float[np.ndarray, "N 3"]:
        """Colours in [0, 1]: the paint under a lamp with shadows, and more light from above than from below."""
        light_of = self._world.light
        faces, depth = self.cast(origin, directions)
        points = origin + depth[:, None] * directions
        parts = self._world.part_of_face[faces]
        albedo = self._painter.colors(self._world.to_objects(points, self._world.instance_of_part[parts]), parts - 1)
        normals = self._normals[faces]
        normals = normals * -np.sign((normals * directions).sum(-1, keepdims=True))
        lamp = light_of.nearest(points)
        to_lamp = lamps[lamp] - points
        distance = np.linalg.norm(to_lamp, axis=-1)
        slope = ((normals * to_lamp).sum(-1) / distance).clip(0)
        direct = _LAMP * slope * self._is_lit(lamps[lamp], -to_lamp)
        if light_of.fades:
            direct = direct / (1 + (distance / 4) ** 2)
        light = _AMBIENT * (0.8 + 0.2 * normals[:, 2] + 0.12 * normals[:, 0]) + direct
        light = np.maximum(light, self._painter.glows(parts - 1))
        colors = (albedo * light[:, None]).clip(0, 1) ** GAMMA
        missed = faces < 0
        colors[missed] = self._sky(directions[missed])
        return colors

    def _sky(self, directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3"]:
        """Colours where a ray meets nothing: paler towards the horizon, with clouds; black where there is no sky."""
        if self._world.light.sky is None:
            return np.zeros_like(directions)
        horizon, zenith = (np.array(color) for color in self._world.light.sky)
        ways = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        blue = horizon + ways[:, 2:].clip(0) ** 0.6 * (zenith - horizon)
        clouds = ((noise(ways * (6, 6, 14)) + 0.5 * noise(ways * (13, 13, 30)) - 0.7) * 2).clip(0, 1)[:, None]
        return blue + 0.7 * clouds * (1 - blue)

    def _is_lit(self, lamps: Float[np.ndarray, "N 3"], directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
        """1 where the first thing on the way from the lamp is the point itself, at distance 1, else 0."""
        return (self.cast(lamps, directions)[1] > self._world.light.lit).astype(float)

    def cast(
        self, origin: Float[np.ndarray, "*N 3"], directions: Float[np.ndarray, "N 3"]
    ) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, " N"]]:
        """The first triangle on each ray (-1 for none) and how many lengths of the direction away it is.

        Args:
            origin: of all rays, or of each.
        """
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
