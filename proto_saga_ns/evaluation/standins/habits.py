"""Mistakes that a simulated segmenter makes alike in all views, as a real one does.

A share of the objects has a seam: it is always split in the same place, along a plane that is fixed in the object's own
frame, or into fixed groups of its parts. A share of the objects that lie on others is always one mask with what it lies
on. What a segmenter with such habits takes for objects is a function of the surface alone, so two views of the same
surface agree about it. Chance is drawn for each object on its own: those of one do not change those of another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int32

from proto_saga_ns.evaluation.standins.options import SegmenterOptions
from proto_saga_ns.evaluation.standins.render import Picture
from proto_saga_ns.evaluation.standins.world import World

_STREAM = 6
_PIECES = 3
"""No object is split into more."""
_SAMPLES = 256
_CUT = (0.3, 0.7)
"""A plane leaves at least about the smaller of these shares of a surface on either side."""
_TOUCH = 0.04
"""An object lies on what is no farther than this below it, in metres."""
_FOOT = 0.005
"""What is no higher above its bottom is the foot of an object, in metres."""
_FLAT = 0.05
"""What is no higher than this may go into the ground or a floor that it lies on; higher things stand out from it."""


@dataclass(frozen=True)
class Habits:
    """What the segmenter takes for one object, on all surfaces.

    Attributes:
        piece_of_part: of each part id; all 0 where an object is split by a plane or not at all.
        planes: normal and offset in the frame of each instance; the piece is 1 where ``normal @ point > offset``. A
            normal of 0 splits nothing.
        taken: (T + 1, 3) the number that pixels of each piece of each instance get.
    """

    piece_of_part: Int[np.ndarray, " P"]
    planes: Float[np.ndarray, "T 4"]
    taken: Int[np.ndarray, "T 3"]

    def objects(self, world: World, picture: Picture) -> Int32[np.ndarray, "H W"]:
        """What is taken for one object in a view: ids from 1, 0 where nothing is seen."""
        instances = picture.instances.ravel()
        pieces = self.pieces(world, picture.points.reshape(-1, 3), instances, picture.parts.ravel())
        return self.taken[instances, pieces].reshape(picture.instances.shape).astype(np.int32)

    def pieces(
        self,
        world: World,
        points: Float[np.ndarray, "N 3"],
        instances: Int[np.ndarray, " N"],
        parts: Int[np.ndarray, " N"],
    ) -> Int[np.ndarray, " N"]:
        """Number of the piece of its object that each point lies on, from 0.

        Args:
            points: on surfaces, world frame.
            instances: of each point; 0 is nothing.
            parts: of each point; 0 is nothing.
        """
        plane = self.planes[instances]
        local = world.to_objects(points, np.maximum(instances, 1))
        beyond = (plane[:, :3] * local).sum(-1) > plane[:, 3]
        return np.where(plane[:, :3].any(-1), beyond, self.piece_of_part[parts])


def form_habits(world: World, options: SegmenterOptions, seed: int) -> Habits:
    """Draw where a segmenter always splits and what it always joins."""
    piece_of_part = np.zeros(len(world.parts) + 1, np.int64)
    planes = np.zeros((world.num_instances + 1, 4))
    parts = _parts_of(world)
    for instance in range(1, world.num_instances + 1):
        rng = _generator(seed, instance, 0)
        if rng.random() >= options.seams:
            continue
        own = parts[instance]
        if len(own) > 1 and rng.random() < options.along_parts:
            number = min(len(own), int(rng.integers(2, _PIECES + 1)))
            piece_of_part[own] = rng.permutation(np.arange(len(own)) % number)
        else:
            planes[instance] = _plane(rng, world, instance)
    alone = np.arange(world.num_instances + 1)[:, None] * _PIECES + np.arange(_PIECES)
    habits = Habits(piece_of_part, planes, np.where(np.arange(len(alone))[:, None] > 0, alone, 0))
    return _joined(world, habits, options.supports, seed) if options.supports else habits


def _generator(seed: int, instance: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAM, instance, purpose])


def _parts_of(world: World) -> list[Int[np.ndarray, " _own"]]:
    """Part ids of each instance, from 0."""
    order = np.argsort(world.instance_of_part, kind="stable")
    return np.split(order, np.bincount(world.instance_of_part).cumsum()[:-1])


def _plane(rng: np.random.Generator, world: World, instance: int) -> Float[np.ndarray, " 4"]:
    """A plane across the surface of an object, in the object's frame."""
    own = np.concatenate([part.mesh.vertices[part.mesh.faces] for part in world.objects[instance - 1].thing.parts])
    area = np.linalg.norm(np.cross(own[:, 1] - own[:, 0], own[:, 2] - own[:, 0]), axis=-1)
    chosen = own[rng.choice(len(own), _SAMPLES, p=area / area.sum())]
    surface = (chosen * rng.dirichlet((1, 1, 1), _SAMPLES)[..., None]).sum(1)
    # Shapes are cut across where they are long.
    _, _, axes = np.linalg.svd(surface - surface.mean(0), full_matrices=False)
    normal = axes[0] + 0.4 * rng.normal(size=3) * (np.linalg.norm(surface - surface.mean(0), axis=0) > 1e-6)
    normal /= np.linalg.norm(normal)
    return np.append(normal, np.quantile(surface @ normal, rng.uniform(*_CUT)))


