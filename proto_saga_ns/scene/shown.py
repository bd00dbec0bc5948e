"""A scene at another level than that of its objects: groups of instances, or the parts that they consist of.

A way of looking: instances, names, selections and corrections stay what they are. What a person has joined stays
together as a group does, and what a person has cut apart (``scene/cuts.py``) is not taken apart further.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from scipy.spatial import KDTree
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.rasterize.sparse_channels import BlendedChannels, SparseChannels, strongest_own
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.granularity import OBJECTS, told_apart
from proto_saga_ns.recognition.levels import Levels
from proto_saga_ns.scene.corrections import all_merged
from proto_saga_ns.scene.segmented_scene import SegmentedScene


def levels_of(scene: SegmentedScene) -> Levels:
    """The hierarchy of a scene.

    Raises:
        ProtoSagaError: it has none.
    """
    if scene.levels is None:
        raise ProtoSagaError(
            "This segmentation has no parts and groups: only association by consensus with votes finds them. Run "
            "`proto-saga associate --strategy consensus`, or stay at the level of objects."
        )
    return scene.levels


def at_granularity(scene: SegmentedScene, granularity: float, num_gaussians: int | None = None) -> SegmentedScene:
    """The scene looked at with a granularity in [0, 1]; 0.5 shows objects.

    Args:
        scene: to be looked at.
        granularity: of the level.
        num_gaussians: of the model, for callers that may not show objects in place of the parts of other Gaussians.

    Raises:
        ProtoSagaError: another level is asked for than that of the objects, and there is none, or none of these
            Gaussians.
    """
    known = None if granularity == OBJECTS else len(levels_of(scene).part_of_gaussian)
    if granularity > OBJECTS and num_gaussians not in (None, known):
        raise ProtoSagaError(
            f"The parts of this segmentation are of {known} Gaussians, and now there are {num_gaussians}: training "
            "went on. Run `proto-saga associate` again, or stay at the level of objects or groups."
        )
    return scene if granularity == scene.display.granularity else scene.with_display(granularity=granularity)


def group_of(scene: SegmentedScene, ids: Iterable[int]) -> tuple[int, ...]:
    """All instances that are shown as one with some of ``ids``, ascending."""
    heads = group_heads(scene)
    wanted = {heads[number] for number in ids}
    return tuple(number for number in scene.ids if heads[number] in wanted)


def all_groups(scene: SegmentedScene) -> dict[int, tuple[int, ...]]:
    """The members of each group, ascending, by its head; what is in no other group is one of its own."""
    groups: dict[int, tuple[int, ...]] = {}
    for number, head in group_heads(scene).items():
        groups[head] = (*groups.get(head, ()), number)
    return groups


def group_heads(scene: SegmentedScene) -> dict[int, int]:
    """The instance as which each instance is shown: the largest of those that are one at this level."""
    heads = {number: number for number in scene.ids}
    if scene.levels is None:
        return heads
    owner = {member: scene.owners.get(member, member) for member in scene.member_ids}
    joins = [(a, b) for a, b in scene.levels.joined_groups(scene.display.granularity) if a in owner and b in owner]
    seen = {member for join in joins for member in join}
    joins += [(cut.member, cut.new_member) for cut in scene.cuts if cut.member in seen]  # lies in the same masks
    rank = {instance.id: (-instance.pixels, instance.id) for instance in scene.instances}
    for a, b in joins:
        pair = {heads[owner[a]], heads[owner[b]]}
        kept = min(pair, key=rank.__getitem__)
        heads = {number: kept if head in pair else head for number, head in heads.items()}
    return heads


def shown_parts(scene: SegmentedScene, num_gaussians: int) -> dict[int, int]:
    """What each part is shown as at this level: the member that it belongs to, or a part of its own.

    None but the former if the Gaussians are others now (training went on), as with votes.
    """
    levels, granularity = scene.levels, scene.display.granularity
    if levels is None or granularity <= OBJECTS or len(levels.part_of_gaussian) != num_gaussians:
        return {}
    member_of = levels.joined_parts(OBJECTS)
    left_alone = {cut.member for cut in scene.cuts}
    shown = levels.joined_parts(granularity)
    return {part: shown[part] for part, member in member_of.items() if member not in left_alone}


def part_channels(
    scene: SegmentedScene, num_gaussians: int, device: torch.device | str = "cpu"
) -> SparseChannels | None:
    """One channel to render for each part that is shown apart, or whose member has such parts; None if there is none.

    A Gaussian is 1 in the channel of its part. ``shown_ids`` takes what is rendered.
    """
    shown = shown_parts(scene, num_gaussians)
    columns = {number: index for index, (_, number) in enumerate(_channels(scene, shown))}
    if scene.levels is None or not columns:  # as in every picture at the level of the objects
        return None
    table = torch.full((max(shown) + 1,), -1, dtype=torch.int32)
    for part, number in shown.items():
        table[part] = columns.get(number, -1)
    labels = _looked_up(table, scene.levels.part_of_gaussian, -1)[:, None].to(device)
    return SparseChannels(labels, (labels >= 0).float(), len(columns))


def _channels(scene: SegmentedScene, shown: dict[int, int]) -> list[tuple[int, int]]:
    """The member of each channel and what it is shown as; that of the member itself is the member's first."""
    return [(member, number) for member, numbers in _choices(scene, shown) for number in numbers]


