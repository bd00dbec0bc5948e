"""Packed blend weights come back to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus.blended_views import PackedContributions
from proto_saga_ns.rasterize.contributions import Contributions


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 300), st.sampled_from([1, 255, 256, 70_000]), st.sampled_from([1, 90, 10**6]), st.integers(0, 999)
)
def test_what_was_packed_comes_back(count: int, labels: int, gap: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = (
        np.cumsum(rng.integers(0, gap + 1, count)).astype(np.int32),
        rng.integers(0, labels + 1, count).astype(np.int32),
        np.exp(rng.normal(0, 8, count)).astype(np.float32),
    )
    found = PackedContributions.of(Contributions(*(torch.from_numpy(column) for column in columns))).unpack()
    for column, back in zip(columns, (found.gaussians, found.labels, found.weights), strict=True):
        np.testing.assert_array_equal(column, back.numpy(), strict=True)


@pytest.mark.parametrize(
    ("gap", "labels", "expected"), [(3, 100, 6), (300, 100, 7), (300, 1000, 8), (10**6, 10**6, 12)]
)
def test_an_entry_takes_as_many_bytes_as_its_numbers_need(gap: int, labels: int, expected: int) -> None:
    entries = Contributions(gap * torch.arange(1000).int(), torch.full((1000,), labels).int(), torch.ones(1000))
    assert PackedContributions.of(entries).nbytes == pytest.approx(1000 * expected, abs=4)
