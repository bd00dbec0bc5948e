"""Straight alpha and pictures side by side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.export.videos.pictures import side_by_side, straight_alpha, to_uint8

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_straight_alpha_over_black_is_the_render_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, (5, 7, 1)) * (rng.random((5, 7, 1)) > 0.2)
    premultiplied = rng.uniform(0, 1, (5, 7, 3)) * alpha
    rgba = straight_alpha(premultiplied, alpha)
    np.testing.assert_allclose(rgba[..., :3] * rgba[..., 3:], premultiplied, atol=1e-12)
    assert (rgba >= 0).all() and (rgba <= 1).all()
    assert (rgba[..., 3:] == alpha).all() and (rgba[alpha[..., 0] == 0] == 0).all()
    # In 8 bits, over any background, at most one step for colour and one for alpha.
    background = rng.uniform(0, 1, 3)
    eight = to_uint8(rgba) / 255
    composed = eight[..., 3:] * eight[..., :3] + (1 - eight[..., 3:]) * background
    assert np.abs(composed - (premultiplied + (1 - alpha) * background)).max() <= 1.5 / 255


def test_eight_bits_are_rounded_and_clipped() -> None:
    assert to_uint8(np.array([[[-1.0, 0.5 / 255 + 1e-9, 7.0]]])).tolist() == [[[0, 1, 255]]]


@given(seeds, st.lists(st.tuples(st.integers(1, 5), st.sampled_from([3, 4])), min_size=1, max_size=4))
def test_every_picture_stands_in_its_place(seed: int, kinds: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(0, 256, (4, width, channels), np.uint8) for width, channels in kinds]
    row = side_by_side(pictures)
    assert row.shape == (4, sum(width for width, _ in kinds), max(channels for _, channels in kinds))
    start = 0
    for picture in pictures:
        part = row[:, start : start + picture.shape[1]]
        assert (part[..., : picture.shape[2]] == picture).all() and (part[..., picture.shape[2] :] == 255).all()
        start += picture.shape[1]


def test_pictures_of_two_heights_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="dimension"):
        side_by_side([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])
