"""Corrections that a person makes to a segmented scene. Each gives a new scene and leaves the old one as it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.gaussian_instances import GaussianInstances
from proto_saga_ns.mask_table import MaskTable
from proto_saga_ns.prototypes import MIN_LENGTH
from proto_saga_ns.scene.segmented_scene import Instance, SegmentedScene

SPLIT_ROUNDS = 10
MAX_SEED_VIEWS = 1 << 14
"""As how many views a point counts at most; far more than a scene has."""
NEIGHBOURS = 8
INDISTINGUISHABLE = 1e-2
"""Length of the difference of two unit features under which they are the same; the cosine hides smaller ones."""
CLEAR = 1e-6
"""By how much the highest cosine must exceed the next, so that rounding does not turn them round."""


def renamed(scene: SegmentedScene, instance_id: int, name: str) -> SegmentedScene:
    """One instance under another name; an empty one brings the default back.

    Raises:
        KeyError: no such instance.
    """
    scene.parts(instance_id)
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
    together = [scene.instance(number) for number in dict.fromkeys(ids)]
    if len(together) < 2:
        raise ValueError("merging takes at least two instances")
    together.sort(key=lambda instance: (-instance.pixels, instance.id))
    kept, *others = (instance.id for instance in together)
    given = [scene.names[number] for number in (kept, *others) if number in scene.names]
    return _joined(scene, dict.fromkeys(others, kept), {kept: given[0]} if given else {})


def split(
    scene: SegmentedScene, instance_id: int, seeds: Float[Tensor, "2 D"], embeddings: Float[Tensor, "N D"]
) -> tuple[SegmentedScene, int]:
    """One instance as two, told apart by the features of a point of each.

    Parts go to the point that their prototype is nearer to: what was merged falls apart again. If both points lie in
    the same part, its masks are clustered into two, starting from the points. Each point counts as a view, so that
    neither side is ever without a prototype, and as so many views that both points are then recognised as what the
    person said they are. The Gaussians of that part go to the nearer of its two new prototypes.

    Args:
        scene: what to correct.
        instance_id: what to split; the id stays with one of the two.
        seeds: rendered features of two points of the instance, of any length.
        embeddings: of the scene's Gaussians.

    Returns:
        The scene, and the new instance's id.

    Raises:
        KeyError: no such instance.
        ValueError: the two points look the same to the model, or show nothing.
    """
    parts = scene.parts(instance_id)
    directions = F.normalize(seeds.detach().float().cpu(), dim=1)
    if not bool((directions.norm(dim=1) > 0.5).all()):
        raise ValueError("a point shows nothing that the model knows")
    if float((directions[0] - directions[1]).norm()) < INDISTINGUISHABLE:
        raise ValueError("the two points have the same feature")
    prototypes = F.normalize(scene.prototypes[[scene.masks.ids.index(part) for part in parts]], dim=1)
    first_part, second_part = (parts[int(row)] for row in (directions @ prototypes.T).argmax(dim=1))
    sides = dict(zip(parts, (prototypes @ directions.T).argmax(dim=1).tolist(), strict=True))
    sides |= {first_part: 0, second_part: 1}
    if first_part == second_part:
        new_part = max(scene.masks.ids) + 1
        scene = _split_part(scene, (first_part, new_part), directions, embeddings)
        sides |= {first_part: 0, new_part: 1}
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
        scene.parts(number)
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
    owners = {part: into.get(owner, owner) for part in scene.masks.ids for owner in [scene.owners.get(part, part)]}
    left = {number: name for number, name in scene.names.items() if number not in into}
    return _with_owners(scene, owners, {**left, **names})


def _separated(scene: SegmentedScene, instance_id: int, sides: Mapping[int, int]) -> tuple[SegmentedScene, int]:
    """Parts of one instance on two sides as two instances; the side with the part of the instance's id keeps it."""
    leaving = [part for part, side in sides.items() if side != sides[instance_id]]
    new_id = max(leaving, key=lambda part: (scene.masks.size([part]), -part))
    owners = {**scene.owners, **dict.fromkeys(sides, instance_id), **dict.fromkeys(leaving, new_id)}
    return _with_owners(scene, owners, dict(scene.names)), new_id


