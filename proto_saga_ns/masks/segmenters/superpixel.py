"""A segmenter without weights: regions of similar colour, from Felzenszwalb's graph cuts and region merging.

A stand-in. It knows nothing of objects: a red ball on a red sofa is one region, a striped shirt is many. It
lets any folder of photos be tried offline and without a GPU; for real results use masks of a real segmenter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, UInt8
from PIL import Image

from proto_saga_ns.labels.label_map import resize_label_map

# Raised when the same settings begin to give other regions, so that caches are made again.
_ALGORITHM = 1


@dataclass(frozen=True)
class SuperpixelSettings:
    """How finely to cut."""

    working_size: int = 512
    """longer edge, in pixels, of the image that is cut; the result is resized to the full size"""
    color_distance: float = 11.0
    """neighbouring regions merge while their mean CIELAB colours are closer than this"""
    min_area: float = 0.0015
    """smallest region, as a share of the image; smaller ones join their most similar neighbour"""
    max_regions: int = 60
    """the most similar neighbours merge until no more regions than this are left"""


class SuperpixelSegmenter:
    """Regions of similar colour, every pixel in one. Deterministic. No object knowledge: see the module."""

    name = "superpixel"

    def __init__(self, settings: SuperpixelSettings | None = None) -> None:
        self._settings = settings or SuperpixelSettings()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {**asdict(self._settings), "algorithm": _ALGORITHM}

    def __call__(self, image: UInt8[np.ndarray, "H W 3"]) -> Int32[np.ndarray, "H W"]:
        from skimage.color import rgb2lab
        from skimage.segmentation import felzenszwalb

        height, width = image.shape[:2]
        small = _shrink(image, self._settings.working_size)
        lab = rgb2lab(small)
        # Colour differences of CIELAB, brought to the range that felzenszwalb's scale is meant for.
        regions = felzenszwalb(lab / 100, scale=60, sigma=0.8, min_size=24, channel_axis=-1)
        merged = merge_regions(regions, lab, self._settings)
        return resize_label_map(merged, height, width)


def merge_regions(
    regions: Int[np.ndarray, "H W"], lab: Float[np.ndarray, "H W 3"], settings: SuperpixelSettings
) -> Int32[np.ndarray, "H W"]:
    """Merge the most similar neighbours of a region adjacency graph, over and over.

    Regions differ by the distance of their mean colours, less so if one of them is small: a large region
    needs a clear difference to be kept apart, specks vanish.

    Args:
        regions: ids 0..R-1.
        lab: CIELAB colours.

    Returns:
        Labels 1..L.
    """
    num = int(regions.max()) + 1
    sizes = np.bincount(regions.reshape(-1), minlength=num).astype(float)
    sums = np.stack([np.bincount(regions.reshape(-1), lab[..., c].reshape(-1), num) for c in range(3)], -1)
    graph = _Graph(sizes, sums, _adjacency(regions, num), settings)
    while graph.count > 1:
        cost, pair = graph.cheapest()
        if cost >= settings.color_distance and graph.count <= settings.max_regions:
            break
        graph.merge(*pair)
    _, labels = np.unique(graph.owner, return_inverse=True)
    return (labels[regions] + 1).astype(np.int32)


class _Graph:
    """Dense region adjacency graph; a region that was merged away has infinite costs."""

    def __init__(
        self,
        sizes: Float[np.ndarray, " R"],
        color_sums: Float[np.ndarray, "R 3"],
        adjacent: Bool[np.ndarray, "R R"],
        settings: SuperpixelSettings,
    ) -> None:
        self.owner = np.arange(len(sizes))
        self.count = len(sizes)
        self._sizes, self._sums, self._adjacent = sizes, color_sums, adjacent
        self._min_area = settings.min_area * sizes.sum()
        self._costs = np.stack([self._costs_of(region) for region in range(len(sizes))])

    def cheapest(self) -> tuple[float, tuple[int, int]]:
        """Cost of the cheapest merge, and the two regions."""
        first, second = divmod(int(self._costs.argmin()), len(self.owner))
        return float(self._costs[first, second]), (first, second)

    def merge(self, kept: int, gone: int) -> None:
        """Let one region swallow a neighbour."""
        self.owner[self.owner == gone] = kept
        self.count -= 1
        self._sizes[kept] += self._sizes[gone]
        self._sums[kept] += self._sums[gone]
        self._adjacent[kept] |= self._adjacent[gone]
        self._adjacent[:, kept] = self._adjacent[kept]
        self._adjacent[gone] = self._adjacent[:, gone] = False
        self._adjacent[kept, kept] = False
        self._costs[gone] = self._costs[:, gone] = np.inf
        self._costs[kept] = self._costs[:, kept] = self._costs_of(kept)

    def _costs_of(self, region: int) -> Float[np.ndarray, " R"]:
        means = self._sums / self._sizes[:, None]
        distance = np.linalg.norm(means - means[region], axis=-1)
        smaller = np.minimum(self._sizes, self._sizes[region])
        # Full weight from ten times the smallest area on; below the smallest area a merge is all but free.
        weight = np.clip(smaller / (10 * self._min_area), 0, 1) ** 0.25
        weight = np.where(smaller < self._min_area, 1e-3, weight)
        return np.where(self._adjacent[region], distance * weight, np.inf)


def _adjacency(regions: Int[np.ndarray, "H W"], num: int) -> Bool[np.ndarray, "R R"]:
    adjacent = np.zeros((num, num), bool)
    adjacent[regions[:, 1:], regions[:, :-1]] = True
    adjacent[regions[1:], regions[:-1]] = True
    np.fill_diagonal(adjacent, False)
    return adjacent | adjacent.T


def _shrink(image: UInt8[np.ndarray, "H W 3"], longer_edge: int) -> UInt8[np.ndarray, "h w 3"]:
    factor = longer_edge / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(edge * factor)) for edge in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
