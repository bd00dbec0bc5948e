"""The benchmark of large scenes runs every stage, whatever the size."""

from __future__ import annotations

import math

import bench_scale
import pytest
from bench_scale import PARTS, Part, Row, Size

TINY = Size(gaussians=600, width=96, height=54, views=3, masks=20, instances=5)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.filterwarnings("ignore")
def test_each_stage_gives_rows_of_numbers(part: Part) -> None:
    rows = PARTS[part](TINY)
    assert rows and all(isinstance(row, Row) for row in rows)
    for row in rows:
        assert math.isfinite(row.peak) and row.seconds > 0 and row.clock > 0 and row.before > 0
        assert str(row).count("|") == 6


def test_what_could_hide_in_a_stage_is_measured_with_less_of_it() -> None:
    for sizes in bench_scale._runs(TINY).values():
        few, all_of_it = sizes
        assert all_of_it == TINY and few != TINY and few.gaussians == TINY.gaussians
        assert (few.views, few.masks, few.instances) <= (TINY.views, TINY.masks, TINY.instances)
