"""Representatives against a naive K-Means, and what they are for: an even spread."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.representatives import farthest_points, representatives


def slow(xy: np.ndarray, groups: np.ndarray, per_group: int) -> list[set[int]]:
    """Five rounds of Lloyd's algorithm, one point at a time.

    Returns:
        For each representative the points that may be it: the centre of two points is equally far from both.
    """
    chosen = []
    for group in sorted(set(groups.tolist())):
        members = [index for index, found in enumerate(groups.tolist()) if found == group]
        if len(members) <= per_group:
            chosen += [{index} for index in members]
            continue
        points = [xy[index].astype(np.float64) for index in members]
        centres = [points[start] for start in farthest_points(np.array(points), per_group).tolist()]
        for _ in range(5):
            owned: list[list[np.ndarray]] = [[] for _ in centres]
            for point in points:
                owned[int(np.argmin([np.sum((point - centre) ** 2) for centre in centres]))].append(point)
            centres = [np.mean(own, axis=0) if own else old for own, old in zip(owned, centres, strict=True)]
        for centre in centres:
            distance = np.linalg.norm(np.array(points) - centre, axis=1)
            chosen.append({members[index] for index in np.flatnonzero(distance < distance.min() + 1e-6)})
    return chosen


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(1, 4), st.integers(1, 8))
def test_the_same_as_a_naive_k_means(seed: int, count: int, groups: int, per_group: int) -> None:
    rng = np.random.default_rng(seed)
    xy, group = rng.uniform(0, 100, (count, 2)).astype(np.float32), rng.integers(0, groups, count)
    chosen = set(representatives(xy, group, per_group).tolist())
    expected = slow(xy, group, per_group)
    assert all(chosen & some for some in expected)
    assert chosen <= set().union(*expected)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), max_size=40), st.integers(1, 6))
def test_no_group_is_lost_and_none_gets_more_even_where_points_coincide(points, per_group: int) -> None:
    table = np.array(points, np.float32).reshape(-1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = representatives(table[:, 1:], table[:, 0].astype(np.int64), per_group)
    assert (np.diff(chosen) > 0).all()
    for group in np.unique(table[:, 0]):
        members = np.flatnonzero(table[:, 0] == group)
        mine = np.intersect1d(chosen, members)
        assert 1 <= len(mine) <= per_group
        if len(members) <= per_group:
            assert len(mine) == len(members)


def test_a_wall_beside_a_crowded_poster_has_more_of_them_than_of_the_points() -> None:
    rng = np.random.default_rng(0)
    poster, wall = rng.uniform(0, 10, (900, 2)), rng.uniform(10, 100, (100, 2))
    xy = np.concatenate([poster, wall]).astype(np.float32)
    chosen = representatives(xy, np.zeros(1000, np.int64), 16)
    assert (chosen >= 900).mean() > 0.8
