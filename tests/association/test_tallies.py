"""Counting claims against Python's own counting."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.association.mask_tracks import UNMERGED_PAIRS, BitTable, PairCounts

PAIRS = st.lists(st.tuples(st.integers(1, 2**24), st.integers(0, 9)))


@given(st.lists(PAIRS, max_size=6))
def test_pairs_are_counted_and_sorted(parts: list[list[tuple[int, int]]]) -> None:
    counts = PairCounts(10)
    for part in parts:
        counts.add(*np.array(part, dtype=np.int64).reshape(-1, 2).T)
    rows = zip(*(column.tolist() for column in counts.sorted()), strict=True)
    expected = Counter(pair for part in parts for pair in part)
    assert list(rows) == [(*pair, expected[pair]) for pair in sorted(expected)]


def test_memory_is_linear_in_the_different_pairs() -> None:
    counts, gaussians = PairCounts(1000), np.arange(1000)
    rounds = 3 * UNMERGED_PAIRS // 1000
    for _ in range(rounds):
        counts.add(np.ones(1000, np.int64), gaussians)
        assert len(counts) <= UNMERGED_PAIRS + 2000
    assert counts.sorted()[2].tolist() == [rounds] * 1000


@given(st.integers(0, 20), st.integers(0, 1000))
def test_bits_are_counted_within_the_views_asked_for(num_views: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits, asked = rng.random((num_views, 30)) < 0.4, rng.random(num_views) < 0.6
    table = BitTable(num_views, 30)
    for view, row in enumerate(bits):
        table.set(view, np.flatnonzero(row))
    gaussians = rng.permutation(30)[:12]
    assert table.count(asked, gaussians).tolist() == bits[asked][:, gaussians].sum(axis=0).tolist()
