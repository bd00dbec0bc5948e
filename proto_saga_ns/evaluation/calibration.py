"""Whether a confidence means what it says: of all pixels labelled with a confidence of 0.8, are 80 % right?

A pixel is right if its predicted instance is the one that the instance protocol matches with its true instance. Pixels
whose true id is 0 (void) or whose predicted id is 0 (which claims nothing) take no part.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from proto_saga_ns.evaluation.contingency import index_ids
from proto_saga_ns.labels import resize_label_map

BINS = 15
"""Of equal width, as in the source of the expected calibration error."""
_BLUE, _ORANGE, _INK = "#0072b2", "#d55e00", "#333333"


@dataclass(frozen=True)
class Reliability:
    """Claims by their confidence, in B bins of equal width over [0, 1].

    Attributes:
        counts: claims in each bin.
        confidence: their mean confidence; 0 in an empty bin.
        accuracy: share of them that is right; 0 in an empty bin.
        brier: mean square of confidence minus 1 for what is right, and of confidence for what is wrong; 0 is best.
    """

    counts: Int[np.ndarray, " B"]
    confidence: Float[np.ndarray, " B"]
    accuracy: Float[np.ndarray, " B"]
    brier: float

    @classmethod
    def of_sums(cls, all_sums: Float[np.ndarray, "B 3"], right_sums: Float[np.ndarray, "B 3"]) -> Reliability:
        """From number, sum of confidence and sum of its squares of the claims in each bin, of all and of the right."""
        counts, confidences, squares = all_sums.T
        hits, right_confidences, _ = right_sums.T
        some = np.maximum(counts, 1)
        total = max(float(counts.sum()), 1.0)
        brier = float(squares.sum() - 2 * right_confidences.sum() + hits.sum()) / total
        return cls(counts.astype(np.int64), confidences / some, hits / some, brier)

    @property
    def expected_calibration_error(self) -> float:
        """ECE: mean over all claims of the gap between confidence and accuracy of their bin (Guo et al. 2017)."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.counts * gaps).sum() / max(self.counts.sum(), 1))

    def figures(self) -> dict[str, float]:
        """What a table shows, as percentages; nothing if there was no claim."""
        if not self.counts.any():
            return {}
        return {"ECE": 100 * self.expected_calibration_error, "Brier score": 100 * self.brier}

    def to_json(self) -> list[dict[str, float | int]]:
        """The bins that are not empty."""
        edges = np.linspace(0, 1, len(self.counts) + 1)
        return [
            {
                **{"from": float(edges[row]), "to": float(edges[row + 1]), "pixels": int(self.counts[row])},
                **{"confidence": float(self.confidence[row]), "accuracy": float(self.accuracy[row])},
            }
            for row in np.flatnonzero(self.counts)
        ]


def bin_sums(
    confidence: Float[np.ndarray, " N"], group: Int[np.ndarray, " N"], groups: int, bins: int = BINS
) -> Float[np.ndarray, "{groups} {bins} 3"]:
    """Number, sum of confidence and sum of its squares of the claims of each group in each bin.

    Args:
        confidence: in [0, 1]; rounding errors beyond are cut off.
        group: of each claim, in [0, groups).
        groups: how many there are.
        bins: of equal width; 1 belongs to the last.
    """
    values = confidence.astype(np.float64).clip(0, 1)
    cells = group * bins + np.minimum((values * bins).astype(np.int64), bins - 1)
    sums = [np.bincount(cells, weights, groups * bins) for weights in (np.ones_like(values), values, values**2)]
    return np.stack(sums, axis=-1, dtype=np.float64).reshape(groups, bins, 3)  # counts of nothing are integers


