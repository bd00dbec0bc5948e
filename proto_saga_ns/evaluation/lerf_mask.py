"""LERF-Mask: instances that a phrase means, by how much of each lies on the phrase's mask, and how good they are.

The protocol is Gaussian Grouping's (``render_lerf_mask.py`` with ``ext/grounded_sam.py``, then ``eval_lerf_mask.py``).
The phrase's mask comes from ``proto_saga_ns.masks.phrases``; here are the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import distance_transform_cdt

from proto_saga_ns.errors import ProtoSagaError

BORDER_SHARE = 0.02
"""Width of a border as a share of the image's diagonal."""


@dataclass(frozen=True)
class PhraseScores:
    """Agreement of the masks of one phrase with the truth, mean over the views that show it.

    Attributes:
        iou, boundary_iou: in [0, 1].
        num_views: views with a true mask.
    """

    iou: float
    boundary_iou: float
    num_views: int


class PhraseProtocol:
    """Collects the masks of phrases: mean over the views of each, then over phrases (``eval_lerf_mask.py``)."""

    def __init__(self) -> None:
        self._scores: dict[str, list[tuple[float, float]]] = {}

    def add(self, phrase: str, truth: Bool[np.ndarray, "H W"], predicted: Bool[np.ndarray, "H W"]) -> None:
        """Take one mask of one view.

        Raises:
            ValueError: sizes differ.
        """
        self._scores.setdefault(phrase, []).append((iou(truth, predicted), boundary_iou(truth, predicted)))

    def by_phrase(self) -> dict[str, PhraseScores]:
        """In the order of the phrases' names."""
        found = {}
        for phrase, views in sorted(self._scores.items()):
            area, along_border = np.mean(views, axis=0)
            found[phrase] = PhraseScores(float(area), float(along_border), len(views))
        return found

    def figures(self) -> dict[str, float]:
        """mIoU and mBIoU as percentages.

        Raises:
            ValueError: there was no mask.
        """
        scores = list(self.by_phrase().values())
        if not scores:
            raise ValueError("no mask was added")
        return {
            "mIoU": 100 * float(np.mean([score.iou for score in scores])),
            "mBIoU": 100 * float(np.mean([score.boundary_iou for score in scores])),
        }


def iou(first: Bool[np.ndarray, "H W"], second: Bool[np.ndarray, "H W"]) -> float:
    """Intersection over union, in [0, 1]; 1 for two empty masks.

    Raises:
        ValueError: sizes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"masks are {first.shape} and {second.shape}")
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def border(mask: Bool[np.ndarray, "H W"], share: float = BORDER_SHARE) -> Bool[np.ndarray, "H W"]:
    """The pixels of a mask that lie within some distance of its outside; what is beyond the image is outside.

    The distance is ``share`` of the diagonal in whole pixels, at least one, counted as the larger of both axes: what
    as many erosions by 3x3 pixels take away (``mask_to_boundary`` of Boundary IoU, used by Gaussian Grouping's
    ``script/eval_lerf_mask.py``).
    """
    width = max(1, round(share * float(np.hypot(mask.shape[0], mask.shape[1]))))
    depth = np.asarray(distance_transform_cdt(np.pad(mask, 1), metric="chessboard"))
    return mask & (depth[1:-1, 1:-1] <= width)


def boundary_iou(first: Bool[np.ndarray, "H W"], second: Bool[np.ndarray, "H W"], share: float = BORDER_SHARE) -> float:
    """``iou`` of the borders."""
    return iou(border(first, share), border(second, share))


def phrase_masks(test_mask: Path, stems: Sequence[str]) -> list[dict[str, Path]]:
    """The masks of each test view by phrase; empty for a view that has no folder.

    Args:
        test_mask: folder with one folder a test view, called by the view's number from 0 or by its image's stem.
        stems: of the images of the test views, in natural order.

    Raises:
        ProtoSagaError: there is no mask at all, or a folder that belongs to no test view.
    """
    if not test_mask.is_dir():
        raise ProtoSagaError(f"{test_mask} is no folder; expected LERF-Mask's test_mask/, with a folder a test view.")
    number = {name: index for index, stem in enumerate(stems) for name in (str(index), stem)}
    found: list[dict[str, Path]] = [{} for _ in stems]
    for folder in sorted(path for path in test_mask.iterdir() if path.is_dir()):
        if folder.name not in number:
            raise ProtoSagaError(
                f"{folder} belongs to no test view: the run has {len(stems)}, such as {', '.join(stems[:3])}. Expected "
                f"folders that are called 0 to {len(stems) - 1}, or as the images of the test views."
            )
        found[number[folder.name]] |= {path.stem: path for path in sorted(folder.glob("*.png"))}
    if not any(found):
        raise ProtoSagaError(f"{test_mask} holds no mask; expected <test view>/<phrase>.png.")
    return found
