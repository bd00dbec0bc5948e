"""Laws of visits: every frame once, compared with frames that had their turn, and with few."""

from __future__ import annotations

from math import log2

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.mastsam.visits import Visit, collection_pairs, collection_visits, sequence_visits
from tests.mastsam.scenes import camera


@settings(max_examples=60)
@given(st.integers(0, 200), st.integers(1, 30))
def test_a_sequence_looks_back_a_window_and_a_few_frames_further(count: int, window: int) -> None:
    visits = sequence_visits(count, window)
    assert [visit.index for visit in visits] == list(range(count))
    for visit in visits:
        assert visit.near == [i for i in range(visit.index - 1, -1, -1) if visit.index - i <= window]
        assert visit.far == sorted(set(visit.far), reverse=True)
        assert all(0 <= index < visit.index - window for index in visit.far)
        assert len(visit.far) <= 1 + max(0, log2(max(visit.index, 1) / window))
        # What the window does not reach, the first frame does.
        assert not visit.index > window or visit.far[-1] == 0


def random_counts(seed: int, count: int, density: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(1, 100, (count, count)), 1) * (rng.random((count, count)) < density)
    return upper + upper.T


@settings(max_examples=60)
@given(st.builds(random_counts, st.integers(0, 10**6), st.integers(1, 12), st.floats(0, 1)), st.integers(1, 5))
def test_a_collection_is_visited_along_its_matches(counts: np.ndarray, window: int) -> None:
    asked: list[tuple[int, int]] = []

    def count(a: int, b: int) -> int:
        asked.append((a, b))
        return int(counts[a, b])

    visits = collection_visits(len(counts), window, collection_pairs(len(counts), window, None), count)
    assert asked == [(a, b) for a in range(len(counts)) for b in range(a + 1, len(counts))]
    assert sorted(visit.index for visit in visits) == list(range(len(counts)))
    before: list[int] = []
    for visit in visits:
        known = sorted((i for i in before if counts[visit.index, i] > 0), key=lambda i: (-counts[visit.index, i], i))
        assert visit.near == known[:window] and visit.far == []
        before.append(visit.index)


def test_with_poses_only_views_that_see_alike_are_compared() -> None:
    cameras = [camera(turn=(0, 0.1 * step, 0)) for step in range(10)]
    asked: list[tuple[int, int]] = []

    def count(a: int, b: int) -> int:
        asked.append((a, b))
        return 100 - abs(a - b)

    visits = collection_visits(10, 2, collection_pairs(10, 2, cameras), count)
    assert all(a < b <= a + 2 for a, b in asked) and len(asked) == len(set(asked)) < 20
    assert all(abs(visit.index - near) <= 2 for visit in visits for near in visit.near)
    assert collection_visits(1, 2, collection_pairs(1, 2, cameras[:1]), count) == [Visit(0, [], [])]
