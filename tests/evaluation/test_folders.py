"""Folders of label maps are paired by stem, and a missing one is an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.folders import evaluate_folders
from proto_saga_ns.labels import write_label_map


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two frames that are right but for a quarter of instance 1 in the first, and a prediction too many."""
    truth = np.array([[1, 1, 1, 1], [2, 2, 2, 2]])
    wrong = np.array([[1, 1, 1, 2], [2, 2, 2, 2]])
    for stem, prediction in (("a", wrong), ("b", truth), ("c", truth)):
        write_label_map(tmp_path / "predictions" / f"{stem}.png", prediction)
    for stem in ("a", "b"):
        write_label_map(tmp_path / "truth" / f"{stem}.png", truth)
    return tmp_path / "predictions", tmp_path / "truth"


def test_folders_are_evaluated_over_all_frames(folders: tuple[Path, Path]) -> None:
    result = evaluate_folders(*folders)
    assert result.iou == pytest.approx({1: (0.75 + 1) / 2, 2: (0.8 + 1) / 2})


def test_a_missing_prediction_is_named(folders: tuple[Path, Path]) -> None:
    predictions, truth = folders
    (predictions / "b.png").unlink()
    with pytest.raises(ProtoSagaError, match=r"predictions/b\.png"):
        evaluate_folders(predictions, truth)


def test_folders_that_are_not_there_or_empty_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProtoSagaError, match="nowhere is not a folder"):
        evaluate_folders(tmp_path / "nowhere", folders[1])
    with pytest.raises(ProtoSagaError, match="empty holds no PNG"):
        evaluate_folders(folders[0], tmp_path / "empty")