def _with_owners(scene: SegmentedScene, owners: Mapping[int, int], names: Mapping[int, str]) -> SegmentedScene:
    owners = {part: owner for part, owner in owners.items() if part != owner}
    changed = replace(scene, owners=owners, names=names)
    return replace(changed, display=scene.display.limited_to(changed.ids))


def _split_part(
    scene: SegmentedScene, pair: tuple[int, int], directions: Float[Tensor, "2 D"], embeddings: Float[Tensor, "N D"]
) -> SegmentedScene:
    """The first of a pair of parts as both of them."""
    masks = _split_masks(scene.masks, pair, directions)
    gaussians = scene.gaussians
    if gaussians is not None and len(gaussians.ids) == len(embeddings):
        prototypes = masks.prototypes[[masks.ids.index(number) for number in pair]]
        gaussians = _split_gaussians(gaussians, pair, F.normalize(prototypes, dim=1), embeddings)
    return replace(scene, masks=masks, gaussians=gaussians)


def _split_masks(masks: MaskTable, pair: tuple[int, int], directions: Float[Tensor, "2 D"]) -> MaskTable:
    """Masks of the first part in either of the pair, and rows for two directions that are then recognised as them."""
    mine = torch.nonzero(masks.part == pair[0])[:, 0]
    part = masks.part.clone()
    part[mine[_nearer_to_second(masks.features[mine], masks.pixels[mine], directions)]] = pair[1]
    clustered = masks.with_parts(part)
    # Of the length of the masks' features, so that a point counts neither more nor less than a view.
    seeds = directions * masks.features[mine].norm(dim=1).mean().clamp_min(MIN_LENGTH)
    views = 1
    while True:
        found = clustered + MaskTable.without_views(seeds.repeat(views, 1), pair * views)
        if views >= MAX_SEED_VIEWS or _are_recognised(found, pair, directions):
            return found
        views *= 2


def _are_recognised(masks: MaskTable, pair: tuple[int, int], directions: Float[Tensor, "2 D"]) -> bool:
    """Whether the prototypes clearly recognise each of two directions as its part."""
    cosines = directions @ F.normalize(masks.prototypes, dim=1).T
    own = torch.tensor([[masks.ids.index(number)] for number in pair])
    others = cosines.scatter(1, own, -torch.inf).amax(dim=1)
    return bool((cosines.gather(1, own)[:, 0] > others + CLEAR).all())


def _nearer_to_second(
    features: Float[Tensor, "M D"], pixels: Int64[Tensor, " M"], directions: Float[Tensor, "2 D"]
) -> Bool[Tensor, " M"]:
    """Two-means of directions, weighted by pixels, from two starting points; whether each row is of the second."""
    unit, weights = F.normalize(features, dim=1), pixels.clamp_min(1).float()[:, None]
    second = unit @ directions[1] > unit @ directions[0]
    for _ in range(SPLIT_ROUNDS):
        sides = [
            (unit * weights)[chosen].sum(dim=0) if bool(chosen.any()) else direction
            for chosen, direction in zip((~second, second), directions, strict=True)
        ]
        directions = F.normalize(torch.stack(sides), dim=1)
        before, second = second, unit @ directions[1] > unit @ directions[0]
        if torch.equal(before, second):
            break
    return second


def _split_gaussians(
    gaussians: GaussianInstances,
    pair: tuple[int, int],
    directions: Float[Tensor, "2 D"],
    embeddings: Float[Tensor, "N D"],
) -> GaussianInstances:
    mine = torch.nonzero(gaussians.ids == pair[0])[:, 0]
    unit = F.normalize(embeddings.detach().cpu()[mine], dim=1)
    ids = gaussians.ids.clone()
    ids[mine[unit @ directions[1] > unit @ directions[0]]] = pair[1]
    return replace(gaussians, ids=ids)
