"""What viewer and ns-render show of a segmentation; every output is an (H, W, 3) or (H, W, 1) float image."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.scene import EmbeddingColors, SegmentedScene

DIMMED = 0.15
"""Brightness of what is not selected in the output ``object``."""


def embedding_outputs(
    colors: EmbeddingColors, features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W 1"]
) -> dict[str, Float[Tensor, "H W 3"]]:
    """``embedding``: three fixed principal directions of the feature map as colours."""
    return {"embedding": colors.colorize(features) * alpha}


def segmentation_outputs(
    scene: SegmentedScene,
    rgb: Float[Tensor, "H W 3"],
    features: Float[Tensor, "H W D"],
    alpha: Float[Tensor, "H W 1"],
    overlay_opacity: float,
) -> dict[str, Tensor]:
    """Colours of the instances, the same over rgb, their confidence, and the selected objects alone.

    Returns:
        ``segmentation``, ``segmentation_overlay``, ``object`` (H, W, 3) and ``confidence`` (H, W, 1).
    """
    labels, confidence = scene.segment(features, alpha[..., 0])
    colors = scene.colorize(labels)
    labelled = (labels > 0)[..., None]
    mixed = (1 - overlay_opacity) * rgb + overlay_opacity * colors
    selected = scene.is_selected(labels)[..., None]
    return {
        "segmentation": colors,
        "segmentation_overlay": mixed.where(labelled, rgb),
        "object": rgb.where(selected, DIMMED * rgb),
        "confidence": confidence[..., None],
    }