def _joined(world: World, habits: Habits, share: float, seed: int) -> Habits:
    """Whole objects become one with the piece of another that they lie on."""
    taken = habits.taken.copy()
    whole = ~habits.planes.any(-1)
    whole[world.instance_of_part[habits.piece_of_part > 0]] = False
    supports = find_supports(world)
    # Upwards: what lies on something joined is joined to the same.
    lowest = [0.0, *(placed.position[2] for placed in world.objects)]
    for instance in sorted(supports, key=lambda i: (lowest[i], i)):
        below, part, point = supports[instance]
        if whole[instance] and _generator(seed, instance, 1).random() < share:
            piece = habits.pieces(world, point[None], np.array([below]), np.array([part]))[0]
            taken[instance] = taken[below, piece]
    return Habits(habits.piece_of_part, habits.planes, taken)


def find_supports(world: World) -> dict[int, tuple[int, int, Float[np.ndarray, " 3"]]]:
    """What objects lie on: instance and part below, and where; only of those that lie on something.

    Floors, ceilings, walls and the ground support what is flat alone.
    """
    faces = world.triangles
    tops, owners = faces[..., 2].max(-1), world.instance_of_part[world.part_of_face]
    found = {}
    for instance in range(world.num_shell + 1, world.num_instances + 1):
        own = faces[owners == instance].reshape(-1, 3)
        bottom = own[:, 2].min()
        place = own[own[:, 2] < bottom + _FOOT].mean(0)
        near = np.flatnonzero((tops <= bottom + _FOOT) & (tops >= bottom - _TOUCH) & (owners != instance))
        heights = _heights_at(faces[near], place[:2])
        if not len(near) or heights.max() < bottom - _TOUCH:
            continue
        face = near[heights.argmax()]
        below = int(owners[face])
        if below > world.num_shell or np.ptp(own[:, 2]) <= _FLAT:
            found[instance] = (below, int(world.part_of_face[face]), np.append(place[:2], heights.max()))
    return found


def _heights_at(faces: Float[np.ndarray, "F 3 3"], place: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " F"]:
    """How high triangles are above or below a place on the ground; minus infinity where they are not."""
    start, sides = faces[:, 0], faces[:, 1:] - faces[:, :1]
    area = sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]
    upright = np.abs(area) < 1e-12
    x, y = (place - start[:, :2]).T
    first = (x * sides[:, 1, 1] - y * sides[:, 1, 0]) / np.where(upright, 1, area)
    second = (y * sides[:, 0, 0] - x * sides[:, 0, 1]) / np.where(upright, 1, area)
    inside = ~upright & (first >= 0) & (second >= 0) & (first + second <= 1)
    return np.where(inside, start[:, 2] + first * sides[:, 0, 2] + second * sides[:, 1, 2], -np.inf)
