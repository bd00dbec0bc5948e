"""Segmenters: image to label map, one file per backend."""

from proto_saga_ns.masks.segmenters.base import ModelSegmenter, OverlappingSegmenter, Segmenter
from proto_saga_ns.masks.segmenters.mask_generation import MaskGenerationSettings
from proto_saga_ns.masks.segmenters.sam import SamSegmenter, SamSettings
from proto_saga_ns.masks.segmenters.sam2 import Sam2Segmenter, Sam2Settings
from proto_saga_ns.masks.segmenters.superpixel import SuperpixelSegmenter, SuperpixelSettings

__all__ = [
    "MaskGenerationSettings",
    "ModelSegmenter",
    "OverlappingSegmenter",
    "Sam2Segmenter",
    "Sam2Settings",
    "SamSegmenter",
    "SamSettings",
    "Segmenter",
    "SuperpixelSegmenter",
    "SuperpixelSettings",
]
