"""Segment Anything through the package ``segment-anything`` (extra ``sam``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, UInt8

from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.labels.flatten import MaskPatch, cut_patch
from proto_saga_ns.segmenters.mask_generation import (
    MaskGenerationSettings,
    MaskGenerator,
    out_of_memory_is_explained,
)
from proto_saga_ns.segmenters.sam_model import load_sam, require_segment_anything
from proto_saga_ns.segmenters.sam_weights import SamModel, ensure_weights, weights_fingerprint

if TYPE_CHECKING:
    from segment_anything import SamAutomaticMaskGenerator


@dataclass(frozen=True)
class SamSettings(MaskGenerationSettings):
    """Segment Anything: which weights, and how masks are generated."""

    model: SamModel = "vit_h"
    """published weights, downloaded once: vit_h is the best (2.6 GB), vit_b the fastest (0.4 GB)"""
    checkpoint: Path | None = None
    """a file of weights, in place of a published model"""
    crop_nms_threshold: float = 0.7
    """as box_nms_threshold, between masks of different crops"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.checkpoint is not None:
            # The settings are kept beside the trained scene, and read again from other working directories.
            object.__setattr__(self, "checkpoint", self.checkpoint.absolute())


class SamSegmenter(MaskGenerator):
    """Masks of Segment Anything's automatic mask generator, flattened. Loads the model when first needed."""

    name = "sam"

    def __init__(self, settings: SamSettings | None = None) -> None:
        self._settings = settings or SamSettings()
        super().__init__(self._settings.flatten)
        self._generator: SamAutomaticMaskGenerator | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._settings.fingerprint(weights_fingerprint(self._settings.model, self._settings.checkpoint))

    def load(self) -> None:
        if self._generator is None:
            self._generator = _make_generator(self._settings)

    def find_masks(self, image: UInt8[np.ndarray, "H W 3"]) -> list[MaskPatch]:
        self.load()
        assert self._generator is not None
        with out_of_memory_is_explained("sam"):
            records = self._generator.generate(image)
        patches = (cut_patch(decode_rle(found["segmentation"]), found["predicted_iou"]) for found in records)
        return [patch for patch in patches if patch is not None]


def decode_rle(rle: Mapping[str, Any]) -> Bool[np.ndarray, "H W"]:
    """A mask from COCO's uncompressed run lengths: ``counts`` of 0s, 1s, 0s, ... down the columns, ``size`` (H, W).

    The mask is a view in Fortran order.
    """
    height, width = rle["size"]
    counts = np.asarray(rle["counts"])
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def _make_generator(settings: SamSettings) -> SamAutomaticMaskGenerator:
    require_segment_anything()
    from segment_anything import SamAutomaticMaskGenerator

    model = load_sam(settings.checkpoint or ensure_weights(settings.model))
    return SamAutomaticMaskGenerator(
        model.to(network_device()),
        points_per_side=settings.points_per_side,
        points_per_batch=settings.points_per_batch,
        pred_iou_thresh=settings.pred_iou_threshold,
        stability_score_thresh=settings.stability_threshold,
        stability_score_offset=settings.stability_offset,
        box_nms_thresh=settings.box_nms_threshold,
        crop_n_layers=settings.crop_layers,
        crop_nms_thresh=settings.crop_nms_threshold,
        crop_overlap_ratio=settings.crop_overlap,
        crop_n_points_downscale_factor=settings.crop_points_downscale,
        # Run lengths: two hundred whole masks of a large photo would be half a gigabyte.
        output_mode="uncompressed_rle",
    )
