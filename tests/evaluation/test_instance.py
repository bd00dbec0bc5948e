"""The instance protocol against a literal reading of it, cases with known answers, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult

Frames = list[tuple[np.ndarray, np.ndarray]]

maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 5))
scenes = st.lists(st.tuples(maps, maps), min_size=1, max_size=4)


def evaluate(frames: Frames) -> InstanceResult:
    protocol = InstanceProtocol()
    for truth, prediction in frames:
        protocol.add(truth, prediction)
    return protocol.result()


def literal_protocol(frames: Frames, ignored: int | None = None) -> tuple[float, float, float]:
    """mIoU, precision and recall by masks, one pair of ids after another; without the id ``ignored``."""
    frames = [(truth[truth != ignored], prediction[truth != ignored]) for truth, prediction in frames]
    truth_ids = sorted({int(id) for truth, _ in frames for id in truth})
    prediction_ids = sorted({int(id) for _, prediction in frames for id in prediction} - {ignored})
    matrix = np.zeros((len(truth_ids), max(len(truth_ids), len(prediction_ids))))
    for row, g in enumerate(truth_ids):
        for column, p in enumerate(prediction_ids):
            ious = []
            for truth, prediction in frames:
                if (truth == g).any():
                    both = np.logical_and(truth == g, prediction == p).sum()
                    ious.append(both / np.logical_or(truth == g, prediction == p).sum())
            matrix[row, column] = np.mean(ious)
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    matched = matrix[rows, columns]
    hits = (matched > 0.5).sum()
    return float(matched.mean()), hits / max(len(prediction_ids), 1), hits / len(truth_ids)


@given(scenes)
@settings(max_examples=100)
def test_it_agrees_with_a_literal_reading(frames: Frames) -> None:
    result = evaluate(frames)
    expected = literal_protocol(frames)
    assert (result.miou, result.precision, result.recall) == pytest.approx(expected, abs=1e-12)
    assert np.mean(list(result.iou.values())) == pytest.approx(result.miou, abs=1e-12)
    if result.without_void is not None:
        found = (result.without_void.miou, result.without_void.precision, result.without_void.recall)
        assert found == pytest.approx(literal_protocol(frames, ignored=0), abs=1e-12)


@given(scenes, st.permutations(range(6)), st.permutations(range(6)))
@settings(max_examples=50)
def test_renumbering_changes_nothing(frames: Frames, truth_ids: list[int], prediction_ids: list[int]) -> None:
    renumbered = [(np.array(truth_ids)[t], np.array(prediction_ids)[p]) for t, p in frames]
    first, second = evaluate(frames), evaluate(renumbered)
    assert (first.miou, first.num_predicted) == pytest.approx((second.miou, second.num_predicted))


@given(st.lists(maps, min_size=1, max_size=3))
@settings(max_examples=30)
def test_the_truth_itself_is_perfect(truths: list[np.ndarray]) -> None:
    result = evaluate([(truth, truth) for truth in truths])
    assert (result.miou, result.precision, result.recall) == (1.0, 1.0, 1.0)
    assert result.matched == {id: id for id in result.iou}


def test_a_case_by_hand() -> None:
    truth = np.array([[1, 1, 1, 2], [0, 0, 0, 2]])
    first = np.array([[7, 7, 9, 9], [0, 0, 0, 9]])
    second = np.array([[7, 7, 7, 0], [0, 0, 0, 0]])
    result = evaluate([(truth, first), (truth, second)])
    # 1 with 7: (2/3 + 1) / 2; 2 with 9: (2/3 + 0) / 2; 0 with 0: (1 + 3/5) / 2.
    assert result.iou == pytest.approx({0: 4 / 5, 1: 5 / 6, 2: 1 / 3})
    assert result.matched == {0: 0, 1: 7, 2: 9}
    assert (result.precision, result.recall) == pytest.approx((2 / 3, 2 / 3))
    assert result.without_void is not None
    assert result.without_void.iou == pytest.approx({1: 5 / 6, 2: 1 / 3})
    assert (result.without_void.precision, result.without_void.recall) == (0.5, 0.5)


def test_an_instance_counts_only_frames_that_show_it() -> None:
    shows, empty = np.array([[1, 0]]), np.array([[0, 0]])
    assert evaluate([(shows, shows), (empty, shows)]).iou[1] == 1.0


def test_one_prediction_for_everything_matches_once() -> None:
    result = evaluate([(np.array([[1, 1, 1, 2]]), np.array([[5, 5, 5, 5]]))])
    assert result.iou == {1: 0.75, 2: 0.0}
    assert result.matched == {1: 5}
    assert (result.precision, result.recall) == (1.0, 0.5)


def test_an_iou_of_a_half_is_no_hit() -> None:
    assert evaluate([(np.array([[1, 1]]), np.array([[1, 2]]))]).recall == 0.0


def test_the_prediction_is_resized_to_the_truth() -> None:
    truth = np.kron(np.array([[1, 2], [3, 70_000]]), np.ones((4, 4), np.int64))
    assert evaluate([(truth, truth[::4, ::4])]).miou == 1.0


def test_void_alone_has_no_figures_without_void() -> None:
    zeros = np.zeros((2, 2), np.int32)
    result = evaluate([(zeros, zeros)])
    assert result.without_void is None
    assert "mIoU without void" not in result.figures()


def test_predicting_nothing_scores_nothing() -> None:
    result = evaluate([(np.ones((2, 2), np.int32), np.zeros((2, 2), np.int32))]).without_void
    assert result is not None
    assert (result.miou, result.precision, result.recall, result.num_predicted) == (0.0, 0.0, 0.0, 0)


def test_figures_are_percentages() -> None:
    result = evaluate([(np.array([[0, 1]]), np.array([[0, 1]]))])
    figures = replace(result, miou=0.25).figures()
    assert figures["mIoU"] == 25.0
    assert figures["mIoU without void"] == 100.0
    assert figures["instances (truth)"] == 2
    assert figures["instances without void (predicted)"] == 1


@pytest.mark.usefixtures("unchecked_shapes")
def test_bad_input_is_refused() -> None:
    with pytest.raises(ProtoSagaError, match="no frame"):
        InstanceProtocol().result()
    with pytest.raises(ValueError, match="negative"):
        InstanceProtocol().add(np.array([[0]]), np.array([[-1]]))
    with pytest.raises(ValueError, match="two-dimensional"):
        InstanceProtocol().add(np.zeros((2, 2, 3), np.int32), np.zeros((2, 2), np.int32))
