"""How two label maps of one frame overlap: the one table that the protocols are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from proto_saga_ns.labels import resize_label_map


@dataclass(frozen=True)
class Contingency:
    """How many pixels of one frame each pair of ids shares; sizes may count pixels of no listed pair, too.

    Attributes:
        truth_ids, prediction_ids: ascending.
        counts: pixels that have both ids.
        truth_sizes, prediction_sizes: pixels that have the id.
    """

    truth_ids: Int64[np.ndarray, " G"]
    prediction_ids: Int64[np.ndarray, " P"]
    counts: Int64[np.ndarray, "G P"]
    truth_sizes: Int64[np.ndarray, " G"]
    prediction_sizes: Int64[np.ndarray, " P"]

    @classmethod
    def of_frame(cls, truth: Int[np.ndarray, "H W"], prediction: Int[np.ndarray, "H2 W2"]) -> Contingency:
        """Count one frame; a prediction of another size is resized (nearest) to the size of the truth.

        Raises:
            ValueError: a negative id, or maps that are not two-dimensional.
        """
        if truth.ndim != 2 or prediction.ndim != 2:
            raise ValueError(f"label maps are two-dimensional, got {truth.shape} and {prediction.shape}")
        if min(truth.min(initial=0), prediction.min(initial=0)) < 0:
            raise ValueError("ids in label maps are never negative")
        prediction = resize_label_map(prediction, *truth.shape)
        truth_ids, truth_index = index_ids(truth.reshape(-1))
        prediction_ids, prediction_index = index_ids(prediction.reshape(-1))
        cells = truth_index * len(prediction_ids) + prediction_index
        counts = np.bincount(cells, minlength=len(truth_ids) * len(prediction_ids))
        counts = counts.reshape(len(truth_ids), len(prediction_ids))
        return cls(truth_ids, prediction_ids, counts, counts.sum(axis=1), counts.sum(axis=0))

    def iou(self) -> Float[np.ndarray, "G P"]:
        """Intersection over union of every pair of ids."""
        return self.counts / (self.truth_sizes[:, None] + self.prediction_sizes - self.counts)

    def select(self, rows: Bool[np.ndarray, " G"], columns: Bool[np.ndarray, " P"]) -> Contingency:
        """Some of the ids; their sizes still count the pixels that they share with the others."""
        return Contingency(
            self.truth_ids[rows],
            self.prediction_ids[columns],
            self.counts[np.ix_(rows, columns)],
            self.truth_sizes[rows],
            self.prediction_sizes[columns],
        )

    def without_void(self) -> Contingency:
        """Leave out the pixels whose truth is 0; 0 is no prediction, but its pixels miss theirs."""
        rows = self.truth_ids != 0
        counts = self.counts[rows]
        columns = (self.prediction_ids != 0) & counts.any(axis=0)
        return Contingency(
            self.truth_ids[rows],
            self.prediction_ids[columns],
            counts[:, columns],
            self.truth_sizes[rows],
            counts[:, columns].sum(axis=0),
        )


def index_ids(labels: Int[np.ndarray, " N"]) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " N"]]:
    """The ids that occur, ascending, and for each pixel the place of its id among them."""
    # Counting is several times as fast as the sort in np.unique, and ids are 16-bit.
    ids = np.flatnonzero(np.bincount(labels))
    place = np.zeros(int(ids.max(initial=0)) + 1, np.int64)
    place[ids] = np.arange(len(ids))
    return ids, place[labels]
