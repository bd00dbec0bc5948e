"""Segmenters: image to label map, one file per backend."""

from proto_saga_ns.segmenters.base import Segmenter
from proto_saga_ns.segmenters.superpixel import SuperpixelSegmenter, SuperpixelSettings

__all__ = ["Segmenter", "SuperpixelSegmenter", "SuperpixelSettings"]