def shown_ids(
    scene: SegmentedScene,
    members: Int32[Tensor, "*shape"],
    parts: BlendedChannels | Float[Tensor, "*shape C"] | None,
) -> Int32[Tensor, "*shape"]:
    """The ids of a map of members at this level; 0 stays 0.

    A group has the id of its largest instance, the largest part of an instance that of the instance, all others ids of
    their own. Finer maps are those of the objects, with more borders; coarser ones have fewer.

    Args:
        scene: with the granularity in its display.
        members: as ``scene.recognise`` gives them.
        parts: ``part_channels``, rendered; None if there are none.
    """
    heads = group_heads(scene)
    owners = [
        heads.get(scene.owners.get(member, member), member) for member in range(max(scene.member_ids, default=0) + 1)
    ]
    labels = torch.tensor(owners, dtype=torch.int32, device=members.device)[members.long()]
    if parts is None or scene.levels is None:
        return labels
    channels = _channels(scene, shown_parts(scene, len(scene.levels.part_of_gaussian)))
    ids = [owners[member] if number == member else number for member, number in channels]
    of_members = [member for member, _ in channels]
    group, known = (torch.tensor(column, dtype=torch.int32, device=members.device) for column in (of_members, ids))
    found = strongest_own(parts, group, members)
    return known[found.clamp_min(0)].where(found >= 0, labels)


def joined_as_shown(scene: SegmentedScene) -> SegmentedScene:
    """The scene with each group of this level merged into one object, as a person would do it.

    The scene itself if no group is shown: at the level of the objects and above there is none.
    """
    return all_merged(scene, [group for group in all_groups(scene).values() if len(group) > 1])


def count_shown(scene: SegmentedScene) -> int:
    """How many things are told apart at this level."""
    return len({*group_heads(scene).values()}) + sum(map(len, parts_apart(scene).values()))


def parts_apart(scene: SegmentedScene) -> dict[int, tuple[int, ...]]:
    """Instances that are shown in parts at this level, and the ids of all but the largest, which has their own id."""
    shown = {} if scene.levels is None else shown_parts(scene, len(scene.levels.part_of_gaussian))
    apart: dict[int, tuple[int, ...]] = {}
    for member, numbers in _choices(scene, shown):
        owner = scene.owners.get(member, member)
        apart[owner] = tuple(sorted((*apart.get(owner, ()), *numbers[1:])))
    return apart


def _choices(scene: SegmentedScene, shown: dict[int, int]) -> list[tuple[int, list[int]]]:
    """Members with several parts at this level, and what these are shown as, the member itself first."""
    member_of = {} if scene.levels is None else scene.levels.joined_parts(OBJECTS)
    numbers: dict[int, set[int]] = {}
    for part, number in shown.items():
        numbers.setdefault(member_of[part], set()).add(number)
    # A member has the smallest id of its parts: instances are numbered first.
    return [(member, sorted(found)) for member, found in sorted(numbers.items()) if len(found) > 1]


def _looked_up(table: Tensor, parts: Int32[Tensor, " N"], otherwise: int) -> Tensor:
    table[0] = otherwise  # a Gaussian without part
    inside = parts < len(table)
    return torch.where(inside, table[torch.where(inside, parts, 0).long()], otherwise)


