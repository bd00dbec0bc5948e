"""The panels of a view and of a crop, and what is kept of every view until the matches are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from proto_saga_ns.evaluation.report.page import Panel
from proto_saga_ns.evaluation.report.pictures import (
    box_around,
    dim_others,
    error_picture,
    fitting_size,
    flat_uri,
    photo_uri,
    shrink,
    truth_picture,
    with_outline,
)
from proto_saga_ns.labels import resize_label_map
from proto_saga_ns.labels.colors import colorize, overlay

LONGEST_CROP = 280
"""Pixels of the longer side of a crop."""


@dataclass(frozen=True)
class SeenView:
    """A test view: what was photographed, what the model shows, and what is true.

    Attributes:
        name: file name of the image.
        truth: true ids; None without ground truth.
    """

    name: str
    photo: UInt8[np.ndarray, "H W 3"]
    rendering: UInt8[np.ndarray, "H W 3"]
    labels: Int[np.ndarray, "H W"]
    truth: Int[np.ndarray, "H2 W2"] | None = None

    def at_most(self, longest: int) -> SeenView:
        """The same with everything as large as the photo, or smaller if its longer side is over ``longest``."""
        size = fitting_size(self.photo, longest)
        truth = None if self.truth is None else resize_label_map(self.truth, *size)
        labels = resize_label_map(self.labels, *size)
        return SeenView(self.name, shrink(self.photo, size), shrink(self.rendering, size), labels, truth)

    def panels(self, matched: Mapping[int, int]) -> list[Panel]:
        """Its panels from left to right; truth and errors only with ground truth.

        Args:
            matched: predicted id of each true instance that has a match.
        """
        panels = [
            Panel("photo", photo_uri(self.photo)),
            Panel("rendering", photo_uri(self.rendering)),
            Panel("instances", flat_uri(colorize(self.labels))),
            Panel("overlay", photo_uri(overlay(self.rendering, self.labels))),
        ]
        if self.truth is None:
            return panels
        return [
            *panels,
            Panel("ground truth", flat_uri(truth_picture(self.truth, matched))),
            Panel("errors", photo_uri(error_picture(self.photo, self.truth, self.labels, matched))),
        ]


def training_panels(
    photo: UInt8[np.ndarray, "H W 3"],
    label_map: Int[np.ndarray, "H W"],
    instance_of_mask: Sequence[int],
    longest: int,
) -> list[Panel]:
    """Panels of a training view: photo, its masks as they were given, and as they were associated.

    Args:
        label_map: its masks, of the photo's size.
        instance_of_mask: instance of every label, entry 0 for label 0; labels beyond its end have none.
        longest: pixels of the longer side of a panel at most.
    """
    size = fitting_size(photo, longest)
    labels = resize_label_map(label_map, *size)
    table = np.zeros(max(int(labels.max(initial=0)) + 1, len(instance_of_mask)), np.int32)
    table[: len(instance_of_mask)] = instance_of_mask
    return [
        Panel("photo", photo_uri(shrink(photo, size))),
        Panel("given masks", flat_uri(colorize(labels))),
        Panel("associated masks", flat_uri(colorize(table[labels]))),
    ]


@dataclass(frozen=True)
class Crop:
    """A true instance where it is largest.

    Attributes:
        pixels: of the instance in that view.
        view: the surroundings of the instance, cut out of the view.
    """

    pixels: int
    view: SeenView

    def panels(self, true_id: int, matched: Mapping[int, int]) -> list[Panel]:
        """Photo, prediction and truth, each with the outline of the true instance."""
        view = self.view
        assert view.truth is not None
        mine = view.truth == true_id
        truth = dim_others(truth_picture(view.truth, matched), mine)
        return [
            Panel("photo", photo_uri(with_outline(view.photo, mine))),
            Panel("prediction", flat_uri(with_outline(colorize(view.labels), mine))),
            Panel("ground truth", flat_uri(with_outline(truth, mine))),
        ]


class LargestCrops:
    """Keeps a small crop of each true instance, from the view that shows most of its pixels."""

    def __init__(self) -> None:
        self._crops: dict[int, Crop] = {}

    def add(self, view: SeenView) -> None:
        """Take one view with ground truth."""
        assert view.truth is not None
        view = view.at_most(max(view.photo.shape[:2]))
        assert view.truth is not None
        counts = np.bincount(view.truth.reshape(-1))
        for id in np.flatnonzero(counts).tolist():
            if id and (id not in self._crops or counts[id] > self._crops[id].pixels):
                self._crops[id] = Crop(int(counts[id]), _cut_out(view, id))

    def __getitem__(self, true_id: int) -> Crop:
        return self._crops[true_id]


def _cut_out(view: SeenView, true_id: int) -> SeenView:
    assert view.truth is not None
    box = box_around(view.truth == true_id)
    cut = SeenView(view.name, box.cut(view.photo), box.cut(view.rendering), box.cut(view.labels), box.cut(view.truth))
    return cut.at_most(LONGEST_CROP)
