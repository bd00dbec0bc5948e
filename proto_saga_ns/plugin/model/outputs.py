"""What viewer and ns-render show of a segmentation; every output is an (H, W, 3) or (H, W, 1) float image."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.plugin.model.render import Rendered
from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.scene import EmbeddingColors, SegmentedScene
from proto_saga_ns.scene.shown import shown_ids

DIMMED = 0.15
"""Brightness of what is not shown in the output ``object``."""
UNSELECTED = 0.4
"""Opacity in the overlay of what is not selected, relative to the selected."""
CHECKER_PIXELS = 12
CHECKER_GREYS = (0.55, 0.75)


def embedding_outputs(
    colors: EmbeddingColors, features: Float[Tensor, "H W D"], alpha: Float[Tensor, "H W 1"]
) -> dict[str, Float[Tensor, "H W 3"]]:
    """``embedding``: three fixed principal directions of the feature map as colours."""
    return {"embedding": colors.colorize(features) * alpha}


def segmentation_outputs(
    scene: SegmentedScene, visible: Rendered, shown: Rendered, background: Float[Tensor, " 3"]
) -> dict[str, Tensor]:
    """Colours of the instances, the same over rgb, their confidence, and the selected objects alone.

    Args:
        scene: with the display that decides what is seen.
        visible: the scene without what is hidden.
        shown: only what ``object`` shows; not looked at if the background is dimmed.
        background: colour behind the scene.

    Returns:
        ``segmentation``, ``segmentation_overlay``, ``object`` (H, W, 3) and ``confidence`` (H, W, 1).
    """
    display = scene.display
    labels, confidence, ids = _shown(scene, visible)
    rgb = visible.over(background)
    colors = scene.colorize(ids)
    selected = torch.isin(labels, torch.tensor(display.selected, dtype=labels.dtype, device=labels.device))
    faint = UNSELECTED if display.selected else 1.0
    opacity = display.overlay_opacity * torch.where(selected, 1.0, faint)
    opacity = opacity.masked_fill(labels == 0, 0.0)[..., None]
    if display.background == "dimmed":
        isolated = rgb.where(display.is_shown(labels)[..., None], DIMMED * rgb)
    else:
        isolated = shown.over(backdrop(display.background, rgb))
    width = display.outline
    return {
        "segmentation": outlined(colors, selected, width),
        "segmentation_overlay": outlined((1 - opacity) * rgb + opacity * colors, selected, width),
        "object": isolated,
        "confidence": confidence[..., None],
    }


def shown_labels(scene: SegmentedScene, visible: Rendered) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"]]:
    """Instance ids and confidence of a view, both 0 for what is hidden or not confident enough to be shown."""
    labels, confidence, _ = _shown(scene, visible)
    return labels, confidence


def segment_at_level(
    scene: SegmentedScene, rendered: Rendered
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"], Int32[Tensor, "H W"]]:
    """Instance ids, their probability, and the ids of groups, instances or parts, as the scene's display asks.

    All three are 0 in the same places. At the level of the objects the first and the last are the same.
    """
    seen = (rendered.features, rendered.alpha[..., 0], rendered.votes)
    if scene.display.granularity == OBJECTS or scene.levels is None:
        labels, confidence = scene.segment(*seen)
        return labels, confidence, labels
    members, confidence = scene.recognise(*seen)
    return scene.owners_of(members), confidence, shown_ids(scene, members, rendered.parts)


def _shown(
    scene: SegmentedScene, visible: Rendered
) -> tuple[Int32[Tensor, "H W"], Float[Tensor, "H W"], Int32[Tensor, "H W"]]:
    labels, confidence, ids = segment_at_level(scene, visible)
    dropped = scene.display.is_hidden(labels) | (confidence < scene.display.min_confidence)
    return labels.masked_fill(dropped, 0), confidence.masked_fill(dropped, 0.0), ids.masked_fill(dropped, 0)


def backdrop(kind: str, like: Float[Tensor, "H W 3"]) -> Float[Tensor, "#H #W 3"]:
    """Black, white, or the checkerboard by which image editors show transparency."""
    if kind == "black":
        return like.new_zeros(1, 1, 3)
    if kind == "white":
        return like.new_ones(1, 1, 3)
    rows, columns = (torch.arange(size, device=like.device) // CHECKER_PIXELS for size in like.shape[:2])
    odd = ((rows[:, None] + columns) % 2)[..., None]
    dark, light = CHECKER_GREYS
    return (dark + (light - dark) * odd).to(like.dtype).expand(-1, -1, 3)


def outlined(image: Float[Tensor, "H W 3"], mask: Bool[Tensor, "H W"], width: int) -> Float[Tensor, "H W 3"]:
    """A white line of ``width`` pixels around a mask, with a thinner black one inside, to be seen on any colour."""
    if width == 0 or not bool(mask.any()):
        return image
    around = _grown(mask, width) & ~mask
    inside = mask & _grown(~mask, max(width // 2, 1))
    return image.masked_fill(around[..., None], 1.0).masked_fill(inside[..., None], 0.0)


def _grown(mask: Bool[Tensor, "H W"], pixels: int) -> Bool[Tensor, "H W"]:
    return F.max_pool2d(mask[None, None].float(), 2 * pixels + 1, stride=1, padding=pixels)[0, 0] > 0
