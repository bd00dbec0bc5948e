"""Gaussians of a level: those of finer levels are nested in them, and they agree with maps."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.shown import (
    at_granularity,
    instances_at_level,
    levels_of,
    part_channels,
    shown_gaussians,
    shown_ids,
)
from tests.scene.scenes import DIM, GAUSSIANS, corrected, only_merges, scene_with_levels

SEEDS = st.integers(0, 10**6)
GRANULARITIES = st.floats(0, 1) | st.sampled_from([0.0, OBJECTS, 1.0])


def centres(seed: int) -> Tensor:
    return torch.randn(GAUSSIANS, 3, generator=torch.Generator().manual_seed(seed))


def members_of(scene: SegmentedScene) -> Tensor:
    assert scene.gaussians is not None
    return scene.gaussians.ids


@settings(max_examples=60)
@given(SEEDS, GRANULARITIES, st.booleans())
def test_a_gaussian_is_shown_as_a_map_shows_what_it_paints_alone(
    seed: int, granularity: float, with_corrections: bool
) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    scene = corrected(scene, seed) if with_corrections else scene
    channels = part_channels(scene, GAUSSIANS)
    painted = shown_ids(scene, members_of(scene), None if channels is None else channels.dense())
    assert torch.equal(shown_gaussians(scene, members_of(scene)), painted)


@settings(max_examples=60)
@given(SEEDS, st.floats(OBJECTS, 1, exclude_min=True), st.booleans())
def test_where_its_part_is_of_another_member_it_goes_with_the_nearest_that_has_one(
    seed: int, granularity: float, with_corrections: bool
) -> None:
    scene = at_granularity(scene_with_levels(seed), granularity)
    scene = corrected(scene, seed) if with_corrections else scene
    members, means, levels = members_of(scene), centres(seed), levels_of(scene)
    member_of = levels.joined_parts(OBJECTS)
    owner_of_part = torch.tensor([member_of.get(part, 0) for part in levels.part_of_gaussian.tolist()])
    sure = torch.nonzero((owner_of_part == members) & (members > 0))[:, 0]
    without, found = shown_gaussians(scene, members), shown_gaussians(scene, members, means)
    for gaussian, member in enumerate(members.tolist()):
        mine = sure[members[sure] == member]
        if member and member in member_of and len(mine):
            nearest = mine[(means[mine] - means[gaussian]).norm(dim=1).argmin()]
            assert found[gaussian] == without[nearest]
        else:
            assert found[gaussian] == without[gaussian]


@settings(max_examples=60)
@given(SEEDS, st.tuples(GRANULARITIES, GRANULARITIES), st.booleans())
def test_gaussians_of_a_finer_level_lie_in_those_of_a_coarser(
    seed: int, granularities: tuple[float, float], with_corrections: bool
) -> None:
    scene = scene_with_levels(seed)
    scene = corrected(scene, seed) if with_corrections else scene

    def at(granularity: float) -> Tensor:
        looked = at_granularity(scene, granularity)
        return instances_at_level(looked, torch.zeros(GAUSSIANS, DIM), centres(seed)).ids

    coarser, finer = (at(value) for value in sorted(granularities))
    assert only_merges(finer, coarser)
    assert torch.equal(finer == 0, members_of(scene) == 0)
    assert torch.equal(at(OBJECTS), scene.owners_of(members_of(scene)))


def test_centres_that_are_no_number_do_no_harm() -> None:
    scene, means = at_granularity(scene_with_levels(1), 1.0), centres(1)
    means[0], means[1, 2], means[2, 0] = torch.nan, torch.inf, -torch.inf
    shown = shown_gaussians(scene, members_of(scene), means)
    assert only_merges(shown, scene.owners_of(members_of(scene)))
