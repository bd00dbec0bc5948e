"""How much of the scene there is to see: cells of near Gaussians, and what views show of them in the mean."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus.blended_views import BlendedView
from proto_saga_ns.association.consensus.survey import cells_of, shown_once, survey
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL

SEEDS = st.integers(0, 10**6)


@settings(max_examples=40)
@given(st.integers(0, 6), st.integers(0, 8), SEEDS)
def test_the_mean_is_of_views_that_show_a_cell(num_views: int, num_cells: int, seed: int) -> None:
    weights = np.random.default_rng(seed).choice([0, 1, 19, 20, 400, 401], (num_views, num_cells))
    expected = []
    for column in weights.T.tolist():
        shown = [weight for weight in column if weight and 20 * weight >= max(column)]
        expected.append(sum(shown) / max(len(shown), 1))
    assert shown_once(weights).tolist() == expected


@settings(max_examples=30)
@given(st.integers(0, 200), st.integers(1, 40), SEEDS)
def test_cells_are_all_taken_and_equally_large(count: int, wanted: int, seed: int) -> None:
    means = np.random.default_rng(seed).normal(size=(count, 3))
    sizes = np.bincount(cells_of(means, wanted))
    assert len(sizes) == min(wanted, count)
    assert count == 0 or np.ptp(sizes) <= 1
    assert (cells_of(100 * means + 7, wanted) == cells_of(means, wanted)).all()


def test_what_lies_in_one_cell_is_near() -> None:
    means = np.random.default_rng(0).uniform(size=(4096, 3))
    cells = cells_of(means, 64)
    widths = [np.ptp(means[cells == cell], axis=0).prod() for cell in range(64)]
    assert np.median(widths) < 4 / 64


def test_as_many_views_as_like_of_each_room_make_the_scene_no_larger() -> None:
    """Two rooms, of which every view shows one, and a little of the other."""
    rng = np.random.default_rng(0)
    means = rng.uniform(size=(400, 3)) + 9 * (np.arange(400) >= 200)[:, None]
    for counts in ((1, 1), (5, 2)):
        views = []
        for room in np.repeat([0, 1], counts):
            units = np.where(np.arange(400) // 200 == room, 100, 1) * UNITS_PER_PIXEL
            views.append(BlendedView(np.arange(400), np.ones(400, np.int64), units, 2))
        assert np.isclose(survey(views, means).once.sum(), 400 * 100 * UNITS_PER_PIXEL, rtol=0.02)
