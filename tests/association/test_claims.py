"""Ranking within groups against one Gaussian at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association import claims
from proto_saga_ns.association.claims import lowest_ranks, stable_order


def slow_lowest_ranks(keys: np.ndarray, groups: np.ndarray, share: float, at_most: bool) -> set[int]:
    kept: set[int] = set()
    for group in set(groups.tolist()):
        members = sorted(np.flatnonzero(groups == group).tolist(), key=lambda i: (keys[i], i))
        limit = share * len(members)
        kept |= set(members[: max(math.floor(limit) if at_most else math.ceil(limit - 1e-9), 1)])
    return kept


@pytest.mark.parametrize("large_group", [1, 10**9], ids=["by selection", "by sorting"])
@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(0, 80),
    different_keys=st.sampled_from([1, 4, 1000]),
    share=st.sampled_from([0.05, 0.2, 0.5, 1.0]),
    at_most=st.booleans(),
)
def test_both_ways_to_rank_keep_the_lowest_and_of_equals_the_earlier(
    large_group: int, seed: int, count: int, different_keys: int, share: float, at_most: bool
) -> None:
    random = np.random.default_rng(seed)
    keys = random.integers(-different_keys, different_keys, count).astype(np.float32)
    groups = random.choice([1, 2, 70_000], count).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "LARGE_GROUP", large_group)
        kept = lowest_ranks(keys, groups, share, at_most)
    assert len(kept) == len(set(kept.tolist()))
    assert set(kept.tolist()) == slow_lowest_ranks(keys, groups, share, at_most)


@given(st.lists(st.one_of(st.integers(0, 5), st.integers(0, 2**40))))
def test_stable_order_is_that_of_sorted(values: list[int]) -> None:
    order = stable_order(np.array(values, dtype=np.int64))
    assert order.tolist() == sorted(range(len(values)), key=values.__getitem__)
