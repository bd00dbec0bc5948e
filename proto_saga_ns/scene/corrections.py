"""Corrections that a person makes to a segmented scene. Each gives a new scene and leaves the old one as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.scene.cuts import cut_between, cut_members
from proto_saga_ns.scene.segmented_scene import Instance, SegmentedScene

NEIGHBOURS = 8
INDISTINGUISHABLE = 1e-2
"""Length of the difference of two unit features under which they are the same; the cosine hides smaller ones."""


def renamed(scene: SegmentedScene, instance_id: int, name: str) -> SegmentedScene:
    """One instance under another name; an empty one brings the default back.

    Raises:
        KeyError: no such instance.
    """
    scene.members(instance_id)
    given = "" if name.strip() == Instance(instance_id).name else name.strip()
    if given == scene.names.get(instance_id, ""):
        return scene
    names = {number: known for number, known in scene.names.items() if number != instance_id}
    return replace(scene, names={**names, instance_id: given} if given else names)


def merged(scene: SegmentedScene, ids: Sequence[int]) -> SegmentedScene:
    """Several instances as one, which keeps the id of the largest, and its name or the first that was given.

    What the model recognises stays: the merged instance is everywhere where one of them was.

    Raises:
        KeyError: no such instance.
        ValueError: fewer than two of them.
    """
    return all_merged(scene, [ids])


def all_merged(scene: SegmentedScene, groups: Iterable[Sequence[int]]) -> SegmentedScene:
    """Several groups of instances, each ``merged``; no instance is in two. The scene itself if there is no group.

    Raises:
        KeyError: no such instance.
        ValueError: fewer than two of them in a group.
    """
    into: dict[int, int] = {}
    names: dict[int, str] = {}
    for ids in groups:
        together = [scene.instance(number) for number in dict.fromkeys(ids)]
        if len(together) < 2:
            raise ValueError("merging takes at least two instances")
        together.sort(key=lambda instance: (-instance.pixels, instance.id))
        kept, *others = (instance.id for instance in together)
        into |= dict.fromkeys(others, kept)
        given = [scene.names[number] for number in (kept, *others) if number in scene.names]
        names |= {kept: given[0]} if given else {}
    return _joined(scene, into, names) if into else scene


def split(
    scene: SegmentedScene,
    instance_id: int,
    seeds: Float[Tensor, "2 D"],
    embeddings: Float[Tensor, "N D"],
    votes: Float[Tensor, "2 P"] | None = None,
) -> tuple[SegmentedScene, int]:
    """One instance as two, told apart by the features of a point of each.

    The two together are exactly where the instance was. If the points lie in different members, what was merged falls
    apart again, each member to the point that its masks are nearer to. If both lie in the same member, that is cut in
    two (``scene/cuts.py``), and its Gaussians with it.

    Args:
        scene: what to correct.
        instance_id: what to split; the id stays with one of the two.
        seeds: rendered features of two points of the instance, of any length.
        embeddings: of the scene's Gaussians.
        votes: rendered at the two points, where the scene has any.

    Returns:
        The scene, and the new instance's id.

    Raises:
        KeyError: no such instance.
        ValueError: a point shows something else, or both look the same to the model; one without trained embeddings
            takes apart only what was merged.
    """
    members = scene.members(instance_id)
    points = F.normalize(seeds.detach().float().cpu(), dim=1)
    first, second = scene.recognise(points, torch.ones(2), votes)[0].tolist()
    if not {first, second}.issubset(members):
        raise ValueError("one of the points shows something else")
    if first == second and not points.any():
        raise ValueError("the embedding was never trained, so that only what was merged can be taken apart again")
    if points.any() and float((points[0] - points[1]).norm()) < INDISTINGUISHABLE:
        raise ValueError("the two points have the same feature")
    sides = {member: _nearer_point(scene, member, points) for member in members} | {first: 0, second: 1}
    if first == second:
        new_member = scene.largest_id + 1
        scene = _with_cut(scene, first, new_member, points, embeddings)
        sides |= {first: 0, new_member: 1}
    return _separated(scene, instance_id, sides)


def fragments(
    scene: SegmentedScene,
    means: Float[Tensor, "N 3"],
    gaussians: GaussianInstances,
    max_share: float,
    targets: Collection[int] = (),
) -> dict[int, int]:
    """Small instances, each with the instance that lies around most of its Gaussians.

    Args:
        scene: where to look.
        means: centres of the Gaussians.
        gaussians: which instance each belongs to.
        max_share: an instance of at most this share of its neighbour's pixels, and of fewer, is a fragment of it.
        targets: only what lies around these is looked for; none means all instances.

    Returns:
        The neighbour of each fragment.
    """
    owned = np.flatnonzero(gaussians.ids.numpy())
    if len(owned) == 0:
        return {}
    ids = gaussians.ids.numpy()[owned]
    tree = KDTree(means.detach().cpu().numpy()[owned])
    pixels = {instance.id: instance.pixels for instance in scene.instances}
    found = {number: _neighbour(tree, ids, number) for number in scene.ids}
    return {
        number: neighbour
        for number, neighbour in found.items()
        if neighbour in pixels
        and pixels[number] < pixels[neighbour]
        and pixels[number] <= max_share * pixels[neighbour]
        and (not targets or neighbour in targets)
    }


def absorbed(scene: SegmentedScene, into: Mapping[int, int]) -> SegmentedScene:
    """Fragments merged into what they are fragments of; a fragment of a fragment goes all the way.

    Raises:
        KeyError: no such instance.
        ValueError: an instance would end in itself.
    """
    if not into:
        return scene
    for number in {*into, *into.values()}:
        scene.members(number)
    return _joined(scene, {fragment: _end_of_chain(into, fragment) for fragment in into}, {})


def _end_of_chain(into: Mapping[int, int], start: int) -> int:
    end = start
    for _ in range(len(into)):
        end = into[end]
        if end not in into:
            return end
    raise ValueError(f"instance {start} would be absorbed into itself")


def _neighbour(tree: KDTree, ids: np.ndarray, instance: int) -> int:
    """The other instance that most neighbours of an instance's Gaussians belong to; 0 if there is none."""
    mine = np.flatnonzero(ids == instance)
    if len(mine) == 0:
        return 0
    _, indices = tree.query(tree.data[mine], k=min(NEIGHBOURS + 1, tree.n))
    around = ids[indices.reshape(-1)]
    others = np.bincount(around[around != instance])
    return int(others.argmax()) if len(others) else 0