def instances_at_level(
    scene: SegmentedScene, embeddings: Float[Tensor, "N D"], means: Float[Tensor, "N 3"]
) -> GaussianInstances:
    """What each Gaussian of a model is shown as; its confidence is that of the object."""
    found = scene.members_of(embeddings)
    return replace(found, ids=shown_gaussians(scene, found.ids, means))


def shown_gaussians(
    scene: SegmentedScene, members: Int32[Tensor, " N"], means: Float[Tensor, "N 3"] | None = None
) -> Int32[Tensor, " N"]:
    """The ids of Gaussians, by the rule of ``shown_ids``: as in a map that each of them paints alone.

    But a Gaussian may belong to a member and have no part of it: that of another member, or none. Alone it would paint
    the largest part. With ``means`` it goes, at every level, with the nearest Gaussian of its member that has a part of
    it: in a rendered map that one paints the same pixels, and decides.

    Args:
        scene: with the granularity in its display.
        members: of the Gaussians, as ``scene.members_of`` gives them; on the CPU.
        means: their centres; one that is NaN or infinite counts as a place like any other.
    """
    labels = shown_ids(scene, members, None)
    shown = shown_parts(scene, len(members))
    if scene.levels is None or not shown:
        return labels
    member_of = scene.levels.joined_parts(OBJECTS)
    table = torch.zeros(max(shown) + 2, 2, dtype=torch.int32)
    for part, number in shown.items():
        table[part] = torch.tensor((member_of[part], number), dtype=torch.int32)
    rows = table[scene.levels.part_of_gaussian.clamp(max=len(table) - 1).long()]
    if means is not None:
        rows = rows[_nearest_with_part(members, rows[:, 0], means)]
    member, number = rows.unbind(dim=1)
    return torch.where((member == members) & (number != member), number, labels)


def _nearest_with_part(
    members: Int32[Tensor, " N"], member_of_part: Int32[Tensor, " N"], means: Float[Tensor, "N 3"]
) -> Int64[Tensor, " N"]:
    """For each Gaussian itself, or, if its part is of another member, the nearest of its member with a part of it."""
    nearest = torch.arange(len(members))
    places = means.detach().cpu().double().nan_to_num().clamp(-1e30, 1e30)
    for member in member_of_part.unique().tolist():
        mine, agreed = members == member, member_of_part == member
        sure, stray = (torch.nonzero(mask)[:, 0] for mask in (mine & agreed, mine & ~agreed))
        if member and len(sure) and len(stray):
            found = KDTree(places[sure].numpy()).query(places[stray].numpy())[1]
            nearest[stray] = sure[torch.from_numpy(found)]
    return nearest


@dataclass(frozen=True)
class ShownInstance:
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


def shown_instances(scene: SegmentedScene, shown: Int32[Tensor, " N"]) -> tuple[ShownInstance, ...]:
    """All that is told apart at the level of the scene's display, in the order of the ids.

    Args:
        scene: with the granularity in its display.
        shown: what each Gaussian is shown as (``shown_gaussians``).
    """
    groups, apart = all_groups(scene), parts_apart(scene)
    counts = Counter(shown.tolist())
    things = []
    for instance in joined_as_shown(scene).instances:
        if instance.id not in apart:
            things.append(ShownInstance(**asdict(instance), objects=groups[instance.id]))
            continue
        for number, part in enumerate((instance.id, *apart[instance.id]), start=1):
            name = f"{instance.name} part {number}"
            things.append(ShownInstance(part, name, None, None, counts[part], None, (instance.id,)))
    return tuple(sorted(things, key=lambda thing: thing.id))


def table_at_level(scene: SegmentedScene, shown: Int32[Tensor, " N"]) -> dict[str, Any]:
    """Content of ``instances.json`` for what ``shown_instances`` gives; that of ``to_json`` at the level of objects."""
    table, granularity = scene.to_json(), scene.display.granularity
    if granularity == OBJECTS:
        return table
    level = {"level": told_apart(granularity), "granularity": granularity}
    return {**table, **level, "instances": [thing.to_json() for thing in shown_instances(scene, shown)]}
