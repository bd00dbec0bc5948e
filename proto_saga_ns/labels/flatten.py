"""Flattening: overlapping binary masks with scores to one label map.

Segmenters such as Segment Anything give masks that overlap: a chair, its leg, the chair with its cushion. They
are painted into one label map from the worst to the best, so that the best lies on top, and masks of which
hardly anything is left to see are dropped. With the default options this is the protocol of Gaga
(``get_sam_mask`` of its ``mask/get_raw_mask.py``): pixels of a dropped mask become unlabelled.

The order in which masks come in never matters: ties are broken by what the masks are, not by where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from jaxtyping import Bool, Float, Int, Int32


@dataclass(frozen=True)
class FlattenOptions:
    """How overlapping masks become one label map; the defaults are Gaga's protocol."""

    order: Literal["score", "area", "both"] = "score"
    """which mask lies on top. score: the one with the higher predicted IoU. area: the smaller one.
    both: the one with the clearly higher predicted IoU, else the smaller one"""
    score_step: float = 0.05
    """for the order both: predicted IoUs are first rounded to multiples of this"""
    min_visible_share: float = 0.1
    """masks of which at most this share is left uncovered are dropped"""
    min_area: int = 0
    """masks of which fewer pixels than this are left in the end are dropped"""
    fill_holes: int = 0
    """holes of at most so many pixels are filled, mask by mask; 0 = none"""
    min_island: int = 0
    """detached parts of fewer pixels than this become unlabelled in the end; 0 = none"""

    def __post_init__(self) -> None:
        if self.score_step <= 0 or not 0 <= self.min_visible_share < 1:
            raise ValueError("score_step must be above 0 and min_visible_share in [0, 1)")


@dataclass(frozen=True)
class MaskPatch:
    """One binary mask, cut out of its image along its bounding box: a hundred of them stay small."""

    top: int
    left: int
    pixels: Bool[np.ndarray, "h w"]
    """the mask inside of its bounding box, C-contiguous"""
    score: float
    """quality, usually the predicted IoU; higher is better"""
    area: int
    """number of pixels, above 0"""

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the patch lies in the image."""
        height, width = self.pixels.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def cut_patch(mask: Bool[np.ndarray, "H W"], score: float) -> MaskPatch | None:
    """Cut a mask out of its image; None if it is empty.

    Raises:
        ValueError: the score is not a number, so that the mask has no place in any order.
    """
    if np.isnan(score):
        raise ValueError("the score of a mask is not a number")
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    # A copy, so that the whole mask can be freed.
    pixels = np.array(mask[top:bottom, left:right], dtype=bool, order="C")
    return MaskPatch(top, left, pixels, float(score), int(np.count_nonzero(pixels)))


def flatten_masks(
    masks: Bool[np.ndarray, "M H W"], scores: Float[np.ndarray, " M"], options: FlattenOptions | None = None
) -> Int32[np.ndarray, "H W"]:
    """Overlapping masks to one label map.

    Args:
        masks: any number of binary masks, none included.
        scores: quality of each, usually the predicted IoU; higher is better.

    Returns:
        Label map with ids 1..L without gaps, numbered from the bottom to the top; 0 = in no mask that was kept.

    Raises:
        ValueError: not one score a mask, or a score that is not a number.
    """
    if masks.ndim != 3 or scores.shape != masks.shape[:1]:
        raise ValueError(f"expected M masks of (H, W) and M scores, not {masks.shape} and {scores.shape}")
    patches = (cut_patch(mask, float(score)) for mask, score in zip(masks, scores, strict=True))
    return flatten_patches(patches, masks.shape[1], masks.shape[2], options)


def flatten_patches(
    patches: Iterable[MaskPatch | None], height: int, width: int, options: FlattenOptions | None = None
) -> Int32[np.ndarray, "height width"]:
    """``flatten_masks`` for masks that were cut out one by one, so that never all of them are in memory whole.

    Args:
        patches: masks cut out of images of this height and width; None is skipped.
    """
    options = options or FlattenOptions()
    ordered = sorted(
        (_fill_holes(patch, options.fill_holes) for patch in patches if patch is not None),
        key=lambda patch: _rank(patch, options),
    )
    labels = np.zeros((height, width), np.int32)
    for label, patch in enumerate(ordered, 1):
        np.copyto(labels[patch.window], label, where=patch.pixels)
    return _keep_visible(labels, ordered, options)


def _rank(patch: MaskPatch, options: FlattenOptions) -> tuple[Any, ...]:
    """Sort key, the top-most mask last; masks with equal keys are equal."""
    match options.order:
        case "score":
            first: tuple[float, ...] = (patch.score, -patch.area)
        case "area":
            first = (-patch.area, patch.score)
        case "both":
            first = (round(patch.score / options.score_step), -patch.area, patch.score)
    return *first, patch.top, patch.left, patch.pixels.shape, np.packbits(patch.pixels).tobytes()


def _keep_visible(
    labels: Int32[np.ndarray, "H W"], ordered: Sequence[MaskPatch], options: FlattenOptions
) -> Int32[np.ndarray, "H W"]:
    """Drop what is too little to see, and number the rest without gaps."""
    visible = _count(labels, len(ordered))
    areas = np.array([1, *(patch.area for patch in ordered)])
    kept = visible > options.min_visible_share * areas
    if options.min_island > 1:
        labels = _drop_islands(np.where(kept[labels], labels, 0), options.min_island)
        visible = _count(labels, len(ordered))
    kept &= visible >= max(options.min_area, 1)
    kept[0] = False
    ids = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return ids[labels]


def _count(labels: Int[np.ndarray, "H W"], num_labels: int) -> Int[np.ndarray, " {num_labels}+1"]:
    return np.bincount(labels.reshape(-1), minlength=num_labels + 1)


def _fill_holes(patch: MaskPatch, max_pixels: int) -> MaskPatch:
    """Fill the holes of at most so many pixels: parts of the background that the mask encloses, corners closed."""
    if max_pixels <= 0:
        return patch
    from scipy.ndimage import label

    background = cast(Any, label(~patch.pixels))[0]
    is_hole = np.bincount(background.reshape(-1)) <= max_pixels
    # What reaches the bounding box is outside, not enclosed.
    for edge in (background[0], background[-1], background[:, 0], background[:, -1]):
        is_hole[edge] = False
    is_hole[0] = False
    pixels = patch.pixels | is_hole[background]
    return replace(patch, pixels=pixels, area=int(np.count_nonzero(pixels)))


def _drop_islands(labels: Int32[np.ndarray, "H W"], min_pixels: int) -> Int32[np.ndarray, "H W"]:
    """Make connected parts (by edges, not corners) of fewer pixels than this unlabelled."""
    from skimage.measure import label

    parts = cast(Any, label(labels, background=0, connectivity=1))
    is_large = np.bincount(parts.reshape(-1)) >= min_pixels
    return np.where(is_large[parts], labels, 0)