def _joined(scene: SegmentedScene, into: Mapping[int, int], names: Mapping[int, str]) -> SegmentedScene:
    """Instances moved into others, which may get names."""
    owners = {
        member: into.get(owner, owner) for member in scene.member_ids for owner in [scene.owners.get(member, member)]
    }
    left = {number: name for number, name in scene.names.items() if number not in into}
    return _with_owners(scene, owners, {**left, **names})


def _separated(scene: SegmentedScene, instance_id: int, sides: Mapping[int, int]) -> tuple[SegmentedScene, int]:
    """Members of one instance on two sides as two instances; the side with the member of the instance's id keeps it."""
    leaving = [member for member, side in sides.items() if side != sides[instance_id]]
    new_id = max(leaving, key=lambda member: (scene.size([member]), -member))
    owners = {**scene.owners, **dict.fromkeys(sides, instance_id), **dict.fromkeys(leaving, new_id)}
    return _with_owners(scene, owners, dict(scene.names)), new_id


def _with_owners(scene: SegmentedScene, owners: Mapping[int, int], names: Mapping[int, str]) -> SegmentedScene:
    owners = {member: owner for member, owner in owners.items() if member != owner}
    changed = replace(scene, owners=owners, names=names)
    return replace(changed, display=scene.display.limited_to(changed.ids))


def _nearer_point(scene: SegmentedScene, member: int, points: Float[Tensor, "2 D"]) -> int:
    """Which of two points the masks of a member are nearer to; 0 if it has none."""
    mine = scene.cut_masks.member == member
    mean = scene.masks.features[mine].T @ scene.masks.pixels[mine].float()
    return int(mean @ (points[1] - points[0]) > 0)


def _with_cut(
    scene: SegmentedScene, member: int, new_member: int, points: Float[Tensor, "2 D"], embeddings: Float[Tensor, "N D"]
) -> SegmentedScene:
    mine = scene.cut_masks.member == member
    cut = cut_between(member, new_member, points, scene.masks.features[mine], scene.masks.pixels[mine])
    gaussians = scene.gaussians
    if gaussians is not None and len(gaussians.ids) == len(embeddings):
        gaussians = replace(gaussians, ids=cut_members([cut], gaussians.ids, embeddings.detach().cpu()))
    return replace(scene, cuts=(*scene.cuts, cut), gaussians=gaussians)
