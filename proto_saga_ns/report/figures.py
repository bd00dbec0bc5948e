"""What became of each true instance, from the pixels that it shares with the predicted ones.

Ids are scene-wide, and void (true id 0) is left out everywhere: its pixels count neither for nor against an instance.
Predicted id 0 is "unlabelled" and no instance. Pixels are summed over all views, while an IoU is the instance
protocol's mean over the views that show the true instance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from proto_saga_ns.evaluation.contingency import Contingency
from proto_saga_ns.evaluation.instance import InstanceResult

PART = 0.1
"""Less than this share of an instance is not worth a word."""
MOST = 0.5
"""More than this share is most of an instance."""


@dataclass(frozen=True)
class Share:
    """An id, and how much of something it has.

    Attributes:
        id: of an instance; a predicted 0 means unlabelled.
        share: in [0, 1].
    """

    id: int
    share: float


@dataclass(frozen=True)
class TrueInstance:
    """What became of one true instance.

    Attributes:
        id: true id, from 1.
        pixels: over all views.
        views: that show it.
        iou: with its match, as in the instance protocol without void; 0 without a match.
        match: the predicted instance that is matched with it.
        labelled: how its pixels are labelled, largest share first (of equals the smaller id); 0 = unlabelled.
        holder: the predicted instance that has most of its pixels; None if all are unlabelled.
        holder_match: the true instance that ``holder`` is matched with.
        holder_shows: of which true instances the pixels of ``holder`` are, largest share first.
    """

    id: int
    pixels: int
    views: int
    iou: float
    match: int | None
    labelled: tuple[Share, ...]
    holder: int | None
    holder_match: int | None
    holder_shows: tuple[Share, ...]

    @property
    def unlabelled(self) -> float:
        """Share of its pixels that belong to no predicted instance."""
        return next((part.share for part in self.labelled if part.id == 0), 0.0)

    @property
    def parts(self) -> tuple[Share, ...]:
        """The predicted instances that have at least ``PART`` of its pixels."""
        return tuple(part for part in self.labelled if part.id and part.share >= PART)

    @property
    def merged_with(self) -> tuple[Share, ...]:
        """Other true instances that make up at least ``PART`` of ``holder``."""
        return tuple(part for part in self.holder_shows if part.id != self.id and part.share >= PART)


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
        self._views.update(id for id in table.truth_ids.tolist() if id)

    def true_instances(self, result: InstanceResult) -> list[TrueInstance]:
        """All true instances, the lowest IoU first, of equals the one with the smaller id.

        Args:
            result: of the instance protocol without void, on the same views.
        """
        by_truth, by_prediction = self._grouped()
        truth_of = {predicted: truth for truth, predicted in result.matched.items()}
        found = []
        for id, counts in by_truth.items():
            labelled = _shares(counts)
            holder = next((part.id for part in labelled if part.id), None)
            found.append(
                TrueInstance(
                    id=id,
                    pixels=sum(counts.values()),
                    views=self._views[id],
                    iou=result.iou[id],
                    match=result.matched.get(id),
                    labelled=labelled,
                    holder=holder,
                    holder_match=None if holder is None else truth_of.get(holder),
                    holder_shows=() if holder is None else _shares(by_prediction[holder]),
                )
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
        self._sums: Counter[int] = Counter()
        self._pixels: Counter[int] = Counter()

    def add(self, labels: Int[np.ndarray, "H W"], confidence: Float[np.ndarray, "H W"]) -> None:
        """Take one view."""
        flat = labels.reshape(-1)
        sums = np.bincount(flat, confidence.reshape(-1).astype(np.float64))
        pixels = np.bincount(flat)
        for id in np.flatnonzero(pixels).tolist():
            self._sums[id] += sums[id]
            self._pixels[id] += int(pixels[id])

    def mean(self, id: int) -> float | None:
        """In [0, 1]; None if no view shows the instance."""
        return self._sums[id] / self._pixels[id] if self._pixels[id] else None


def what_happened(instance: TrueInstance, name: Callable[[int], str]) -> str:
    """One sentence that says what became of a true instance, and nothing that the counts do not say.

    Args:
        name: of a predicted instance, such as "instance 7".
    """
    return next(sentence for rule in _RULES for sentence in rule(instance, name))


def _unlabelled(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.unlabelled > MOST:
        rest = f", {_labelled(it.parts, name)}" if it.parts else ""
        yield f"Mostly unlabelled: {percent(it.unlabelled)} of its pixels belong to no instance{rest}."


def _missed(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.parts and it.parts[0].share > MOST and it.holder_match not in (None, it.id):
        yield f"Missed: mostly {_labelled(it.parts[:1], name)}, which is matched with true instance {it.holder_match}."


def _cut(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if len(it.parts) > 1:
        yield f"Cut into {len(it.parts)} parts: {_labelled(it.parts, name)}{_and_unlabelled(it)}."


def _merged(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.parts and it.merged_with:
        others = _listed([f"{percent(part.share)} true instance {part.id}" for part in it.merged_with])
        yield (
            f"Merged: {_labelled(it.parts, name)}, which is {percent(_own(it))} this one and {others}"
            f"{_and_unlabelled(it)}."
        )


def _found(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    if it.parts:
        yield f"Found: {_labelled(it.parts, name)}, which is {percent(_own(it))} this one{_and_unlabelled(it)}."


def _scattered(it: TrueInstance, name: Callable[[int], str]) -> Iterator[str]:
    yield f"Scattered: no instance has {percent(PART)} of its pixels{_and_unlabelled(it)}."


_RULES = (_unlabelled, _missed, _cut, _merged, _found, _scattered)
"""Each yields its sentence or nothing; the last one always does."""


def percent(share: float) -> str:
    """A share for people; only all is 100%, and only nothing is 0%."""
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{100 * share:.0f}%"


def _own(instance: TrueInstance) -> float:
    return next(part.share for part in instance.holder_shows if part.id == instance.id)


def _labelled(parts: Sequence[Share], name: Callable[[int], str]) -> str:
    first, *rest = parts
    return ", ".join(
        [
            f"{percent(first.share)} labelled as {name(first.id)}",
            *(f"{percent(part.share)} as {name(part.id)}" for part in rest),
        ]
    )


def _and_unlabelled(instance: TrueInstance) -> str:
    return f"; {percent(instance.unlabelled)} unlabelled" if instance.unlabelled >= PART else ""


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _shares(counts: Counter[int]) -> tuple[Share, ...]:
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(id, count / total) for id, count in ordered)
