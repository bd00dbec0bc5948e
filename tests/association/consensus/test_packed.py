"""Packed blend weights come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus.blended_views import BlendedView, PackedView
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL


@settings(max_examples=50)
@given(
    st.integers(0, 300), st.sampled_from([1, 255, 256, 70_000]), st.sampled_from([1, 90, 10**6]), st.integers(0, 999)
)
def test_what_was_packed_comes_back(count: int, labels: int, gap: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    view = BlendedView(
        np.cumsum(rng.integers(0, gap + 1, count)),
        rng.integers(0, labels + 1, count),
        np.rint(UNITS_PER_PIXEL * np.exp(rng.normal(0, 4, count))).astype(np.int64),
        labels + 1,
    )
    found = PackedView.of(view).unpack()
    assert found.num_labels == view.num_labels
    for name in ("gaussians", "labels", "units"):
        np.testing.assert_array_equal(getattr(found, name), getattr(view, name), strict=True)


@pytest.mark.parametrize(
    ("gap", "labels", "expected"), [(3, 100, 6), (300, 100, 7), (300, 1000, 8), (10**6, 10**6, 12)]
)
def test_an_entry_takes_as_many_bytes_as_its_numbers_need(gap: int, labels: int, expected: int) -> None:
    view = BlendedView(gap * np.arange(1000), np.full(1000, labels), np.full(1000, UNITS_PER_PIXEL), labels + 1)
    assert PackedView.of(view).nbytes == pytest.approx(1000 * expected, abs=4)
