"""What people are told of groups and parts, as ``Instance`` tells of objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32
from torch import Tensor

from proto_saga_ns.colors import instance_colors
from proto_saga_ns.granularity import OBJECTS, told_apart
from proto_saga_ns.scene.segmented_scene import SegmentedScene
from proto_saga_ns.scene.shown_level import all_groups, joined_as_shown, pieces_apart


@dataclass(frozen=True)
class Thing:
    """A group of objects, an object, or a part of one.

    Attributes:
        id: in label maps of its level (``shown_ids``); no other thing of the level has it.
        name: of a group that of its largest object (or the first that was given), as if it were merged; of a part that
            of its object and a number, from 1 for the one with the object's id: "red chair part 2".
        pixels: of its masks in the training views; None for a part, since masks are of objects.
        n_views: training views that contain it; None for a part.
        n_gaussians: Gaussians that belong to it, hardly seen ones too; 0 if that is not known.
        agreement: as of an ``Instance``; None for groups of several objects and for parts.
        objects: ids of all objects of a group; of the one object that it is, or is a part of.
    """

    id: int
    name: str
    pixels: int | None
    n_views: int | None
    n_gaussians: int
    agreement: float | None
    objects: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As an entry of ``instances.json``."""
        color = instance_colors(np.array([self.id]))[0].tolist()
        return {**asdict(self), "objects": list(self.objects), "color": color}


def shown_things(scene: SegmentedScene, shown: Int32[Tensor, " N"]) -> tuple[Thing, ...]:
    """All that is told apart at the level of the scene's display, in the order of the ids.

    Args:
        scene: with the granularity in its display.
        shown: what each Gaussian is shown as (``shown_gaussians``).
    """
    groups, apart = all_groups(scene), pieces_apart(scene)
    counts = Counter(shown.tolist())
    things = []
    for instance in joined_as_shown(scene).instances:
        if instance.id not in apart:
            things.append(Thing(**asdict(instance), objects=groups[instance.id]))
            continue
        for number, piece in enumerate((instance.id, *apart[instance.id]), start=1):
            name = f"{instance.name} part {number}"
            things.append(Thing(piece, name, None, None, counts[piece], None, (instance.id,)))
    return tuple(sorted(things, key=lambda thing: thing.id))


def table_at_level(scene: SegmentedScene, shown: Int32[Tensor, " N"]) -> dict[str, Any]:
    """Content of ``instances.json`` for what ``shown_things`` gives; that of ``to_json`` at the level of objects."""
    table, granularity = scene.to_json(), scene.display.granularity
    if granularity == OBJECTS:
        return table
    level = {"level": told_apart(granularity), "granularity": granularity}
    return {**table, **level, "instances": [thing.to_json() for thing in shown_things(scene, shown)]}
