"""Laws of absorbing fragments."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene.corrections import absorbed, fragments
from tests.scene.scenes import DIM, assert_consistent, random_scene, scene_of

PARTS = 6
seeds = st.integers(0, 1000)


def test_fragments_of_fragments_go_all_the_way() -> None:
    scene = random_scene(members=PARTS)
    after = absorbed(scene, {1: 2, 2: 3, 5: 3})
    assert after.ids == (3, 4, 6) and after.members(3) == (1, 2, 3, 5)
    assert absorbed(scene, {}) is scene
    assert absorbed(after, {4: 3}).members(3) == (1, 2, 3, 4, 5)
    assert_consistent(after)


@pytest.mark.parametrize("into", [{1: 1}, {1: 2, 2: 1}, {4: 1, 1: 2, 2: 3, 3: 1}])
def test_what_would_be_absorbed_into_itself_is_refused(into: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="itself"):
        absorbed(random_scene(), into)


@pytest.mark.parametrize("into", [{99: 1}, {1: 99}, {0: 1}])
def test_only_instances_are_absorbed_by_instances(into: dict[int, int]) -> None:
    with pytest.raises(KeyError):
        absorbed(random_scene(), into)


def slow_fragments(
    scene: SegmentedScene, means: Tensor, gaussians: GaussianInstances, max_share: float
) -> dict[int, int]:
    """Every Gaussian looks at the eight others nearest to it, one by one."""
    owned = [row for row in range(len(means)) if gaussians.ids[row] > 0]
    pixels = {instance.id: instance.pixels for instance in scene.instances}
    found = {}
    for number in scene.ids:
        votes = dict.fromkeys(scene.ids, 0)
        for row in owned:
            if gaussians.ids[row] == number:
                nearest = sorted(owned, key=lambda other: float((means[other] - means[row]).square().sum()))
                for other in nearest[1:9]:
                    votes[int(gaussians.ids[other])] += 1
        votes[number] = 0
        neighbour = max(votes, key=lambda other: (votes[other], -other))
        small = pixels[number] <= max_share * pixels[neighbour] and pixels[number] < pixels[neighbour]
        if votes[neighbour] and small:
            found[number] = neighbour
    return found


@given(seeds, st.sampled_from([0.3, 0.8, 1.0, 3.0]), st.integers(0, 40))
@settings(max_examples=30)
def test_fragments_are_those_of_a_search_one_by_one(seed: int, max_share: float, count: int) -> None:
    scene = random_scene(seed, PARTS, gaussians=count, owners={5: 2})
    means = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))
    gaussians = scene.instances_of(torch.zeros(count, DIM))
    found = fragments(scene, means, gaussians, max_share)
    assert found == slow_fragments(scene, means, gaussians, max_share)
    for target in scene.ids:
        near = fragments(scene, means, gaussians, max_share, targets=(target,))
        assert near == {number: neighbour for number, neighbour in found.items() if neighbour == target}
    after = absorbed(scene, found)
    assert {*after.ids} == {*scene.ids} - {*found}
    assert_consistent(after)


def test_instances_of_equal_size_are_no_fragments_of_each_other() -> None:
    """As after clustering, where nothing has any pixels."""
    scene = scene_of(dict(zip((1, 2), torch.eye(4), strict=False)), {1: 0, 2: 0})
    gaussians = GaussianInstances(torch.tensor([1, 2], dtype=torch.int32), torch.ones(2))
    assert fragments(scene, torch.eye(3)[:2], gaussians, max_share=1.0) == {}
