"""Agreement of masks against erosions, hand-made cases and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion

from proto_saga_ns.evaluation.lerf_mask import border, boundary_iou, iou

masks = array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(lambda shape: arrays(bool, shape))
pairs = array_shapes(min_dims=2, max_dims=2, max_side=20).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


def eroded_border(mask: np.ndarray, share: float) -> np.ndarray:
    """As the peers' code: a rim of zeros, erosions by 3x3, what they took away."""
    times = max(1, round(share * float(np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2))))
    rimmed = np.pad(mask, 1)
    left = binary_erosion(rimmed, np.ones((3, 3)), iterations=times)
    return (rimmed & ~left)[1:-1, 1:-1]


@given(masks, st.sampled_from([0.01, 0.02, 0.1, 0.3]))
def test_a_border_is_what_erosions_take_away(mask: np.ndarray, share: float) -> None:
    assert (border(mask, share) == eroded_border(mask, share)).all()


@given(pairs)
def test_laws_of_agreement(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair
    for score in (iou, boundary_iou):
        assert 0 <= score(first, second) == score(second, first) <= 1
        assert score(first, first) == 1
        assert score(first[::-1], second[::-1]) == score(first, second)
        assert score(first.T, second.T) == score(first, second)


def test_known_answers() -> None:
    square, shifted = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    square[20:60, 20:60] = True
    shifted[20:60, 40:80] = True
    assert iou(square, shifted) == pytest.approx(1 / 3)
    # Borders are 3 pixels wide, 444 pixels each. They share two strips of 20 x 3 at top and bottom, and where the left
    # side of one crosses the other there are only these strips again.
    shared = 2 * 20 * 3
    assert border(square).sum() == 40 * 40 - 34 * 34 == 444
    assert boundary_iou(square, shifted) == pytest.approx(shared / (2 * 444 - shared))
    assert iou(square, np.zeros_like(square)) == 0 == boundary_iou(square, np.zeros_like(square))


@pytest.mark.usefixtures("unchecked_shapes")
def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"masks are \(2, 3\) and \(3, 2\)"):
        iou(np.zeros((2, 3), bool), np.zeros((3, 2), bool))
