"""Options of choosing instances by a phrase; the defaults are those of the LERF-Mask protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from proto_saga_ns.masks.segmenters.sam_weights import SamModel

SWIN_B = "IDEA-Research/grounding-dino-base"
DEFAULT_MIN_SHARE = 0.7


@dataclass(frozen=True)
class BoxSamOptions:
    """Segment Anything, asked by boxes: which weights."""

    model: SamModel = "vit_h"
    """published weights, downloaded once: vit_h is the best (2.6 GB), vit_b the fastest (0.4 GB)"""
    checkpoint: Path | None = None
    """a file of weights, in place of a published model"""


@dataclass(frozen=True)
class TextOptions:
    """How a phrase becomes boxes, boxes a mask, and the mask a choice of instances."""

    grounding_dino: str = SWIN_B
    """a Grounding DINO on huggingface.co (this one is Swin-B, 0.9 GB; smaller: IDEA-Research/grounding-dino-tiny), or a
    local folder"""
    revision: str = "main"
    """branch, tag or commit of that model on the hub"""
    box_threshold: float = 0.3
    """boxes with a lower score are dropped"""
    text_threshold: float = 0.45
    """a word with at least this score in a box is listed as one that the box was found for; it drops no box"""
    min_share: float = DEFAULT_MIN_SHARE
    """an instance is chosen if more than this share of its pixels lies on the mask"""
    sam: BoxSamOptions = field(default_factory=BoxSamOptions)
    """the model that turns boxes into masks"""

    def __post_init__(self) -> None:
        for name in ("box_threshold", "text_threshold", "min_share"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1")
