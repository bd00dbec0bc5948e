"""The options of the data parsers that say where the masks come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from proto_saga_ns.masks.segmenters.sam import SamSettings
from proto_saga_ns.masks.segmenters.sam2 import Sam2Settings
from proto_saga_ns.masks.segmenters.superpixel import SuperpixelSettings
from proto_saga_ns.mastsam.settings import MastsamSettings


@dataclass
class MaskOptions:
    """Where the label maps of the training views come from."""

    mask_source: Literal["auto", "folder", "sam", "sam2", "superpixel", "mastsam"] = "auto"
    """folder: one PNG per image, from mask_dir, else masks/, raw_sam_mask/, sam_mask/ or object_mask/.
    sam: Segment Anything. sam2: SAM 2, or SAM, of transformers.
    superpixel: regions of similar colour, a stand-in that needs no weights and knows no objects.
    mastsam: those of mastsam_masks, followed from view to view: consistent label maps.
    auto: a folder if there is one; else sam, if its weights and a GPU are here; else superpixel."""
    mask_dir: Path | None = None
    """folder of label maps, for the sources auto and folder; looked for from the current folder, then from the data"""
    sam: SamSettings = field(default_factory=SamSettings)
    """weights and settings of the source sam"""
    sam2: Sam2Settings = field(default_factory=Sam2Settings)
    """weights and settings of the source sam2"""
    superpixel: SuperpixelSettings = field(default_factory=SuperpixelSettings)
    """how finely the superpixel source cuts the images"""
    mastsam_masks: Literal["auto", "folder", "sam", "sam2", "superpixel"] = "auto"
    """the masks of each view that the source mastsam follows"""
    mastsam: MastsamSettings = field(default_factory=MastsamSettings)
    """how the source mastsam follows them"""
