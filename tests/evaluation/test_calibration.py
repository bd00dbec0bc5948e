"""Calibration against a literal reading, a case with known errors, and laws."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from proto_saga_ns.evaluation.calibration import CalibrationProtocol, Reliability, reliability_diagram, reliability_of

Frame = tuple[np.ndarray, np.ndarray, np.ndarray]

maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 5))
confidences = hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32))
scenes = st.lists(st.tuples(maps, maps, confidences), min_size=1, max_size=4)
matches = st.dictionaries(st.integers(1, 5), st.integers(1, 5))


def evaluate(frames: list[Frame], matched: dict[int, int]) -> Reliability:
    protocol = CalibrationProtocol()
    for frame in frames:
        protocol.add(*frame)
    return protocol.result(matched)


def claims(frames: list[Frame], matched: dict[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence of every claim and whether it is right, one pixel after another."""
    found = [
        (float(sure), matched.get(int(true)) == int(label))
        for truth, prediction, confidence in frames
        for true, label, sure in zip(truth.flat, prediction.flat, confidence.flat, strict=True)
        if true and label
    ]
    return np.array([sure for sure, _ in found]), np.array([right for _, right in found], bool)


@given(scenes, matches)
@settings(max_examples=60)
def test_it_agrees_with_a_literal_reading(frames: list[Frame], matched: dict[int, int]) -> None:
    found = evaluate(frames, matched)
    confidence, right = claims(frames, matched)
    assert found.counts.sum() == len(right)
    if len(right) == 0:
        assert found.figures() == {} and found.to_json() == []
        return
    assert found.brier == pytest.approx(np.mean((confidence - right) ** 2))
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = [abs(sum(confidence[bins == b]) - sum(right[bins == b])) for b in range(15)]
    assert found.expected_calibration_error == pytest.approx(sum(gaps) / len(right))


@given(scenes, matches, st.permutations(range(1, 6)), st.permutations(range(1, 6)))
@settings(max_examples=30)
def test_renumbering_changes_nothing(
    frames: list[Frame], matched: dict[int, int], truth_ids: list[int], predicted_ids: list[int]
) -> None:
    true, predicted = np.array([0, *truth_ids]), np.array([0, *predicted_ids])
    renumbered = [(true[truth], predicted[prediction], sure) for truth, prediction, sure in frames]
    same = {int(true[truth]): int(predicted[prediction]) for truth, prediction in matched.items()}
    first, second = evaluate(frames, matched), evaluate(renumbered, same)
    assert first.counts.tolist() == second.counts.tolist()
    np.testing.assert_allclose([*first.accuracy, first.brier], [*second.accuracy, second.brier], atol=1e-12)


def test_a_calibrated_confidence_has_nearly_no_error() -> None:
    generator = np.random.default_rng(0)
    confidence = generator.random(200_000)
    right = (generator.random(200_000) < confidence).astype(int)
    assert reliability_of(confidence, right).expected_calibration_error < 0.01
    # Mean of c (1 - c) over [0, 1].
    assert reliability_of(confidence, right).brier == pytest.approx(1 / 6, abs=0.01)
    overconfident = reliability_of(np.sqrt(confidence), right)
    # The gap is sqrt(c) - c, in the mean 2/3 - 1/2.
    assert overconfident.expected_calibration_error == pytest.approx(1 / 6, abs=0.01)


def test_a_case_by_hand() -> None:
    """True 1 is predicted 7 and true 2 is predicted 8; 9 is matched with nothing."""
    truth = np.array([[1, 1, 1, 1], [2, 2, 0, 2]])
    prediction = np.array([[7, 7, 7, 9], [8, 7, 8, 0]])
    confidence = np.array([[1.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.3, 0.0]])
    found = evaluate([(truth, prediction, confidence)], {1: 7, 2: 8})
    # Six claims: four at 1.0 of which three are right, two at 0.5 of which one is right.
    assert found.counts[[7, 14]].tolist() == [2, 4] and found.counts.sum() == 6
    assert found.accuracy[[7, 14]].tolist() == [0.5, 0.75]
    assert found.expected_calibration_error == pytest.approx(4 / 6 * 0.25)
    assert found.brier == pytest.approx((1 + 2 * 0.25) / 6)
    assert found.to_json()[0] == {
        **{"from": pytest.approx(7 / 15), "to": pytest.approx(8 / 15), "pixels": 2},
        **{"confidence": 0.5, "accuracy": 0.5},
    }


def test_a_smaller_prediction_is_resized() -> None:
    truth, small = np.ones((4, 6), np.int32), np.full((2, 3), 5)
    found = evaluate([(truth, small, np.full((2, 3), 0.9))], {1: 5})
    assert found.counts.sum() == 24 and found.expected_calibration_error == pytest.approx(0.1)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_confidence_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence is"):
        evaluate([(np.ones((4, 6), np.int32), np.full((2, 3), 5), np.ones((4, 6)))], {})


def test_a_diagram_has_a_column_for_each_entry() -> None:
    calibrated = reliability_of(np.array([0.1, 0.5, 0.9]), np.array([0, 1, 1]))
    nothing = reliability_of(np.zeros(0), np.zeros(0, int))
    pictures = [
        Image.open(io.BytesIO(reliability_diagram(found)))
        for found in ({"a": calibrated}, {"a": calibrated, "b": nothing})
    ]
    one, two = pictures
    assert one.format == "PNG" and two.width > one.width and two.height == one.height
    assert one.getextrema() != tuple((255, 255) for _ in one.getbands())
