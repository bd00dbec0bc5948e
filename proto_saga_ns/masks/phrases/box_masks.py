"""Masks of boxes, by Segment Anything through the package ``segment-anything`` (extra ``sam``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, UInt8

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import memory_errors_are_explained, network_device
from proto_saga_ns.masks.phrases.options import BoxSamOptions
from proto_saga_ns.masks.segmenters.sam import load_sam, require_segment_anything
from proto_saga_ns.masks.segmenters.sam_weights import ensure_weights

if TYPE_CHECKING:
    import torch
    from segment_anything import SamPredictor

BOXES_AT_A_TIME = 16
"""A few whole masks, as logits, of a large image are on the device at a time."""

_OTHER_WAYS = "Smaller weights that may be here: --sam.model vit_b or vit_l."


def make_predictor(options: BoxSamOptions) -> SamPredictor:
    """Segment Anything, ready to be asked.

    Raises:
        ProtoSagaError: the extra is not installed, or the weights are missing or bad.
    """
    require_segment_anything()
    from segment_anything import SamPredictor

    model = load_sam(options.checkpoint or ensure_weights(options.model, _OTHER_WAYS))
    return SamPredictor(model.to(network_device()))


def masks_of_boxes(
    predictor: SamPredictor, rgb: UInt8[np.ndarray, "H W 3"], boxes: Float[np.ndarray, "B 4"]
) -> Bool[np.ndarray, "B H W"]:
    """The mask of the thing in each box; their union is the text mask.

    As in the protocol (``ext/grounded_sam.py`` of Gaussian Grouping) the model gives one mask a box, no choice of
    three, and boxes are scaled to its image with nothing else done to them.

    Args:
        predictor: Segment Anything; it is left with this image embedded.
        rgb: image.
        boxes: left, top, right, bottom in pixels; none gives no masks and asks nothing.

    Raises:
        ProtoSagaError: a box is empty or outside the image, or the GPU has not enough memory.
    """
    import torch

    check_boxes(boxes, rgb.shape[0], rgb.shape[1])
    if len(boxes) == 0:
        return np.zeros((0, *rgb.shape[:2]), bool)
    smaller = "Try a smaller model: --sam.model vit_b."
    with memory_errors_are_explained("Segment Anything", lambda: smaller):
        predictor.set_image(rgb, image_format="RGB")
        scaled = torch.as_tensor(predictor.transform.apply_boxes(boxes, rgb.shape[:2]), dtype=torch.float)
        return np.concatenate([_masks_of_some(predictor, some) for some in scaled.split(BOXES_AT_A_TIME)])


def _masks_of_some(predictor: SamPredictor, scaled: torch.Tensor) -> Bool[np.ndarray, "B H W"]:
    masks, _, _ = predictor.predict_torch(None, None, boxes=scaled.to(predictor.device), multimask_output=False)
    return masks[:, 0].cpu().numpy()


def check_boxes(boxes: Float[np.ndarray, "B 4"], height: int, width: int) -> None:
    """Every box has an area and touches the image.

    Raises:
        ProtoSagaError: one does not.
    """
    for box in boxes:
        x0, y0, x1, y1 = box
        if not (np.isfinite(box).all() and max(x0, 0) < min(x1, width) and max(y0, 0) < min(y1, height)):
            raise ProtoSagaError(
                f"The box {x0:g} {y0:g} {x1:g} {y1:g} covers nothing of the image, which is {width} pixels wide and "
                f"{height} high. Expected left, top, right and bottom in pixels, with left < right and top < bottom."
            )
