"""The best-mask protocol of MastSAM (Sec. V; DAVIS and MOSE; Tables I and II), and a variant that sees identity.

Annotations know a few objects, a prediction segments everything. So for each image and each annotated object the one
predicted mask with the highest IoU is compared with it. That ignores which track the mask belongs to: a prediction
whose ids change in every frame scores as well as a consistent one. The variant therefore has to choose one track for
the whole sequence.

Both count every image once: the mean of the objects that it shows, then the mean of the images. 0 is no mask, neither
in the annotation nor in the prediction. Images that show no annotated object are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.contingency import Contingency

METRICS = ("IoU", "F1", "precision", "recall")

_DIGITS = 12
"""Scores of two tracks that differ by less are the same number, summed in another order."""


@dataclass(frozen=True)
class BestMaskResult:
    """Figures of a sequence.

    Attributes:
        best: IoU, F1, precision, recall of the best mask of each image, in [0, 1].
        track: the same of the best track of the sequence.
        num_frames: images that count.
        num_absent: images left out since no annotated object is in them.
        num_objects: annotated objects.
        num_predicted: predicted tracks, that is, ids.
        tracks: id of the best track of each object; objects that no track overlaps are not there.
    """

    best: tuple[float, float, float, float]
    track: tuple[float, float, float, float]
    num_frames: int
    num_absent: int
    num_objects: int
    num_predicted: int
    tracks: dict[int, int]

    def figures(self) -> dict[str, float | int]:
        """What a table shows; ratios as percentages."""
        figures: dict[str, float | int] = {}
        for suffix, values in (("", self.best), (" of tracks", self.track)):
            figures |= {f"{name}{suffix}": 100 * value for name, value in zip(METRICS, values, strict=True)}
        return figures | {
            "images": self.num_frames,
            "images without object": self.num_absent,
            "objects (truth)": self.num_objects,
            "tracks (predicted)": self.num_predicted,
        }


class BestMaskProtocol:
    """Collects the annotated frames of one sequence; keeps a small table of each.

    Args:
        merge_objects: take all annotated objects for one (DAVIS 2016 has a single foreground).
    """

    def __init__(self, *, merge_objects: bool = False) -> None:
        self._merge_objects = merge_objects
        self._tables: list[Contingency] = []
        self._num_absent = 0
        self._predicted: set[int] = set()

    def add(self, truth: Int[np.ndarray, "H W"], prediction: Int[np.ndarray, "H2 W2"]) -> None:
        """Take one frame; a prediction of another size is resized (nearest) to the size of the truth.

        Raises:
            ValueError: a negative id, or maps that are not two-dimensional.
        """
        table = Contingency.of_frame((truth != 0).astype(np.int32) if self._merge_objects else truth, prediction)
        table = table.select(table.truth_ids != 0, table.prediction_ids != 0)
        self._predicted.update(table.prediction_ids.tolist())
        if len(table.truth_ids):
            self._tables.append(table)
        else:
            self._num_absent += 1

    def result(self) -> BestMaskResult:
        """The figures of all frames so far.

        Raises:
            ProtoSagaError: no frame shows an annotated object.
        """
        if not self._tables:
            raise ProtoSagaError(
                f"None of the {self._num_absent} annotations shows an object (all are 0 everywhere). Give a sequence "
                "with at least one annotated frame."
            )
        scores = [mask_scores(table) for table in self._tables]
        objects = sorted({int(id) for table in self._tables for id in table.truth_ids})
        tracks = {id: track for id in objects if (track := self._best_track(id, scores)) is not None}
        return BestMaskResult(
            best=_mean([_best_rows(frame) for frame in scores]),
            track=_mean([_track_rows(*pair, tracks) for pair in zip(self._tables, scores, strict=True)]),
            num_frames=len(self._tables),
            num_absent=self._num_absent,
            num_objects=len(objects),
            num_predicted=len(self._predicted),
            tracks=tracks,
        )

    def _best_track(self, id: int, scores: Sequence[Float[np.ndarray, "_G _P 4"]]) -> int | None:
        """The predicted id whose IoU, summed over the frames with the object, is highest; None if all are 0."""
        sums: dict[int, Float[np.ndarray, " 4"]] = {}
        for table, frame in zip(self._tables, scores, strict=True):
            for row in np.flatnonzero(table.truth_ids == id):
                for column in np.flatnonzero(table.counts[row]):
                    track = int(table.prediction_ids[column])
                    sums[track] = sums.get(track, np.zeros(4)) + frame[row, column]
        return max(sums, key=lambda track: sums[track].round(_DIGITS).tolist(), default=None)


def mask_scores(table: Contingency) -> Float[np.ndarray, "G P 4"]:
    """IoU, F1, precision and recall (Sec. V) of every predicted mask as a mask of every object; 0 without overlap."""
    precision = table.counts / table.prediction_sizes
    recall = table.counts / table.truth_sizes[:, None]
    f1 = 2 * table.counts / (table.truth_sizes[:, None] + table.prediction_sizes)
    return np.stack([table.iou(), f1, precision, recall], -1)


def _best_rows(scores: Float[np.ndarray, "G P 4"]) -> Float[np.ndarray, "G 4"]:
    """Scores of the mask with the highest IoU; of equal ones the more precise, so that ids do not matter."""
    if not scores.shape[1]:
        return np.zeros((len(scores), 4))
    return np.array([max(masks.tolist()) for masks in scores])


def _track_rows(
    table: Contingency, scores: Float[np.ndarray, "G P 4"], tracks: dict[int, int]
) -> Float[np.ndarray, "G 4"]:
    """Scores of the track of each object in one frame; 0 where the track is missing."""
    chosen = np.array([tracks.get(int(id), 0) for id in table.truth_ids])
    return (scores * (table.prediction_ids == chosen[:, None])[..., None]).sum(axis=1)


def _mean(frames: Sequence[Float[np.ndarray, "_ 4"]]) -> tuple[float, float, float, float]:
    """Mean over the objects of each frame, then over frames."""
    iou, f1, precision, recall = np.mean([frame.mean(axis=0) for frame in frames], axis=0).tolist()
    return iou, f1, precision, recall
