"""Laws of orders: every view once, parents first, and nothing depends on the order of the input."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.mastsam.ordering import (
    ViewForest,
    neighbour_pairs,
    neighbours_by_pose,
    pose_distances,
    spanning_tree,
)


def looking(centre: np.ndarray, forward: np.ndarray, roll: float = 0.0) -> Camera:
    """A camera at a centre that looks along ``forward``."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.3, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turned = np.cos(roll) * right + np.sin(roll) * down
    rotation = np.stack([turned, np.cross(forward, turned), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ centre
    return Camera(np.eye(3), pose)


def circle(count: int, radius: float = 2.0) -> list[Camera]:
    """Cameras around the origin that look at it, unevenly spaced so that there are no ties."""
    steps = 1 + 0.2 * np.sin(1 + np.arange(count))
    angles = 2 * np.pi * np.cumsum(steps) / steps.sum()
    centres = radius * np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=1)
    return [looking(centre, -centre) for centre in centres]


def random_affinity(seed: int, count: int, density: float) -> np.ndarray:
    """Symmetric, without ties, with pairs that have nothing in common."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((count, count)) + 0.1, 1)
    upper *= rng.random(upper.shape) < density
    return upper + upper.T


affinities = st.builds(random_affinity, st.integers(0, 10**6), st.integers(1, 14), st.floats(0, 1))


@settings(max_examples=60)
@given(affinities)
def test_every_view_once_and_parents_first(affinity: np.ndarray) -> None:
    forest = spanning_tree(affinity)
    assert sorted(forest.order) == list(range(len(affinity)))
    for tree in forest.trees:
        seen = {tree.root}
        for parent, child in tree.edges:
            assert parent in seen and child not in seen and affinity[parent, child] > 0
            seen.add(child)
    assert len(forest.edges) == len(affinity) - len(forest.trees)


@settings(max_examples=60)
@given(affinities)
def test_it_is_the_maximum_spanning_forest_with_a_central_root(affinity: np.ndarray) -> None:
    graph = networkx.from_numpy_array(affinity)
    best = networkx.maximum_spanning_tree(graph)
    forest = spanning_tree(affinity)
    assert {frozenset(edge) for edge in forest.edges} == {frozenset(edge) for edge in best.edges}
    sizes = [len(tree.order) for tree in forest.trees]
    assert sizes == sorted(map(len, networkx.connected_components(graph)), reverse=True)
    assert forest.connected == (len(sizes) == 1)
    for tree in forest.trees:
        steps = {view: sum(networkx.single_source_shortest_path_length(best, view).values()) for view in tree.order}
        assert steps[tree.root] == min(steps.values())


@settings(max_examples=40)
@given(affinities, st.integers(0, 10**6))
def test_the_order_of_the_input_only_permutes(affinity: np.ndarray, seed: int) -> None:
    shuffle = np.random.default_rng(seed).permutation(len(affinity))
    forest, shuffled = spanning_tree(affinity), spanning_tree(affinity[np.ix_(shuffle, shuffle)])

    # Nothing tells the two views of a pair apart, so either may be the root.
    def trees(found: ViewForest, names: np.ndarray) -> set[object]:
        named = [[names[list(edge)].tolist() for edge in tree.edges] for tree in found.trees]
        return {str(edges) if len(edges) > 1 else frozenset(*edges) for edges in named}

    assert trees(shuffled, shuffle) == trees(forest, np.arange(len(affinity)))


def test_the_strongest_edge_is_visited_first() -> None:
    affinity = np.zeros((4, 4))
    affinity[0, 1], affinity[0, 2], affinity[0, 3] = 2, 9, 5
    assert spanning_tree(affinity).edges == [(0, 2), (0, 3), (0, 1)]


@pytest.mark.parametrize("count", [3, 8, 21])
def test_a_circle_of_poses_gives_a_path(count: int) -> None:
    forest = spanning_tree(1 / (1 + pose_distances(circle(count))))
    degrees = np.bincount(np.array(forest.edges).reshape(-1), minlength=count)
    assert forest.connected and sorted(degrees) == [1, 1] + [2] * (count - 2)
    assert all((a - b) % count in (1, count - 1) for a, b in forest.edges)
    # From the middle no end is farther than half the path.
    depth = {forest.trees[0].root: 0}
    for parent, child in forest.edges:
        depth[child] = depth[parent] + 1
    assert max(depth.values()) == count // 2


def test_neighbours_on_a_circle_are_next_to_each_other() -> None:
    for view, found in enumerate(neighbours_by_pose(circle(9), 2)):
        assert {(int(other) - view) % 9 for other in found} == {1, 8}
    assert [len(found) for found in neighbours_by_pose(circle(3), 9)] == [2, 2, 2]
    assert neighbours_by_pose(circle(1), 3)[0].size == 0


def test_distances_are_those_of_a_metric_and_know_no_scale_and_no_roll() -> None:
    small, large = pose_distances(circle(7, radius=1.0)), pose_distances(circle(7, radius=50.0))
    assert np.allclose(small, large)
    assert np.allclose(small, small.T) and (np.diag(small) == 0).all()
    assert (small[:, None] <= small[:, :, None] + small[None] + 1e-9).all()
    here, ahead = np.zeros(3), np.array([1.0, 0.0, 0.0])
    assert pose_distances([looking(here, ahead), looking(here, ahead, roll=1.0)])[0, 1] < 1e-6
    turned = pose_distances([looking(here, ahead), looking(here, np.array([0.0, 1.0, 0.0]))])
    assert turned[0, 1] == pytest.approx(np.pi / 2)


def test_pairs_of_neighbours_come_once() -> None:
    assert neighbour_pairs([np.array([2, 1]), np.array([0]), np.array([0, 1])]) == [(0, 1), (0, 2), (1, 2)]
