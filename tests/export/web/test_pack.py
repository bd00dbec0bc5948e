"""Gaussians come out of a page's bytes within the errors that pack.py promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.web.pack import BYTES_EACH, CHUNK, LOG_SCALES, curve_order, pack, packed_rotations, table_rows
from tests.export.web.scenes import random_gaussians, unpacked, unpacked_rotations

seeds = st.integers(0, 2**32 - 1)


def chunk_extent(values: np.ndarray) -> np.ndarray:
    """Of each value's chunk, along each axis."""
    starts = np.arange(0, len(values), CHUNK)
    extents = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    return extents[np.arange(len(values)) // CHUNK]


@given(count=st.integers(1, 700), seed=seeds, size=st.sampled_from([1e-3, 1.0, 1e4]), offset=st.floats(-1e4, 1e4))
def test_a_page_has_the_gaussians_within_the_promised_errors(count: int, seed: int, size: float, offset: float) -> None:
    given = random_gaussians(count, seed)
    given = given.__class__(*(size * given.means + np.float32(offset), *list(vars(given).values())[1:]))
    found = unpacked(pack(given), count)
    own = given.select(curve_order(given.means))
    rounding = 4 * np.spacing(np.abs(own.means).max())
    assert (np.abs(found.means - own.means) <= chunk_extent(own.means) / 131070 * 1.001 + rounding).all()
    assert (np.abs(found.log_scales - own.log_scales) <= chunk_extent(own.log_scales) / 510 * 1.001 + 1e-5).all()
    assert np.abs(found.colors - own.colors).max() <= 1 / 510 + 1e-6
    assert np.abs(found.opacities - own.opacities).max() <= 1 / 510 + 1e-6
    assert np.array_equal(found.rows, own.rows)


@given(seed=seeds)
def test_orientations_turn_by_less_than_a_200th_radian(seed: int) -> None:
    given = Rotation.random(200, random_state=seed)
    x, y, z, w = given.as_quat().T
    w, x, y, z = unpacked_rotations(packed_rotations(np.stack([w, x, y, z], axis=1))).T
    found = Rotation.from_quat(np.stack([x, y, z, w], axis=1))
    assert (found * given.inv()).magnitude().max() < 0.005


@given(quat=st.tuples(*[st.sampled_from([-1.0, 0.0, 1.0])] * 4).filter(any))
def test_orientations_of_equal_components(quat: tuple[float, ...]) -> None:
    unit = np.array([quat]) / np.linalg.norm(quat)
    found = unpacked_rotations(packed_rotations(unit))
    assert abs(float((found * unit).sum())) > 1 - 1e-5


@given(count=st.integers(0, 600), seed=seeds)
def test_each_gaussian_takes_less_than_20_bytes_but_few(count: int, seed: int) -> None:
    chunks = -(-count // CHUNK)
    assert len(pack(random_gaussians(count, seed))) == BYTES_EACH * count + 48 * chunks
    assert BYTES_EACH + 48 / CHUNK < 20


@given(count=st.integers(1, 500), seed=seeds)
def test_the_order_has_every_gaussian_once_and_neighbours_together(count: int, seed: int) -> None:
    means = np.random.default_rng(seed).standard_normal((count, 3))
    order = curve_order(means)
    assert np.array_equal(np.sort(order), np.arange(count))
    if count >= 200:
        steps, before = (np.linalg.norm(np.diff(points, axis=0), axis=1).mean() for points in (means[order], means))
        assert steps < 0.7 * before


def test_a_stray_gaussian_leaves_the_others_their_places() -> None:
    given = random_gaussians(2000)
    given.means[0] = 1e6
    order = curve_order(given.means)
    found = unpacked(pack(given), 2000)
    wrong = np.linalg.norm(found.means - given.means[order], axis=1) > 0.01
    assert wrong.sum() <= CHUNK


def test_what_is_too_thin_or_too_large_to_matter_spoils_no_others() -> None:
    given = random_gaussians(300)
    given.log_scales[:2] = [[-1e30] * 3, [1e30] * 3]
    found = unpacked(pack(given), 300).log_scales
    assert found.min() == LOG_SCALES[0] and found.max() == LOG_SCALES[1]


def test_rows_beyond_16_bits_are_refused() -> None:
    given = random_gaussians(3)
    given.rows[2] = 65536
    with pytest.raises(ValueError, match="rows from"):
        pack(given)


@given(ids=st.lists(st.integers(0, 10**6), min_size=1, max_size=50), seed=seeds)
def test_rows_say_what_each_gaussian_is_of_and_whether_it_is_seen(ids: list[int], seed: int) -> None:
    seen = np.random.default_rng(seed).integers(0, 2, len(ids))
    rows, units, seen_of_row = table_rows(np.array(ids), seen)
    assert np.array_equal(units[rows], ids) and np.array_equal(seen_of_row[rows], seen)
    assert len({*zip(units.tolist(), seen_of_row.tolist(), strict=True)}) == len(units)