class CalibrationProtocol:
    """Collects frames one at a time; needs memory for pairs of overlapping ids only."""

    def __init__(self, bins: int = BINS) -> None:
        self._bins = bins
        self._sums: defaultdict[tuple[int, int], Float[np.ndarray, "B 3"]] = defaultdict(lambda: np.zeros((bins, 3)))

    def add(
        self,
        truth: Int[np.ndarray, "H W"],
        prediction: Int[np.ndarray, "H2 W2"],
        confidence: Float[np.ndarray, "H2 W2"],
    ) -> None:
        """Take one frame; a prediction of another size is resized (nearest) to the size of the truth.

        Raises:
            ValueError: prediction and confidence differ in size.
        """
        if prediction.shape != confidence.shape:
            raise ValueError(f"labels are {prediction.shape}, confidence is {confidence.shape}")
        prediction, confidence = (resize_label_map(given, *truth.shape) for given in (prediction, confidence))
        claimed = (truth > 0) & (prediction > 0)
        true_ids, true_place = index_ids(truth[claimed])
        predicted_ids, predicted_place = index_ids(prediction[claimed])
        found, place = index_ids(true_place * len(predicted_ids) + predicted_place)
        sums = bin_sums(confidence[claimed], place, len(found), self._bins)
        for pair, of_pair in zip(found.tolist(), sums, strict=True):
            row, column = divmod(pair, len(predicted_ids))
            self._sums[int(true_ids[row]), int(predicted_ids[column])] += of_pair

    @property
    def claimed(self) -> set[int]:
        """Predicted ids that some pixel outside the void has."""
        return {predicted for _, predicted in self._sums}

    def result(self, matched: Mapping[int, int]) -> Reliability:
        """Of all frames so far.

        Args:
            matched: predicted id of each true instance that has a match (``InstanceResult.matched``).
        """
        nothing = np.zeros((self._bins, 3))
        right = (sums for (true, predicted), sums in self._sums.items() if matched.get(true) == predicted)
        return Reliability.of_sums(sum(self._sums.values(), nothing), sum(right, nothing))


def reliability_of(confidence: Float[np.ndarray, " N"], right: Int[np.ndarray, " N"], bins: int = BINS) -> Reliability:
    """The same of claims one by one: how confident each is, and whether (1) or not (0) it is right."""
    sums = bin_sums(confidence, right.astype(np.int64), 2, bins)
    return Reliability.of_sums(sums.sum(axis=0), sums[1])


def reliability_diagram(found: Mapping[str, Reliability]) -> bytes:
    """A PNG file with a column for each entry, under its name.

    Bars show the accuracy of each bin, a line of points its mean confidence; where both are the same, the confidence
    is calibrated. Below, the share of all pixels in each bin.
    """
    figure = Figure(figsize=(0.4 + 3.2 * len(found), 4.2), layout="constrained", dpi=100)
    rows: Any = figure.subplots(2, len(found), squeeze=False, sharex=True, height_ratios=[3, 1])
    for column, (name, reliability) in enumerate(found.items()):
        _accuracies(rows[0, column], name, reliability)
        _shares(rows[1, column], reliability)
    rows[0, 0].set_ylabel("share that is right", fontsize=8)
    rows[1, 0].set_ylabel("share of pixels", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _accuracies(axes: Any, name: str, found: Reliability) -> None:
    used = found.counts > 0
    axes.bar(_centres(found)[used], found.accuracy[used], width=_width(found), color=_BLUE, label="accuracy")
    axes.plot(found.confidence[used], found.confidence[used], ".", color=_ORANGE, label="confidence")
    axes.plot([0, 1], [0, 1], "--", color=_INK, linewidth=0.8)
    figures = ", ".join(f"{key} {value:.1f} %" for key, value in found.figures().items())
    axes.set_title(f"{name}\n{figures}", fontsize=9)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7, loc="upper left", frameon=False)
    _style(axes)


def _shares(axes: Any, found: Reliability) -> None:
    axes.bar(_centres(found), found.counts / max(found.counts.sum(), 1), width=_width(found), color=_BLUE)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence", fontsize=8)
    _style(axes)


def _centres(found: Reliability) -> np.ndarray:
    return (np.arange(len(found.counts)) + 0.5) / len(found.counts)


def _width(found: Reliability) -> float:
    return 0.9 / len(found.counts)


def _style(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7)
