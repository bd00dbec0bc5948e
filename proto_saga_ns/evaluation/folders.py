"""Evaluating folders of label maps, file by file with the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.best_mask import BestMaskProtocol, BestMaskResult
from proto_saga_ns.evaluation.instance import InstanceProtocol, InstanceResult
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.folder import mask_files
from proto_saga_ns.labels.view_names import files_by_name


def evaluate_folders(predictions: Path, ground_truth: Path) -> InstanceResult:
    """Run the instance protocol over all frames of ``ground_truth``, in name order.

    Args:
        predictions: folder with a PNG of the same name for every frame; more files than that do no harm.
        ground_truth: folder of PNG label maps with the true instance ids.

    Raises:
        ProtoSagaError: a folder or a prediction is missing, no ground truth, or an unreadable label map.
    """
    protocol = InstanceProtocol()
    for predicted, truth in list(_pairs(predictions, label_maps_in(ground_truth))):
        protocol.add(read_label_map(truth), read_label_map(predicted))
    return protocol.result()


def evaluate_best_masks(
    predictions: Path, ground_truth: Path | Sequence[Path], *, merge_objects: bool = False
) -> BestMaskResult:
    """Run the best-mask protocol over the annotated frames of one sequence, in name order.

    Args:
        predictions: folder with ``<stem>.png`` for every annotated frame; more files than that do no harm.
        ground_truth: annotations of one sequence (a palette PNG counts by index), or the folder that they are in.
        merge_objects: take all annotated objects for one.

    Raises:
        ProtoSagaError: as in ``evaluate_folders``, or no annotation shows an object.
    """
    in_folder = isinstance(ground_truth, Path)
    truths = label_maps_in(ground_truth) if in_folder else {truth.stem: truth for truth in ground_truth}
    protocol = BestMaskProtocol(merge_objects=merge_objects)
    for predicted, truth in list(_pairs(predictions, truths)):
        protocol.add(read_label_map(truth), read_label_map(predicted))
    return protocol.result()


def label_maps_in(folder: Path) -> dict[str, Path]:
    """The PNG files of a folder by the names of their views, in order; those of the folders in it if it has none.

    Raises:
        ProtoSagaError: no such folder, or none in it.
    """
    _check_folder(folder)
    there = mask_files(folder)
    found = [path for path in there if path.parent == folder] or there
    if not found:
        raise ProtoSagaError(f"{folder} holds no PNG; expected one label map for every view to evaluate.")
    return files_by_name(folder, found)


def _pairs(predictions: Path, truths: Mapping[str, Path]) -> Iterator[tuple[Path, Path]]:
    """Prediction and truth of each frame; checks that all are there."""
    _check_folder(predictions)
    for name, truth in truths.items():
        predicted = predictions / f"{name}.png"
        if not predicted.is_file():
            raise ProtoSagaError(
                f"There is no prediction {predicted} for the ground truth {truth}. A missing frame would "
                "make the figures look better than they are: segment that view too, or remove its truth."
            )
        yield predicted, truth


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ProtoSagaError(f"{folder} is not a folder; expected one with PNG label maps. Check the path.")
