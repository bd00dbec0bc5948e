"""What is shown of a view, stage by stage: what was given, what was made of it, and what is true."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from proto_saga_ns.evaluation.report.panels import SeenView
from proto_saga_ns.evaluation.report.pictures import error_picture, truth_picture
from proto_saga_ns.labels import resize_label_map
from proto_saga_ns.labels.colors import colorize

EDGE = 70
"""Grey of the lines between instances that are hatched."""

Picture = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class TrainingStages:
    """A training view: what is shown of every view, and its masks.

    Attributes:
        view: photo, rendering and segmentation.
        masks: label map that was given, of any size.
        instance_of_mask: instance of every label, entry 0 for label 0; labels beyond its end have none.
    """

    view: SeenView
    masks: Int[np.ndarray, "H2 W2"]
    instance_of_mask: Sequence[int]

    def pictures(self) -> dict[str, Picture]:
        """From left to right, all of the photo's size."""
        masks = resize_label_map(self.masks, *self.view.photo.shape[:2])
        table = np.zeros(max(int(masks.max(initial=0)) + 1, len(self.instance_of_mask)), np.int32)
        table[: len(self.instance_of_mask)] = self.instance_of_mask
        return {
            "photo": self.view.photo,
            "masks of the view": own_colors(masks, self.view.name),
            "associated masks": colorize(table[masks]),
            "rendering": self.view.rendering,
            "segmentation": colorize(self.view.labels),
        }


def novel_pictures(view: SeenView, matched: Mapping[int, int]) -> dict[str, Picture]:
    """A test view from left to right; truth and errors only with ground truth.

    Args:
        view: everything of the photo's size.
        matched: predicted id of each true instance that has a match.
    """
    pictures = {"photo": view.photo, "rendering": view.rendering, "segmentation": colorize(view.labels)}
    if view.truth is None:
        return pictures
    return {
        **pictures,
        "ground truth": truth_picture(view.truth, matched),
        "errors": error_picture(view.photo, view.truth, view.labels, matched),
    }


def own_colors(labels: Int[np.ndarray, "H W"], name: str) -> UInt8[np.ndarray, "H W 3"]:
    """Masks in colours that mean nothing outside of their view: drawn by lot, the same for one name; 0 is black."""
    count = int(labels.max(initial=0))
    drawn = np.random.default_rng(zlib.crc32(name.encode())).permutation(count) + 1
    return colorize(np.concatenate([[0], drawn])[labels])


def comparable_picture(labels: Int[np.ndarray, "H W"], reference_of: Mapping[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Instances in the colours of those of a reference, so that runs can be compared; 0 is black.

    Args:
        labels: predicted ids.
        reference_of: the reference's id of each predicted instance that is matched; the others are hatched in grey,
            with dark lines between them.
    """
    picture = truth_picture(labels, reference_of)
    unmatched = (labels > 0) & ~np.isin(labels, list(reference_of))
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    picture[edge & unmatched] = EDGE
    return picture
