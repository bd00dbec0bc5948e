"""The instance protocol of Gaga's ``eval.py`` (Replica and ScanNet; Tables 1, 3, 4, 5 and 7 of Proto-SaGa).

Ids are scene-wide. No id is special: 0 is counted on both sides like any other. A variant that ignores void
(0) is reported beside it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.contingency import Contingency

HIT_IOU = 0.5


@dataclass(frozen=True)
class InstanceResult:
    """Figures of a whole scene; ratios in [0, 1].

    Attributes:
        miou: mean IoU over all true instances, 0 for those without a match.
        precision: share of the predicted instances that match with an IoU above 0.5.
        recall: share of the true instances that do.
        num_truth: true instances.
        num_predicted: predicted instances.
        iou: of each true instance with its match.
        matched: predicted id of each true instance that overlaps its match.
        without_void: the same with void ignored: pixels that are 0 in the ground truth are left out, and 0 is
            no predicted instance. None if there is nothing but void, and in the variant itself.
    """

    miou: float
    precision: float
    recall: float
    num_truth: int
    num_predicted: int
    iou: dict[int, float]
    matched: dict[int, int]
    without_void: InstanceResult | None = None

    @property
    def matched_without_void(self) -> dict[int, int]:
        """``matched`` with void ignored; empty if there is nothing but void."""
        return {} if self.without_void is None else self.without_void.matched

    def figures(self) -> dict[str, float | int]:
        """What a table shows; ratios as percentages."""
        figures = self._own_figures("")
        return figures if self.without_void is None else figures | self.without_void._own_figures(" without void")

    def _own_figures(self, suffix: str) -> dict[str, float | int]:
        return {
            f"mIoU{suffix}": 100 * self.miou,
            f"precision{suffix}": 100 * self.precision,
            f"recall{suffix}": 100 * self.recall,
            f"instances{suffix} (truth)": self.num_truth,
            f"instances{suffix} (predicted)": self.num_predicted,
        }


@dataclass
class _Overlaps:
    """Sums over frames of the IoU of every pair that ever overlaps."""

    iou_sums: defaultdict[tuple[int, int], float] = field(default_factory=lambda: defaultdict(float))
    num_frames: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    predicted: set[int] = field(default_factory=set)

    def add(self, table: Contingency) -> None:
        self.predicted.update(table.prediction_ids.tolist())
        for truth in table.truth_ids.tolist():
            self.num_frames[truth] += 1
        ious = table.iou()
        for row, column in np.argwhere(table.counts).tolist():
            pair = (int(table.truth_ids[row]), int(table.prediction_ids[column]))
            self.iou_sums[pair] += float(ious[row, column])

    def result(self, without_void: InstanceResult | None = None) -> InstanceResult:
        truth_ids, prediction_ids = sorted(self.num_frames), sorted(self.predicted)
        matrix = self._matrix(truth_ids, prediction_ids)
        rows, columns = linear_sum_assignment(matrix, maximize=True)
        ious = matrix[rows, columns]
        hits = int((ious > HIT_IOU).sum())
        pairs = list(zip(rows.tolist(), columns.tolist(), ious.tolist(), strict=True))
        return InstanceResult(
            miou=float(ious.mean()),
            precision=hits / max(len(prediction_ids), 1),
            recall=hits / len(truth_ids),
            num_truth=len(truth_ids),
            num_predicted=len(prediction_ids),
            iou={truth_ids[row]: iou for row, _, iou in pairs},
            matched={truth_ids[row]: prediction_ids[column] for row, column, iou in pairs if iou > 0},
            without_void=without_void,
        )

    def _matrix(self, truth_ids: list[int], prediction_ids: list[int]) -> Float[np.ndarray, "G P"]:
        """Mean IoU over the frames that contain the true instance; at least as many columns as rows."""
        rows = {id: row for row, id in enumerate(truth_ids)}
        columns = {id: column for column, id in enumerate(prediction_ids)}
        matrix = np.zeros((len(truth_ids), max(len(truth_ids), len(prediction_ids))))
        for (truth, predicted), total in self.iou_sums.items():
            matrix[rows[truth], columns[predicted]] = total / self.num_frames[truth]
        return matrix


class InstanceProtocol:
    """Collects frames one at a time; needs memory for pairs of overlapping ids only."""

    def __init__(self) -> None:
        self._all = _Overlaps()
        self._without_void = _Overlaps()

    def add(self, truth: Int[np.ndarray, "H W"], prediction: Int[np.ndarray, "H2 W2"]) -> None:
        """Take one frame; a prediction of another size is resized (nearest) to the size of the truth.

        Raises:
            ValueError: a negative id, or maps that are not two-dimensional.
        """
        table = Contingency.of_frame(truth, prediction)
        self._all.add(table)
        self._without_void.add(table.without_void())

    def result(self) -> InstanceResult:
        """The figures of all frames so far.

        Raises:
            ProtoSagaError: there was no frame.
        """
        if not self._all.num_frames:
            raise ProtoSagaError("There is no frame to evaluate. Give at least one view with ground truth.")
        without_void = self._without_void.result() if self._without_void.num_frames else None
        return self._all.result(without_void)
