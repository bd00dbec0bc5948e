"""How much two masks agree: in their area, and along their borders."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import distance_transform_cdt

BORDER_SHARE = 0.02
"""Width of a border as a share of the image's diagonal."""


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
