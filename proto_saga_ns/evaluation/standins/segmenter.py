"""A simulated segmenter: the truth of one view, spoilt as an automatic segmenter that sees one view would have it.

The order is split, merge, drop, ragged borders; the ids that remain are 1 to L in random order. What it makes of a
view depends on the seed and the view's name alone, so that views can be made in any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int32
from scipy.ndimage import gaussian_filter

from proto_saga_ns.evaluation.standins.options import SegmenterOptions
from proto_saga_ns.labels.label_map import compact_labels

_SMOOTHNESS = 1.5
"""How wide the waves of ragged borders are, in pixels."""
_LINE = (0.3, 0.7)
"""A line that splits an object leaves at least about the smaller of these shares of it on either side."""


@dataclass(frozen=True)
class Segmentation:
    """What a simulated segmenter made of a view, and how often it did what.

    Attributes:
        labels: label map, 0 = unlabelled, 1..L in an order that means nothing.
        objects: true instances in the view.
        splits: how many of them were split.
        masks: masks after splitting.
        merges: how many of these went into a neighbour.
        drops: how many of the masks after merging were left out.
    """

    labels: Int32[np.ndarray, "H W"]
    objects: int
    splits: int
    masks: int
    merges: int
    drops: int


def segment(
    instances: Int[np.ndarray, "H W"], parts: Int[np.ndarray, "H W"], options: SegmenterOptions, seed: int, name: str
) -> Segmentation:
    """Simulate a segmenter on one view.

    Args:
        instances: true instance ids; 0 stays unlabelled.
        parts: true part ids; each part belongs to one instance.
        name: of the view; with the seed, all that chance depends on.

    Raises:
        ValueError: sizes differ.
    """
    if instances.shape != parts.shape or instances.ndim != 2:
        raise ValueError(f"instances and parts must have one size (H, W), got {instances.shape} and {parts.shape}")
    rng = _generator(seed, name)
    truth, ids = compact_labels(instances)
    masks, splits = _split(rng, truth, len(ids), parts, options)
    num_masks = int(masks.max(initial=0))
    merged, merges = _merge(rng, masks, truth, options.merge)
    merged, merged_ids = compact_labels(merged)
    dropped = rng.random(len(merged_ids)) < options.drop
    kept = np.where(np.append(False, dropped)[merged], 0, merged)
    labels = _shuffled(rng, _without_small(_ragged(rng, kept, options), options.min_pixels))
    return Segmentation(labels, len(ids), splits, num_masks, merges, int(dropped.sum()))


def _generator(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, *digest[:16]])


def _split(
    rng: np.random.Generator,
    truth: Int32[np.ndarray, "H W"],
    count: int,
    parts: Int[np.ndarray, "H W"],
    options: SegmenterOptions,
) -> tuple[Int32[np.ndarray, "H W"], int]:
    """Masks 1..M of objects 1..count, some of them split in two or three, and how many were."""
    masks, total, splits = np.zeros_like(truth), 0, 0
    wanted = rng.random(count) < options.split
    for index in range(count):
        rows, columns = np.nonzero(truth == index + 1)
        piece = np.zeros(len(rows), np.int64)
        if wanted[index]:
            places = np.stack([columns, rows], -1).astype(float)
            piece = _pieces(rng, places, parts[rows, columns], options.along_parts)
        masks[rows, columns] = total + 1 + piece
        total += 1 + int(piece.max(initial=0))
        splits += bool(piece.any())
    return masks, splits


def _pieces(
    rng: np.random.Generator, places: Float[np.ndarray, "N 2"], parts: Int[np.ndarray, " N"], along_parts: float
) -> Int[np.ndarray, " N"]:
    """Number of the piece of each pixel of an object, from 0 without gaps."""
    seen, index = np.unique(parts, return_inverse=True)
    if len(seen) > 1 and rng.random() < along_parts:
        groups = rng.permutation(np.arange(len(seen)) % min(len(seen), int(rng.integers(2, 4))))
        return groups[index]
    angle = rng.uniform(0, np.pi)
    across = places @ np.array([np.cos(angle), np.sin(angle)])
    return (across > np.quantile(across, rng.uniform(*_LINE))).astype(np.int64)


def _merge(
    rng: np.random.Generator, masks: Int32[np.ndarray, "H W"], truth: Int32[np.ndarray, "H W"], rate: float
) -> tuple[Int32[np.ndarray, "H W"], int]:
    """Each mask goes into a neighbour of another object with this probability; and how many did.

    The neighbour is drawn by the length of the common border: what hardly touches is hardly taken for one.
    """
    count = int(masks.max(initial=0))
    borders = _borders(masks, truth, count)
    root = np.arange(count + 1)
    merges = 0
    for mask in rng.permutation(np.flatnonzero(rng.random(count) < rate) + 1):
        # Neighbours that it has already been joined to would make it one merge less.
        weights = np.where(root == root[mask], 0, borders[mask]).astype(float)
        if weights.sum() > 0:
            root[root == root[mask]] = root[rng.choice(count + 1, p=weights / weights.sum())]
            merges += 1
    return root[masks].astype(np.int32), merges


def _borders(masks: Int32[np.ndarray, "H W"], truth: Int32[np.ndarray, "H W"], count: int) -> Int[np.ndarray, "M M"]:
    """How many pixel sides each two masks of different objects share; symmetric."""
    table = np.zeros((count + 1, count + 1), np.int64)
    for first, second in _neighbours():
        a, b = masks[first], masks[second]
        differ = (truth[first] != truth[second]) & (a > 0) & (b > 0)
        np.add.at(table, (a[differ], b[differ]), 1)
    return table + table.T


def _neighbours() -> Sequence[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    every, left, right = slice(None), slice(None, -1), slice(1, None)
    return [((every, left), (every, right)), ((left, every), (right, every))]


def _ragged(
    rng: np.random.Generator, labels: Int32[np.ndarray, "H W"], options: SegmenterOptions
) -> Int32[np.ndarray, "H W"]:
    """Each pixel takes the label some way off, which waves borders; some pixels at borders lose theirs."""
    height, width = labels.shape
    waves = [gaussian_filter(rng.normal(size=(height, width)), _SMOOTHNESS) for _ in range(2)]
    rows, columns = np.indices((height, width))
    moved = [
        (place + (options.jitter * wave / wave.std() if wave.std() > 0 else 0)).round().astype(np.int64)
        for place, wave in zip((rows, columns), waves, strict=True)
    ]
    ragged = labels[moved[0].clip(0, height - 1), moved[1].clip(0, width - 1)]
    gaps = _is_border(ragged) & (rng.random((height, width)) < options.gaps)
    return np.where(gaps, 0, ragged)


def _is_border(labels: Int32[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Pixels beside another label."""
    border = np.zeros(labels.shape, bool)
    for first, second in _neighbours():
        differ = labels[first] != labels[second]
        border[first] |= differ
        border[second] |= differ
    return border


def _without_small(labels: Int32[np.ndarray, "H W"], min_pixels: int) -> Int32[np.ndarray, "H W"]:
    return np.where(np.bincount(labels.ravel())[labels] < min_pixels, 0, labels)


def _shuffled(rng: np.random.Generator, labels: Int32[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    compact, ids = compact_labels(labels)
    return np.append(0, rng.permutation(len(ids)) + 1)[compact].astype(np.int32)
