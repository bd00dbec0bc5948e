"""Masks from points: a model that is asked for the thing under given points of a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.masks.segmenters.mask_generation import out_of_memory_is_explained
from proto_saga_ns.masks.segmenters.sam import load_sam, require_segment_anything
from proto_saga_ns.masks.segmenters.sam_weights import SamModel, ensure_weights, weights_fingerprint
from proto_saga_ns.mastsam.frames import Frame

if TYPE_CHECKING:
    from segment_anything import SamPredictor
    from torch import Tensor

# Raised when the same settings begin to give other masks, so that caches are made again.
_ALGORITHM = 1


class PromptedMask(NamedTuple):
    """A mask, and how good the model thinks it is: about its IoU with the thing that was meant."""

    mask: Bool[np.ndarray, "H W"]
    score: float


class Prompter(Protocol):
    """Finds the mask of the thing under points of the current frame."""

    @property
    def name(self) -> str:
        """Short name, fit for a folder."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that changes the masks, as JSON values."""
        ...

    def set_frame(self, frame: Frame) -> None:
        """Make a frame the current one; again for the same frame it costs nothing.

        Raises:
            ProtoSagaError: what a person can mend, such as weights that are missing.
        """
        ...

    def mask_of(self, points_xy: Float[np.ndarray, "K 2"], labels: Int[np.ndarray, " K"] | None = None) -> PromptedMask:
        """The mask of one thing.

        Args:
            points_xy: image coordinates (see ``frames``), at least one.
            labels: 1 for points on the thing, 0 for points beside it; all are on it if None.

        Raises:
            ValueError: no points.
            RuntimeError: no frame is set.
        """
        ...

    def masks_of(
        self,
        groups: Sequence[Float[np.ndarray, "_K 2"]],
        labels: Sequence[Int[np.ndarray, " _K"] | None] | None = None,
    ) -> list[PromptedMask]:
        """The masks of several things, each of its own points, as ``mask_of`` finds them, in the order of the groups.

        Raises:
            ValueError: a group without points, or not as many labels as groups.
            RuntimeError: no frame is set.
        """
        ...


@dataclass(frozen=True)
class SamPromptSettings:
    """Segment Anything, asked by points: which weights."""

    model: SamModel = "vit_h"
    """published weights, downloaded once: vit_h is the best (2.6 GB), vit_b the fastest (0.4 GB)"""
    checkpoint: Path | None = None
    """a file of weights, in place of a published model"""
    points_per_batch: int = 64
    """groups of points at a time; fewer need less memory, which grows with the size of the image too"""

    def __post_init__(self) -> None:
        if self.points_per_batch < 1:
            raise ValueError("points_per_batch must be at least 1")


class SamPrompter:
    """Masks by Segment Anything; of the several that it proposes for a prompt, the one of the best predicted IoU.

    Loads the model when the first frame is set, and embeds each frame once.
    """

    name = "sam"

    def __init__(self, settings: SamPromptSettings | None = None) -> None:
        self._settings = settings or SamPromptSettings()
        self._predictor: SamPredictor | None = None
        self._frame: Frame | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        weights = weights_fingerprint(self._settings.model, self._settings.checkpoint)
        return {"weights": weights, "algorithm": _ALGORITHM}

    def set_frame(self, frame: Frame) -> None:
        if frame is self._frame:
            return
        if self._predictor is None:
            self._predictor = _make_predictor(self._settings)
        # If the embedding fails there is no frame at all.
        self._frame = None
        with out_of_memory_is_explained("sam"):
            self._predictor.set_image(frame.image, image_format="RGB")
        self._frame = frame

    def mask_of(self, points_xy: Float[np.ndarray, "K 2"], labels: Int[np.ndarray, " K"] | None = None) -> PromptedMask:
        return self.masks_of([points_xy], [labels])[0]

    def masks_of(
        self,
        groups: Sequence[Float[np.ndarray, "_K 2"]],
        labels: Sequence[Int[np.ndarray, " _K"] | None] | None = None,
    ) -> list[PromptedMask]:
        if self._frame is None or self._predictor is None:
            raise RuntimeError("set a frame before asking for masks")
        labels = [None] * len(groups) if labels is None else labels
        signs = [
            np.ones(len(points), np.int64) if given is None else given
            for points, given in zip(groups, labels, strict=True)
        ]
        found: dict[int, PromptedMask] = {}
        for batch in batches_of_equal_size([len(points) for points in groups], self._settings.points_per_batch):
            xy, sign = np.stack([groups[index] for index in batch]), np.stack([signs[index] for index in batch])
            with out_of_memory_is_explained("sam"):
                found.update(zip(batch, _predict(self._predictor, xy, sign), strict=True))
        return [found[index] for index in range(len(groups))]


def batches_of_equal_size(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Indices of groups of the same size together, at most ``most`` at a time.

    Raises:
        ValueError: a size of 0.
    """
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        by_size[size].append(index)
    if 0 in by_size:
        raise ValueError(f"group {by_size[0][0]} has no points")
    return [same[start : start + most] for same in by_size.values() for start in range(0, len(same), most)]


def _predict(
    predictor: SamPredictor, xy: Float[np.ndarray, "B K 2"], labels: Int[np.ndarray, "B K"]
) -> list[PromptedMask]:
    import torch

    points = torch.as_tensor(_to_model(predictor, xy), dtype=torch.float, device=predictor.device)
    signs = torch.as_tensor(labels, dtype=torch.int, device=predictor.device)
    masks, scores, _ = predictor.predict_torch(points, signs, multimask_output=True)
    return _best(masks, scores)


def _to_model(predictor: SamPredictor, xy: Float[np.ndarray, "*shape 2"]) -> Float[np.ndarray, "*shape 2"]:
    """Image coordinates in pixel indices of the image as the model sees it.

    The model counts from the centre of the first pixel of the resized image, not from the corner of the image.
    """
    return predictor.transform.apply_coords(xy, predictor.original_size) - 0.5


def _best(masks: Bool[Tensor, "B C H W"], scores: Float[Tensor, "B C"]) -> list[PromptedMask]:
    chosen = scores.argmax(dim=1).tolist()
    return [
        PromptedMask(masks[index, channel].cpu().numpy(), float(scores[index, channel]))
        for index, channel in enumerate(chosen)
    ]


def _make_predictor(settings: SamPromptSettings) -> SamPredictor:
    require_segment_anything()
    from segment_anything import SamPredictor

    model = load_sam(settings.checkpoint or ensure_weights(settings.model))
    return SamPredictor(model.to(network_device()))
