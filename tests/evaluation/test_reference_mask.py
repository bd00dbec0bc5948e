"""Laws of choosing an object in one view and of comparing it in the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from proto_saga_ns.evaluation.reference_mask import (
    Choice,
    MaskScores,
    ReferenceMaskProtocol,
    chosen_by_mask,
    chosen_by_points,
)

LABELS = arrays(np.int32, (6, 7), elements=st.integers(0, 5))
GROUP, OBJECT, PART = 0.25, 0.5, 1.0


@settings(max_examples=30)
@given(LABELS, LABELS, st.sets(st.integers(1, 5), min_size=1), st.permutations(range(1, 6)))
def test_perfect_labels_score_one_and_other_names_change_nothing(reference, other, ids, order) -> None:
    """If the object is a union of instances, it is found whole; ids are names only."""
    renamed = np.array([0, *order])
    seen = set(np.unique(reference)) & ids
    for names in (np.arange(6), renamed):
        choice = chosen_by_mask({OBJECT: names[reference]}, np.isin(reference, [*ids]))
        assert {*choice.ids} == {int(names[number]) for number in seen} and choice.iou == 1
        protocol = ReferenceMaskProtocol("first", choice)
        protocol.add("second", np.isin(other, [*seen]), names[other])
        wanted = MaskScores(1.0, 1.0) if seen else MaskScores(0.0, 0.0)
        assert protocol.by_view() == {"second": wanted}


def test_a_union_of_parts_beats_the_object_when_the_mask_is_a_part() -> None:
    objects = np.repeat([1, 2], 8).reshape(2, 8)
    parts = np.array([[1, 1, 3, 3, 4, 4, 4, 4], [2] * 8])
    levels = {PART: parts, OBJECT: objects, GROUP: np.ones_like(objects)}
    assert chosen_by_mask(levels, np.isin(parts, (1, 3))) == Choice(PART, (1, 3), 1.0)
    # All three parts make the object: the coarser level says it with one id.
    assert chosen_by_mask(levels, objects == 1) == Choice(OBJECT, (1,), 1.0)
    assert chosen_by_mask(levels, np.ones_like(objects, bool)) == Choice(GROUP, (1,), 1.0)


def test_half_an_instance_is_not_most_of_it() -> None:
    labels = np.array([[1, 1, 1, 1, 0]])
    assert chosen_by_mask({OBJECT: labels}, np.array([[True, True, False, False, True]])) == Choice(OBJECT, (), 0.0)
    assert chosen_by_mask({OBJECT: labels}, np.array([[True, True, True, False, True]])).ids == (1,)


def test_the_reference_view_never_counts() -> None:
    protocol = ReferenceMaskProtocol("first", Choice(OBJECT, (1,)))
    with pytest.raises(ValueError, match="first is the reference"):
        protocol.add("first", np.ones((2, 2), bool), np.ones((2, 2), int))
    with pytest.raises(ValueError, match="no view"):
        protocol.figures()


def test_figures_are_means_over_views() -> None:
    labels = np.array([[1, 1, 0, 0]])
    protocol = ReferenceMaskProtocol("first", Choice(OBJECT, (1,)))
    protocol.add("a", np.array([[True, False, False, False]]), labels)  # IoU 1/2, 3 of 4 are right
    protocol.add("b", np.array([[True, True, True, True]]), labels)  # IoU 1/2, 2 of 4
    protocol.add("c", np.array([[True, True, False, False]]), labels)
    figures = protocol.figures()
    assert figures == pytest.approx(
        {"IoU": 200 / 3, "accuracy": 75.0, "IoU of all pixels": 100 * (1 + 2 + 2) / (2 + 4 + 2), "views": 3}
    )


def test_a_choice_of_nothing_scores_nothing_although_most_pixels_are_right() -> None:
    protocol = ReferenceMaskProtocol("first", Choice(OBJECT, (), 0.0))
    protocol.add("a", np.array([[True, False, False, False]]), np.array([[1, 0, 0, 0]]))
    assert protocol.by_view() == {"a": MaskScores(0.0, 0.0)} and protocol.figures()["accuracy"] == 0


def test_points_choose_by_majority_and_negative_ones_take_away() -> None:
    on, nothing = np.array([1, 1, 1, 2, 0, 0]), np.array([], int)
    assert chosen_by_points(on, nothing) == (1, 2)
    assert chosen_by_points(on, np.array([2, 7])) == (1,)
    assert chosen_by_points(on, np.array([1, 1, 1])) == (2,)
    assert chosen_by_points(on, nothing, min_share=0.4) == (1,)
    assert chosen_by_points(nothing, np.array([3])) == ()
