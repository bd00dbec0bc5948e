"""Small segmented scenes, and what it means that two of them are the same."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from proto_saga_ns.plugin.viewer.listing import by_size
from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.recognition.levels import Joins, Levels
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.recognition.votes import Votes
from proto_saga_ns.scene import Display, EmbeddingColors, SegmentedScene
from proto_saga_ns.scene.corrections import merged, split
from proto_saga_ns.scene.state import scene_to_state

DIM = 6
GAUSSIANS = 72


def random_scene(
    seed: int = 0, members: int = 5, views: int = 4, gaussians: int | None = 60, **changes: Any
) -> SegmentedScene:
    """Every view has three masks a member, some of no member; Gaussians of the members, and some of none."""
    generator = torch.Generator().manual_seed(seed)
    rows = views * 3 * members
    view = torch.arange(views, dtype=torch.int32).repeat_interleave(3 * members)
    label = torch.arange(1, 3 * members + 1, dtype=torch.int32).repeat(views)
    member = torch.randint(0, members + 1, (rows,), generator=generator, dtype=torch.int32)
    member[:members] = torch.arange(1, members + 1)  # each has a mask
    centres = torch.randn(members + 1, DIM, generator=generator)
    features = centres[member.long()] + 0.3 * torch.randn(rows, DIM, generator=generator)
    pixels = torch.randint(1, 200, (rows,), generator=generator)
    masks = MaskTable(view, label, pixels, features, member, tuple(f"view {number}" for number in range(views)))
    owned = None
    if gaussians is not None:
        ids = torch.randint(0, members + 1, (gaussians,), generator=generator, dtype=torch.int32)
        owned = GaussianInstances(ids, torch.rand(gaussians, generator=generator) * (ids > 0))
    return SegmentedScene(masks, EmbeddingColors.fit(features), gaussians=owned, **changes)


def random_votes(seed: int, gaussians: int, members: int = 5) -> Votes:
    """Four different members (or all there are) for each Gaussian, fewer for some."""
    generator = torch.Generator().manual_seed(seed)
    labels = 1 + torch.rand(gaussians, members, generator=generator).argsort(dim=1)[:, :4].int()
    shares = torch.rand(labels.shape, generator=generator).sort(dim=1, descending=True).values / 4
    shares = shares.masked_fill(shares < 0.05, 0.0)
    return Votes(labels.masked_fill(shares == 0, 0), shares, prototype_weight=seed % 3 / 4)


def random_levels(seed: int, gaussians: int, members: int = 5) -> Levels:
    """Up to four parts of each member, and all members in one group or in some."""
    rng = np.random.default_rng(seed)
    parts, of_member, free = [], {}, members + 1
    for member in range(1, members + 1):
        more = int(rng.integers(0, 4))
        of_member[member] = [member, *range(free, free + more)] if more else [0]
        parts += random_joins(of_member[member], rng)
        free += more
    known = [number for numbers in of_member.values() for number in numbers]
    of_gaussian = torch.from_numpy(rng.choice(known, gaussians).astype(np.int32))
    groups = random_joins(list(range(1, members + 1)), rng)[: int(rng.integers(1, members))]
    parts.sort(key=lambda row: -row[2])
    return Levels(Joins.of(parts), Joins.of(groups), of_gaussian, theta=float(rng.uniform(0.2, 0.8)))


def scene_with_levels(seed: int) -> SegmentedScene:
    """Random in everything: its Gaussians may be of one member, and of a part of another."""
    votes, levels = random_votes(seed, GAUSSIANS), random_levels(seed, GAUSSIANS)
    return random_scene(seed, gaussians=GAUSSIANS, votes=votes, levels=levels)


def corrected(scene: SegmentedScene, seed: int) -> SegmentedScene:
    """Two instances merged, and one cut."""
    rng = np.random.default_rng(seed)
    scene = merged(scene, rng.choice(scene.ids, 2, replace=False).tolist())
    embeddings = torch.randn(GAUSSIANS, DIM, generator=torch.Generator().manual_seed(seed))
    instance = int(rng.choice(scene.ids))
    masks = scene.masks.features[scene.masks.member == instance]
    if len(masks) < 2:
        return scene
    try:
        return split(scene, instance, masks[:2], embeddings)[0]
    except ValueError:  # both look the same, or like something else
        return scene


def only_merges(finer: Tensor, coarser: Tensor) -> bool:
    """Whether what has one id in the finer map has one in the coarser."""
    pairs = torch.stack([finer.flatten(), coarser.flatten()]).unique(dim=1)
    return pairs.shape[1] == len(finer.unique())


def with_levels(scene: SegmentedScene) -> SegmentedScene:
    """The two largest instances in one group, and the third in two parts, by where its Gaussians lie."""
    assert scene.gaussians is not None
    first, second, third = (instance.id for instance in by_size(scene)[:3])
    other = max(scene.ids) + 1
    mine = scene.gaussians.ids == third
    half = torch.arange(len(mine)) < torch.nonzero(mine)[:, 0].median()
    parts = torch.where(mine, torch.where(half, other, third), 0).int()
    joins = Joins.of([(other, third, 0.7)]), Joins.of([(second, first, 0.3)])
    return replace(scene, levels=Levels(*joins, parts, theta=0.4))


def random_joins(ids: list[int], rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """A tree in which clusters are called by their smallest id, the largest share first; some shares are equal."""
    alive, rows = list(ids), []
    for share in sorted(rng.integers(0, 20, len(ids) - 1) / 20, reverse=True):
        kept, gone = sorted(rng.choice(alive, 2, replace=False).tolist())
        alive.remove(gone)
        rows.append((gone, kept, float(share)))
    return rows


def scene_of(prototypes: dict[int, Tensor], pixels: dict[int, int] | None = None, **changes: Any) -> SegmentedScene:
    """One mask a member in one view, so that the prototypes are exactly the given ones."""
    ids = torch.tensor(list(prototypes), dtype=torch.int32)
    features = torch.stack(list(prototypes.values()))
    counts = torch.tensor([(pixels or {}).get(member, 10 * member) for member in prototypes])
    label = torch.arange(1, len(ids) + 1, dtype=torch.int32)
    masks = MaskTable(torch.zeros_like(ids), label, counts, features, ids, ("view 0",))
    colors = EmbeddingColors.fit(torch.randn(50, features.shape[1], generator=torch.Generator().manual_seed(0)))
    return SegmentedScene(masks, colors, **changes)


def random_features(seed: int, height: int = 8, width: int = 9) -> Tensor:
    """A feature map in which every member of a random scene may win."""
    return torch.randn(height, width, DIM, generator=torch.Generator().manual_seed(seed))


def random_votes_in_view(seed: int, members: int, height: int = 8, width: int = 9) -> Tensor:
    """A map of rendered votes, none at all in some pixels."""
    generator = torch.Generator().manual_seed(seed + 1)
    seen = torch.rand(height, width, 1, generator=generator) > 0.2
    return torch.rand(height, width, members, generator=generator) / members * seen


def same_segmentation(first: SegmentedScene, second: SegmentedScene) -> bool:
    """Whether two scenes are equal in everything but their displays."""
    plain = ("owners", "names", "agreement", "tau", "min_alpha", "options")
    return (
        all(getattr(first, name) == getattr(second, name) for name in plain)
        and same_tensors(first.masks, second.masks)
        and len(first.cuts) == len(second.cuts)
        and all(same_tensors(*pair) for pair in zip(first.cuts, second.cuts, strict=True))
        and same_tensors(first.embedding_colors, second.embedding_colors)
        and all(_both_or_none(getattr(first, name), getattr(second, name)) for name in ("gaussians", "votes"))
        and getattr(first.votes, "prototype_weight", None) == getattr(second.votes, "prototype_weight", None)
        and _same_levels(first.levels, second.levels)
    )


def _same_levels(first: Levels | None, second: Levels | None) -> bool:
    if first is None or second is None:
        return first is second
    tables = ((first.parts, second.parts), (first.groups, second.groups))
    same = first.theta == second.theta and torch.equal(first.part_of_gaussian, second.part_of_gaussian)
    return same and all(same_tensors(*pair) for pair in tables)


def _both_or_none(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    return same_tensors(first, second)


def same_tensors(first: Any, second: Any) -> bool:
    """Whether all fields of two dataclasses are equal, types of numbers included."""
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in fields(first) if field.init]
    return all(
        (mine.dtype == theirs.dtype and torch.equal(mine, theirs)) if isinstance(mine, Tensor) else mine == theirs
        for mine, theirs in pairs
    )


def corrected_state(scene: SegmentedScene) -> dict[str, object]:
    """All of a scene but what is displayed, as plain values."""
    state = scene_to_state(replace(scene, display=Display()))
    return {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in state.items()}


def assert_consistent(scene: SegmentedScene) -> None:
    """Every instance has the id of one of its members, and every member one instance."""
    members = [member for number in scene.ids for member in scene.members(number)]
    assert sorted(members) == [*scene.member_ids]
    assert all(number in scene.members(number) for number in scene.ids)
    assert all(number in scene.ids for number in scene.names)
    assert {*scene.display.selected, *scene.display.hidden} <= {0, *scene.ids}
