"""The things of a scene at all its levels, as a page lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from proto_saga_ns.export.web.page import Thing
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.granularity import NAMED, OBJECTS, LevelName, told_apart
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.shown import ShownInstance, at_granularity, instances_at_level, shown_instances


@dataclass(frozen=True)
class SceneLevels:
    """What a scene is told apart into.

    Attributes:
        gaussians: what each Gaussian is of at the finest level, and 0 as confidence where the views hardly see it.
        things: of each level that differs from that of objects, and of objects, coarse before fine. Counts are of all
            Gaussians.
        first: the level that is shown first.
    """

    gaussians: GaussianInstances
    things: Mapping[str, Sequence[Thing]]
    first: LevelName

    def counting(self, units: Int64[np.ndarray, " N"]) -> dict[str, list[Thing]]:
        """The things with the numbers of only these Gaussians, given by the unit of each."""
        counts = Counter(units.tolist())
        return {
            name: [
                Thing(thing.id, thing.name, thing.color, sum(counts[unit] for unit in thing.units), thing.units)
                for thing in things
            ]
            for name, things in self.things.items()
        }


def levels_of_scene(
    scene: SegmentedScene, embeddings: Float[Tensor, "N D"], means: Float[Tensor, "N 3"], granularity: float = OBJECTS
) -> SceneLevels:
    """All levels of a scene that has groups or parts, else that of its objects.

    Args:
        scene: segmented.
        embeddings, means: of its Gaussians.
        granularity: of the level that is shown first; groups or parts are those of this granularity, if it is theirs.
    """
    objects, gaussians = _looked_at(scene, OBJECTS, embeddings, means)
    groups, finest = [], objects
    if scene.levels is not None:
        groups = _looked_at(scene, _granularity("group", granularity), embeddings, means)[0]
        if len(scene.levels.part_of_gaussian) == len(means):  # else training went on since
            finest, gaussians = _looked_at(scene, _granularity("part", granularity), embeddings, means)
    units: dict[int, list[int]] = {}
    for thing in finest:
        units.setdefault(thing.objects[0], []).append(thing.id)
    things = {
        "group": [_thing(group, [unit for number in group.objects for unit in units[number]]) for group in groups],
        "object": [_thing(thing, units[thing.id]) for thing in objects],
        "part": [_thing(part, [part.id]) for part in finest],
    }
    # Levels are nested: as many things as objects are the objects.
    kept = {name: found for name, found in things.items() if name == "object" or len(found) not in (0, len(objects))}
    asked: LevelName = next(name for name in NAMED if told_apart(granularity) == f"{name}s")
    return SceneLevels(gaussians, kept, asked if asked in kept else "object")


def _granularity(level: LevelName, asked: float) -> float:
    """That of a level by its name, unless one is asked for that is of this level."""
    return asked if told_apart(asked) == f"{level}s" else NAMED[level]


def _looked_at(
    scene: SegmentedScene, granularity: float, embeddings: Tensor, means: Tensor
) -> tuple[list[ShownInstance], GaussianInstances]:
    looked = at_granularity(scene, granularity)
    found = instances_at_level(looked, embeddings, means)
    return list(shown_instances(looked, found.ids.to(torch.int32))), found


def _thing(shown: ShownInstance, units: Sequence[int]) -> Thing:
    red, green, blue = (int(value) for value in instance_colors(np.array([shown.id]))[0])
    return Thing(shown.id, shown.name, (red, green, blue), shown.n_gaussians, tuple(sorted(units)))
