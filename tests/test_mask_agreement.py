"""Agreement of a segmentation with its masks: against a literal reading, a case by hand, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proto_saga_ns.recognition.agreement import VISIBLE_SHARE, MaskAgreement

IDS = range(1, 5)
maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4))
views = st.lists(st.tuples(maps, maps), min_size=0, max_size=5)
Views = list[tuple[np.ndarray, np.ndarray]]


def shares(given: Views) -> list[float]:
    counted = MaskAgreement()
    for segmented, masks in given:
        counted.add(segmented, masks)
    return [counted.share(number) for number in IDS]


def literal_share(given: Views, number: int) -> float:
    """One view after another, by sets of pixels."""
    votes = []
    for segmented, masks in given:
        mine, theirs = segmented == number, masks == number
        if (mine | theirs).any():
            votes.append((mine & theirs).sum() / (mine | theirs).sum() > 0.5)
    return float(np.mean(votes)) if votes else 0.0


@given(views)
@settings(max_examples=60)
def test_it_is_what_it_says(given: Views) -> None:
    assert shares(given) == pytest.approx([literal_share(given, number) for number in IDS])


@given(views, st.permutations(IDS))
@settings(max_examples=30)
def test_renumbering_renumbers(given: Views, order: list[int]) -> None:
    table = np.array([0, *order])
    renumbered = [(table[segmented], table[masks]) for segmented, masks in given]
    assert shares(given) == [shares(renumbered)[order[number - 1] - 1] for number in IDS]


def test_a_case_by_hand() -> None:
    """Instance 1 agrees in one of two views; 2 has masks that nothing shows; 3 is segmented where no mask is."""
    agreeing = (np.array([[1, 1, 1, 3]]), np.array([[1, 1, 0, 0]]))
    disagreeing = (np.array([[1, 3, 3, 3]]), np.array([[1, 1, 2, 2]]))  # half of instance 1 is not above one half
    assert shares([agreeing, disagreeing]) == [0.5, 0.0, 0.0, 0.0]


def test_a_few_stray_pixels_show_nothing() -> None:
    side = 100
    few = int(VISIBLE_SHARE * side**2) - 1
    stray, masks = np.zeros((2, side, side), np.int32)
    stray[0, :few] = 1
    whole = np.ones((side, side), np.int32)
    assert shares([(stray, masks), (whole, whole)])[0] == 1.0
    stray[0, : few + 1] = 1
    assert shares([(stray, masks), (whole, whole)])[0] == 0.5
