"""Colours of the stages of a view: of its own masks, of instances, and of several runs that are compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from proto_saga_ns.evaluation.report.panels import SeenView
from proto_saga_ns.evaluation.report.pictures import error_picture, truth_picture
from proto_saga_ns.evaluation.report.stages import TrainingStages, comparable_picture, novel_pictures, own_colors
from proto_saga_ns.labels.colors import colorize

LABEL_MAPS = arrays(np.int32, (6, 8), elements=st.integers(0, 12))


def seen(labels: np.ndarray, truth: np.ndarray | None = None) -> SeenView:
    photo, rendering = np.random.default_rng(0).integers(0, 256, (2, *labels.shape, 3), np.uint8)
    return SeenView("view_3", photo, rendering, labels, truth)


@settings(max_examples=25)
@given(labels=LABEL_MAPS, name=st.text(max_size=5))
def test_own_colours_tell_masks_apart_and_depend_on_the_name_alone(labels: np.ndarray, name: str) -> None:
    picture = own_colors(labels, name)
    np.testing.assert_array_equal(picture, own_colors(labels, name))
    assert (picture[labels == 0] == 0).all()
    flat = [tuple(color) for color in picture.reshape(-1, 3).tolist()]
    assert len(set(zip(flat, labels.reshape(-1).tolist(), strict=True))) == len(set(flat)) == len(np.unique(labels))


def test_own_colours_differ_between_views() -> None:
    labels = np.arange(12).reshape(3, 4)
    assert len({own_colors(labels, f"view_{index}").tobytes() for index in range(5)}) == 5


@settings(max_examples=25)
@given(labels=LABEL_MAPS, shift=st.integers(1, 50))
def test_runs_that_differ_by_their_numbers_look_the_same(labels: np.ndarray, shift: int) -> None:
    other = np.where(labels > 0, labels + shift, 0)
    reference_of = {id + shift: id for id in range(1, 13)}
    np.testing.assert_array_equal(comparable_picture(other, reference_of), colorize(labels))


@settings(max_examples=25)
@given(labels=LABEL_MAPS)
def test_what_is_not_matched_is_grey_and_matched_colours_stay(labels: np.ndarray) -> None:
    picture = comparable_picture(labels, {1: 7, 2: 3})
    unmatched = labels > 2
    assert (np.ptp(picture[unmatched].astype(int), axis=-1) == 0).all() and (picture[unmatched] > 0).all()
    table = np.array([0, 7, 3])
    np.testing.assert_array_equal(picture[~unmatched], colorize(table[np.minimum(labels, 2)])[~unmatched])


def test_a_line_parts_instances_that_are_not_matched() -> None:
    picture = comparable_picture(np.repeat([[5, 5, 5, 6, 6, 6]], 4, 0), {})
    inside = np.delete(np.arange(6), 2)
    assert picture[:, 2].max() < picture[:, inside].min()


@pytest.mark.parametrize("factor", [1, 2])
def test_masks_of_a_training_view_get_the_colours_of_their_instances(factor: int) -> None:
    masks, labels = np.array([[0, 1, 2], [3, 3, 2]]), np.array([[1, 2, 0], [0, 4, 7]])
    given_masks = np.repeat(np.repeat(masks, factor, 0), factor, 1)
    view = seen(labels)
    pictures = TrainingStages(view, given_masks, [0, 7, 4]).pictures()
    assert [*pictures] == ["photo", "masks of the view", "associated masks", "rendering", "segmentation"]
    np.testing.assert_array_equal(pictures["masks of the view"], own_colors(masks, "view_3"))
    np.testing.assert_array_equal(pictures["associated masks"], colorize(np.array([[0, 7, 4], [0, 0, 4]])))
    np.testing.assert_array_equal(pictures["segmentation"], colorize(labels))
    assert pictures["photo"] is view.photo and pictures["rendering"] is view.rendering


def test_a_novel_view_with_and_without_truth() -> None:
    labels, truth, matched = np.array([[1, 2, 0]]), np.array([[5, 5, 6]]), {5: 1}
    bare, whole = novel_pictures(seen(labels), {}), novel_pictures(seen(labels, truth), matched)
    assert [*bare] == ["photo", "rendering", "segmentation"] and [*whole] == [*bare, "ground truth", "errors"]
    np.testing.assert_array_equal(whole["ground truth"], truth_picture(truth, matched))
    np.testing.assert_array_equal(whole["errors"], error_picture(seen(labels).photo, truth, labels, matched))
