"""Consistency by matches: cases with known answers, laws, and the exact one where both apply."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.consistency import pixel_consistency
from proto_saga_ns.evaluation.mask_consistency import MaskConsistency, mask_consistency, mask_features
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.matches import Matches
from tests.evaluation.test_consistency import wall

maps = hnp.arrays(np.int32, (3, 4), elements=st.integers(0, 4))
masks = maps.map(lambda labels: np.where(labels.any(), labels, 1))


def every_pixel(a: Frame, b: Frame) -> Matches:
    """The camera and the scene stand still."""
    rows, columns = np.indices(a.size).reshape(2, -1)
    xy = np.stack([columns, rows], -1).astype(np.float32) + 0.5
    return Matches(xy, xy, np.ones(len(xy), np.float32))


def evaluate(label_maps: Sequence[np.ndarray], points: Sequence[int] | None = None, window: int = 1) -> MaskConsistency:
    """Frames of which all pixels, or those with an index in ``points``, match."""
    frames = [Frame(str(index), np.zeros((*ids.shape, 3), np.uint8)) for index, ids in enumerate(label_maps)]

    def match(a: Frame, b: Frame) -> Matches:
        found = every_pixel(a, b)
        return found if points is None else found.select(np.array(points, int))

    return mask_consistency(frames, label_maps, match, window=window)


def test_a_case_by_hand() -> None:
    result = evaluate([np.array([[1, 1, 1, 2, 0]]), np.array([[1, 1, 2, 2, 5]])])
    # Forth: 1 (3 px) lands 2 of 3, 2 (1 px) 1 of 1. Back: 1 (2 px) 2 of 2, 2 (2 px) 1 of 2, 5 (1 px) 0 of 1.
    assert result.share == pytest.approx((3 * 2 / 3 + 1 + 2 + 2 * 1 / 2 + 0) / 9)
    assert result.cosine == pytest.approx((3 * 2 / 5**0.5 + 1 + 2 + 2 * 1 / 2**0.5 + 0) / 9)
    assert (result.compared, result.num_pairs, result.num_matches) == (1.0, 1, 5)
    assert (result.degeneracy.num_ids, result.degeneracy.labelled) == (3, 0.9)


def test_masks_count_by_their_area_wherever_the_matches_lie() -> None:
    labels = [np.array([[1, 1, 1, 2]]), np.array([[1, 1, 1, 3]])]
    # One match in each mask: 1 keeps its id, 2 and 3 do not.
    assert evaluate(labels, points=[0, 3]).share == pytest.approx(6 / 8)


def test_masks_without_a_match_are_left_out_and_it_is_said() -> None:
    labels = [np.array([[1, 1, 1, 2]])] * 2
    result = evaluate(labels, points=[3])
    assert (result.share, result.compared, result.num_matches) == (1.0, 0.25, 1)


def test_features_are_counts_of_where_matches_land() -> None:
    ids, features = mask_features(np.array([4, 4, 4, 0, 2]), np.array([4, 0, 4, 1, 3]))
    assert ids.tolist() == [2, 4]
    assert features.tolist() == [[0, 0, 0, 1, 0], [1, 0, 0, 0, 2]]


@given(st.lists(masks, min_size=2, max_size=4), st.permutations(range(1, 5)))
@settings(max_examples=50)
def test_renumbering_changes_nothing(labels: list[np.ndarray], ids: list[int]) -> None:
    first, second = evaluate(labels), evaluate([np.array([0, *ids])[view] for view in labels])
    assert (first.share, first.cosine) == pytest.approx((second.share, second.cosine))
    assert 0 <= first.share <= first.cosine + 1e-12 <= 1 + 2e-12


@given(masks)
@settings(max_examples=30)
def test_what_stands_still_scores_100_and_so_does_one_mask(labels: np.ndarray) -> None:
    for view in (labels, np.ones_like(labels)):
        figures = evaluate([view, view, view]).figures()
        assert figures["consistency"] == figures["consistency (cosine of masks)"] == pytest.approx(100)
    assert evaluate([np.ones_like(labels)] * 2).degeneracy.largest == 1


@given(masks, masks)
@settings(max_examples=30)
def test_it_is_the_exact_one_where_every_pixel_has_its_match(first: np.ndarray, second: np.ndarray) -> None:
    exact = pixel_consistency(*wall([first, second], [0, 0]), epsilon=0.1)
    assert evaluate([first, second]).share == pytest.approx(exact.consistency)


def test_a_window_reaches_farther_frames() -> None:
    labels = [np.array([[1]]), np.array([[1]]), np.array([[2]])]
    assert evaluate(labels).share == pytest.approx(1 / 2)
    assert evaluate(labels, window=2).share == pytest.approx(1 / 3)
    assert evaluate(labels, window=2).num_pairs == 3


def test_label_maps_are_resized() -> None:
    large = np.kron(np.array([[1, 2]]), np.ones((4, 4), np.int64))
    frames = [Frame(name, np.zeros((1, 2, 3), np.uint8)) for name in "ab"]
    assert mask_consistency(frames, [large, large], every_pixel).share == 1.0


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ProtoSagaError, match="No labelled pixel has a match in the 1 pairs"):
        evaluate([np.array([[1]]), np.array([[1]])], points=[])
    with pytest.raises(ProtoSagaError, match="in the 0 pairs of 1 frames"):
        evaluate([np.array([[1]])])
