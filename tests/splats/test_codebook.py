"""Codebooks, the order of neighbours, and quaternions by their smallest components."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.splats.codebook import EVENLY, nearest_number, number_codes, row_codes
from proto_saga_ns.splats.order import BITS, morton_order
from proto_saga_ns.splats.quaternions import BOUND, from_smallest_three, smallest_three


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=300))
def test_no_value_is_far_from_its_code(values: list[float]) -> None:
    numbers = np.array(values, np.float32)
    codes = number_codes(numbers)
    chosen = codes[nearest_number(numbers, codes)]
    assert (np.diff(codes) >= 0).all() and len(codes) == 256
    assert np.abs(chosen - numbers).max() <= np.ptp(numbers) / (2 * EVENLY * 256) + 1e-5
    assert np.array_equal(np.abs(chosen - numbers), np.abs(codes - numbers[:, None]).min(axis=1))


def test_codes_are_better_than_even_ones_where_values_crowd() -> None:
    numbers = np.random.default_rng(0).normal(size=50_000) ** 3
    codes, even = number_codes(numbers), np.linspace(numbers.min(), numbers.max(), 256).astype(np.float32)
    errors = [((book[nearest_number(numbers, book)] - numbers) ** 2).mean() for book in (codes, even)]
    assert errors[0] < errors[1] / 10


def test_rows_that_crowd_share_a_code_and_few_rows_keep_theirs() -> None:
    generator = torch.Generator().manual_seed(0)
    centers = torch.randn(40, 9, generator=generator)
    rows = centers[torch.randint(0, 40, (3000,), generator=generator)]
    rows = rows + 0.01 * torch.randn(3000, 9, generator=generator)
    codes, labels = row_codes(rows, 256)
    assert len(codes) <= 256 and (codes[labels] - rows).norm(dim=1).max() < 0.2
    few, own = row_codes(rows[:200], 256)
    assert torch.equal(few[own], rows[:200])


@given(st.integers(1, 60), st.integers(0, 9))
def test_morton_order_is_that_of_interleaved_bits(count: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    order = morton_order(points)
    low, span = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-30)
    cells = ((points - low) * ((2**BITS - 1) / span.astype(np.float64))).astype(np.uint64)
    bits = [(bit, axis) for bit in range(BITS) for axis in range(3)]
    codes = [sum((int(cell[axis]) >> bit & 1) << (3 * bit + axis) for bit, axis in bits) for cell in cells[order]]
    assert sorted(order.tolist()) == list(range(count)) and codes == sorted(codes)


@given(st.integers(1, 50), st.integers(0, 9))
def test_three_components_say_a_rotation(count: int, seed: int) -> None:
    quats = np.random.default_rng(seed).normal(size=(count, 4))
    quats[0] = (0, -1, 0, 0)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    largest, others = smallest_three(quats)
    assert np.abs(others).max() <= BOUND + 1e-12
    again = from_smallest_three(largest, others)
    np.testing.assert_allclose(np.abs((again * quats).sum(axis=1)), 1, atol=1e-12)
