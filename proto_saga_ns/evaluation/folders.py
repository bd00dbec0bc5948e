"""Evaluating folders of label maps, file by file with the same stem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult
from proto_saga_ns.labels import read_label_map


def evaluate_folders(predictions: Path, ground_truth: Path) -> InstanceResult:
    """Run the instance protocol over all frames of ``ground_truth``, in name order.

    Args:
        predictions: folder with ``<stem>.png`` for every frame; more files than that do no harm.
        ground_truth: folder of PNG label maps with the true instance ids.

    Raises:
        ProtoSagaError: a folder or a prediction is missing, no ground truth, or an unreadable label map.
    """
    protocol = InstanceProtocol()
    for predicted, truth in list(_pairs(predictions, ground_truth)):
        protocol.add(read_label_map(truth), read_label_map(predicted))
    return protocol.result()


def _pairs(predictions: Path, ground_truth: Path) -> Iterator[tuple[Path, Path]]:
    """Prediction and truth of each frame; checks that all are there."""
    for folder in (predictions, ground_truth):
        if not folder.is_dir():
            raise ProtoSagaError(f"{folder} is not a folder; expected one with PNG label maps. Check the path.")
    truths = sorted(path for path in ground_truth.iterdir() if path.suffix.lower() == ".png")
    if not truths:
        raise ProtoSagaError(f"{ground_truth} holds no PNG; expected one label map for every view to evaluate.")
    for truth in truths:
        predicted = predictions / f"{truth.stem}.png"
        if not predicted.is_file():
            raise ProtoSagaError(
                f"There is no prediction {predicted} for the ground truth {truth}. A missing frame would "
                "make the figures look better than they are: segment that view too, or remove its truth."
            )
        yield predicted, truth
