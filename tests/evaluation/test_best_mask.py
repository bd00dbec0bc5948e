"""The best-mask protocol against a literal reading of it, cases with known answers, and laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.best_mask import BestMaskProtocol, BestMaskResult
from proto_saga_ns.evaluation.folders import evaluate_best_masks
from proto_saga_ns.labels import write_label_map

Frames = list[tuple[np.ndarray, np.ndarray]]

maps = hnp.arrays(np.int32, (4, 5), elements=st.integers(0, 4))
shown = maps.filter(np.any)
sequences = st.lists(st.tuples(shown, maps), min_size=1, max_size=4)

PERFECT = (1.0, 1.0, 1.0, 1.0)
NOTHING = (0.0, 0.0, 0.0, 0.0)


def evaluate(frames: Frames, *, merge_objects: bool = False) -> BestMaskResult:
    protocol = BestMaskProtocol(merge_objects=merge_objects)
    for truth, prediction in frames:
        protocol.add(truth, prediction)
    return protocol.result()


def mask_iou(truth: np.ndarray, mask: np.ndarray) -> float:
    return float((truth & mask).sum() / (truth | mask).sum())


def present(map: np.ndarray) -> list[int]:
    return [int(id) for id in np.unique(map) if id != 0]


def literal_iou(frames: Frames) -> float:
    """The truth beside every predicted mask, one after another; the highest IoU, averaged over images."""
    images = []
    for truth, prediction in frames:
        ious = [
            max((mask_iou(truth == g, prediction == p) for p in present(prediction)), default=0.0)
            for g in present(truth)
        ]
        images.append(np.mean(ious))
    return float(np.mean(images))


def literal_track_ious(frames: Frames) -> dict[int, float]:
    """For each object the highest mean IoU that one id reaches over the frames that show the object."""
    objects = sorted({id for truth, _ in frames for id in present(truth)})
    tracks = sorted({id for _, prediction in frames for id in present(prediction)})
    return {
        g: max(
            (float(np.mean([mask_iou(t == g, p == track) for t, p in frames if (t == g).any()])) for track in tracks),
            default=0.0,
        )
        for g in objects
    }


@given(sequences)
@settings(max_examples=80)
def test_it_agrees_with_a_literal_reading(frames: Frames) -> None:
    assert evaluate(frames).best[0] == pytest.approx(literal_iou(frames), abs=1e-12)


@given(sequences)
@settings(max_examples=80)
def test_tracks_agree_with_a_literal_reading(frames: Frames) -> None:
    merged = [((truth != 0).astype(np.int32), prediction) for truth, prediction in frames]
    expected = literal_track_ious(merged)[1]
    assert evaluate(frames, merge_objects=True).track[0] == pytest.approx(expected, abs=1e-12)


@given(sequences, st.permutations(range(1, 5)), st.permutations(range(1, 5)))
@settings(max_examples=80)
def test_renumbering_changes_nothing(frames: Frames, truth_ids: list[int], prediction_ids: list[int]) -> None:
    renumbered = [(np.array([0, *truth_ids])[t], np.array([0, *prediction_ids])[p]) for t, p in frames]
    first, second = evaluate(frames), evaluate(renumbered)
    assert first.best == pytest.approx(second.best) and first.track == pytest.approx(second.track)


@given(sequences)
@settings(max_examples=50)
def test_a_track_is_never_better_than_the_best_masks(frames: Frames) -> None:
    result = evaluate(frames)
    assert result.track[0] <= result.best[0] + 1e-12
    for iou, f1, precision, recall in (result.best, result.track):
        assert 0 <= iou <= min(f1, precision, recall) <= max(precision, recall) <= 1 + 1e-12


@given(st.lists(shown, min_size=1, max_size=3))
@settings(max_examples=30)
def test_the_truth_itself_is_perfect(truths: list[np.ndarray]) -> None:
    result = evaluate([(truth, truth) for truth in truths])
    assert result.best == result.track == PERFECT
    assert set(result.tracks.items()) == {(id, id) for id in result.tracks}
    assert {result.figures()[name] for name in ("IoU", "F1", "precision", "recall", "IoU of tracks")} == {100.0}


def test_a_case_by_hand() -> None:
    truth = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    first = np.array([[7, 7, 7, 9], [7, 0, 0, 0]])  # 7: 3 of 5 in union; 9: 1 of 4
    second = np.array([[9, 9, 7, 0], [0, 0, 0, 0]])  # 9: 2 of 4; 7: 1 of 4
    result = evaluate([(truth, first), (truth, second)])
    assert result.best == pytest.approx(
        ((3 / 5 + 2 / 4) / 2, (6 / 8 + 4 / 6) / 2, (3 / 4 + 1) / 2, (3 / 4 + 2 / 4) / 2)
    )
    assert result.tracks == {1: 7}
    assert result.track == pytest.approx(
        ((3 / 5 + 1 / 4) / 2, (6 / 8 + 2 / 5) / 2, (3 / 4 + 1) / 2, (3 / 4 + 1 / 4) / 2)
    )
    assert (result.num_frames, result.num_objects, result.num_predicted) == (2, 1, 2)


def test_ids_that_swap_cost_the_track_only() -> None:
    truth = np.array([[1, 2]])
    result = evaluate([(truth, np.array([[5, 6]])), (truth, np.array([[6, 5]]))])
    assert result.best == PERFECT
    assert result.track == (0.5, 0.5, 0.5, 0.5)


def test_a_track_that_is_missing_in_a_frame_scores_nothing_there() -> None:
    truth = np.array([[1, 0]])
    result = evaluate([(truth, np.array([[5, 0]])), (truth, np.array([[0, 0]]))])
    assert result.track == result.best == (0.5, 0.5, 0.5, 0.5)


def test_frames_without_the_object_are_left_out() -> None:
    shows, empty = np.array([[1, 0]]), np.array([[0, 0]])
    result = evaluate([(shows, shows), (empty, shows)])
    assert result.best == result.track == PERFECT
    assert (result.num_frames, result.num_absent) == (1, 1)


def test_every_image_counts_once() -> None:
    both, one = np.array([[1, 2]]), np.array([[1, 0]])
    # The first image: 1 is found, 2 is not. The second: 1 is found.
    assert evaluate([(both, np.array([[3, 0]])), (one, np.array([[3, 0]]))]).best[0] == pytest.approx(0.75)


def test_unlabelled_pixels_are_no_mask() -> None:
    result = evaluate([(np.array([[1, 1]]), np.array([[0, 0]]))])
    assert result.best == result.track == NOTHING
    assert result.tracks == {} and result.num_predicted == 0


def test_of_equal_ious_the_more_precise_counts() -> None:
    truth = np.array([[1, 1, 1, 1, 1, 1, 0, 0, 0]])
    prediction = np.array([[4, 4, 5, 5, 5, 0, 5, 5, 5]])  # 4: 2 of 6; 5: 3 of 9
    renumbered = np.array([[5, 5, 4, 4, 4, 0, 4, 4, 4]])
    for labels in (prediction, renumbered):
        assert evaluate([(truth, labels)]).best == pytest.approx((1 / 3, 1 / 2, 1, 1 / 3))


def test_objects_can_be_merged() -> None:
    truth, prediction = np.array([[1, 255, 0]]), np.array([[4, 4, 0]])
    assert evaluate([(truth, prediction)]).best[0] == 0.5
    merged = evaluate([(truth, prediction)], merge_objects=True)
    assert merged.best == PERFECT and merged.num_objects == 1


def test_a_prediction_is_resized_to_the_truth() -> None:
    truth = np.kron(np.array([[1, 2], [3, 60_000]]), np.ones((4, 4), np.int64))
    assert evaluate([(truth, truth[::4, ::4])]).best == PERFECT


def test_bad_input_is_refused() -> None:
    with pytest.raises(ProtoSagaError, match="None of the 0"):
        BestMaskProtocol().result()
    with pytest.raises(ProtoSagaError, match="None of the 1 annotations"):
        evaluate([(np.zeros((2, 2), np.int32), np.ones((2, 2), np.int32))])
    with pytest.raises(ValueError, match="negative"):
        BestMaskProtocol().add(np.array([[0]]), np.array([[-1]]))


def test_folders_are_paired_by_stem_and_a_missing_frame_is_named(tmp_path: Path) -> None:
    truth = np.array([[1, 1, 0], [2, 2, 0]])
    for folder in ("truth", "maps"):
        for stem in ("a", "b"):
            write_label_map(tmp_path / folder / f"{stem}.png", truth)
    assert evaluate_best_masks(tmp_path / "maps", tmp_path / "truth").best == PERFECT
    (tmp_path / "maps" / "b.png").unlink()
    assert evaluate_best_masks(tmp_path / "maps", [tmp_path / "truth" / "a.png"]).best == PERFECT
    with pytest.raises(ProtoSagaError, match=r"maps/b\.png"):
        evaluate_best_masks(tmp_path / "maps", tmp_path / "truth")
