"""What became of each true instance, from the pixels that it shares with the predicted ones.

Ids are scene-wide, and void (true id 0) is left out everywhere: its pixels count neither for nor against an instance.
Predicted id 0 is "unlabelled" and no instance. Pixels are summed over all views, while an IoU is the instance
protocol's mean over the views that show the true instance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.evaluation.contingency import Contingency
from proto_saga_ns.evaluation.instance import InstanceResult

PART = 0.1
"""Less than this share of an instance is not worth a word."""


@dataclass(frozen=True)
class Label:
    """A predicted instance that pixels of a true one are labelled with.

    Attributes:
        id: of the predicted instance; 0 means unlabelled.
        share: of the true instance's pixels.
        match: the true instance that the predicted one is matched with; None without a match.
    """

    id: int
    share: float
    match: int | None


@dataclass(frozen=True)
class Content:
    """A true instance that a predicted one shows.

    Attributes:
        id: of the true instance.
        share: of the predicted instance's pixels.
        covered: share of the true instance's pixels that the predicted one has.
    """

    id: int
    share: float
    covered: float


@dataclass(frozen=True)
class TrueInstance:
    """What became of one true instance.

    Attributes:
        id: true id, from 1.
        pixels: over all views.
        views: that show it.
        iou: with its match, as in the instance protocol without void; 0 without a match.
        match: the predicted instance that is matched with it.
        labels: of its pixels, largest share first (of equals the smaller id).
        holder_shows: what the predicted instance that has most of its pixels shows, largest share first; empty if all
            are unlabelled.
    """

    id: int
    pixels: int
    views: int
    iou: float
    match: int | None
    labels: tuple[Label, ...]
    holder_shows: tuple[Content, ...]

    @property
    def unlabelled(self) -> float:
        """Share of its pixels that belong to no predicted instance."""
        return next((label.share for label in self.labels if label.id == 0), 0.0)

    @property
    def parts(self) -> tuple[Label, ...]:
        """The predicted instances that have at least ``PART`` of its pixels."""
        return tuple(label for label in self.labels if label.id and label.share >= PART)

    @property
    def pieces(self) -> tuple[Label, ...]:
        """Those of ``parts`` that are not matched with another true instance."""
        return tuple(part for part in self.parts if part.match in (None, self.id))

    @property
    def lost(self) -> tuple[Label, ...]:
        """Those that are."""
        return tuple(part for part in self.parts if part not in self.pieces)

    @property
    def neighbours(self) -> tuple[Content, ...]:
        """Other true instances that make up at least ``PART`` of what has most of this one."""
        return tuple(content for content in self.holder_shows if content.id != self.id and content.share >= PART)

    @property
    def own_share(self) -> float:
        """How much of what has most of this one it makes up itself."""
        return next((content.share for content in self.holder_shows if content.id == self.id), 0.0)


class Overlaps:
    """Counts the pixels of every pair of a true and a predicted id, one view at a time."""

    def __init__(self) -> None:
        self._pixels: Counter[tuple[int, int]] = Counter()
        self._views: Counter[int] = Counter()

    def add(self, truth: Int[np.ndarray, "H W"], prediction: Int[np.ndarray, "H2 W2"]) -> None:
        """Take one view; a prediction of another size is resized (nearest) to the size of the truth.

        Raises:
            ValueError: a negative id, or maps that are not two-dimensional.
        """
        table = Contingency.of_frame(truth, prediction)
        for row, column in np.argwhere(table.counts).tolist():
            true_id, predicted_id = int(table.truth_ids[row]), int(table.prediction_ids[column])
            if true_id:
                self._pixels[true_id, predicted_id] += int(table.counts[row, column])
        self._views.update(int(id) for id in table.truth_ids if id)

    def true_instances(self, result: InstanceResult) -> list[TrueInstance]:
        """All true instances, the lowest IoU first, of equals the one with the smaller id.

        Args:
            result: of the instance protocol without void, on the same views.
        """
        by_truth, by_prediction = self._grouped()
        truth_of = {predicted: truth for truth, predicted in result.matched.items()}
        sizes = {id: sum(counts.values()) for id, counts in by_truth.items()}
        found = []
        for id, counts in by_truth.items():
            labels = tuple(Label(label, share, truth_of.get(label)) for label, share in _shares(counts))
            holder = next((label.id for label in labels if label.id), None)
            shown = {} if holder is None else by_prediction[holder]
            shows = tuple(Content(true, share, shown[true] / sizes[true]) for true, share in _shares(shown))
            found.append(
                TrueInstance(id, sizes[id], self._views[id], result.iou[id], result.matched.get(id), labels, shows)
            )
        return sorted(found, key=lambda instance: (instance.iou, instance.id))

    def _grouped(self) -> tuple[dict[int, Counter[int]], dict[int, Counter[int]]]:
        by_truth: defaultdict[int, Counter[int]] = defaultdict(Counter)
        by_prediction: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for (truth, predicted), pixels in self._pixels.items():
            by_truth[truth][predicted] = by_prediction[predicted][truth] = pixels
        return by_truth, by_prediction


class Confidences:
    """Mean confidence of the pixels of each predicted instance over all views."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)
        self._pixels: Counter[int] = Counter()

    def add(self, labels: Int[np.ndarray, "H W"], confidence: Float[np.ndarray, "H W"]) -> None:
        """Take one view."""
        flat = labels.reshape(-1)
        sums = np.bincount(flat, confidence.reshape(-1).astype(np.float64))
        pixels = np.bincount(flat)
        for id in np.flatnonzero(pixels).tolist():
            self._sums[id] += float(sums[id])
            self._pixels[id] += int(pixels[id])

    def mean(self, id: int) -> float | None:
        """In [0, 1]; None if no view shows the instance."""
        return self._sums[id] / self._pixels[id] if self._pixels[id] else None


def _shares(counts: Mapping[int, int]) -> list[tuple[int, float]]:
    total = sum(counts.values())
    return [(id, count / total) for id, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
