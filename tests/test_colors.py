"""Colours depend on the id alone and can be told apart."""

from __future__ import annotations

import numpy as np
import pytest

from proto_saga_ns.labels.colors import PALETTE, colorize, instance_colors, overlay
from scripts.make_palette import make_palette, smallest_distance


def test_zero_is_black_and_the_first_ids_have_okabe_and_itos_colours() -> None:
    assert instance_colors(np.array([0, 1, 2])).tolist() == [[0, 0, 0], [230, 159, 0], [86, 180, 233]]


def test_the_script_makes_the_palette() -> None:
    assert np.array_equal(make_palette(), PALETTE)


def test_colours_of_many_instances_stay_apart_for_every_sight() -> None:
    assert smallest_distance(PALETTE[:20]) > 15
    assert smallest_distance(PALETTE) > 8


def test_ids_past_the_palette_have_colours_of_their_own() -> None:
    colors = instance_colors(np.arange(1, 1001))
    assert len(np.unique(colors, axis=0)) > 990
    assert colors.any(axis=1).all()
    assert instance_colors(np.array([65535, 2**31 - 1])).shape == (2, 3)


def test_a_colour_does_not_depend_on_the_other_ids() -> None:
    labels = np.array([[0, 7], [300, 70]])
    for row, column in np.ndindex(2, 2):
        assert np.array_equal(colorize(labels)[row, column], instance_colors(labels[row, column : column + 1])[0])


def test_overlay_leaves_unlabelled_pixels_alone() -> None:
    rgb = np.full((1, 2, 3), 100, np.uint8)
    shown = overlay(rgb, np.array([[0, 1]]), opacity=0.5)
    assert shown.tolist() == [[[100, 100, 100], [165, 130, 50]]]
    assert np.array_equal(overlay(rgb, np.array([[0, 1]]), opacity=0.0), rgb)


def test_negative_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        colorize(np.array([[-1]]))
    with pytest.raises(ValueError, match="negative"):
        instance_colors(np.array([-3]))


def test_an_empty_map_has_an_empty_picture() -> None:
    assert colorize(np.zeros((0, 4), np.int32)).shape == (0, 4, 3)
