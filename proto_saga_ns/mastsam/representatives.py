"""Representative selection (MastSAM, Sec. IV.D): a few matched points for each mask, spread evenly over it.

Matches crowd where there is texture. Without this step a poster would outvote the wall that it hangs on, and a
segmenter that is prompted with the points would see the poster only.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_ITERATIONS = 5
# Points whose distances to centres are in memory at a time.
_BLOCK = 1 << 12


def representatives(
    xy: Float[np.ndarray, "N 2"], groups: Int[np.ndarray, " N"], per_group: int
) -> Int[np.ndarray, " K"]:
    """K-Means over the points of each group; of each cluster the point next to its centre.

    Args:
        xy: image coordinates.
        groups: the mask, or the instance, of each point.
        per_group: clusters; groups of no more points than that stay whole.

    Returns:
        Indices of the chosen points, ascending.
    """
    order = np.argsort(groups, kind="stable")
    counts = np.unique(groups, return_counts=True)[1]
    is_large = counts > per_group
    small, large = order[~np.repeat(is_large, counts)], order[np.repeat(is_large, counts)]
    if not len(large):
        return np.sort(small)
    points = np.split(xy[large].astype(np.float64), np.cumsum(counts[is_large])[:-1])
    clusters = _Clusters(np.concatenate(points), counts[is_large])
    centres = np.stack([of_group[farthest_points(of_group, per_group)] for of_group in points])
    for _ in range(_ITERATIONS):
        centres = clusters.moved(centres)
    return np.sort(np.concatenate([small, large[clusters.central(centres)]]))


def farthest_points(xy: Float[np.ndarray, "N 2"], count: int) -> Int[np.ndarray, " count"]:
    """Indices of points, each as far as possible from those before it; the first is the farthest from the mean.

    Even however the points crowd, where random starts of K-Means follow the crowd.
    """
    chosen = [int(np.square(xy - xy.mean(axis=0)).sum(axis=1).argmax())]
    distance = np.full(len(xy), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.square(xy - xy[chosen[-1]]).sum(axis=1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


class _Clusters:
    """K-Means in all groups at once: thousands of small ones would spend their time on calls.

    Args:
        xy: the points, group by group.
        counts: points of each group, all above 0.
    """

    def __init__(self, xy: Float[np.ndarray, "N 2"], counts: Int[np.ndarray, " G"]) -> None:
        self._xy, self._group = xy, np.repeat(np.arange(len(counts)), counts)

    def moved(self, centres: Float[np.ndarray, "G K 2"]) -> Float[np.ndarray, "G K 2"]:
        """Means of the points next to each centre; one without points stays."""
        groups, clusters, _ = centres.shape
        nearest = np.concatenate([self._distance(block, centres).argmin(axis=1) for block in self._blocks()])
        cells, size = self._group * clusters + nearest, groups * clusters
        num = np.bincount(cells, minlength=size)
        sums = np.stack([np.bincount(cells, self._xy[:, axis], size) for axis in range(2)], axis=1)
        means = sums / np.maximum(num, 1)[:, None]
        return np.where(num[:, None] > 0, means, centres.reshape(-1, 2)).reshape(centres.shape)

    def central(self, centres: Float[np.ndarray, "G K 2"]) -> Int[np.ndarray, " C"]:
        """The points next to each centre, each once; of equally near ones the first."""
        best = np.full(centres.shape[:2], np.inf)
        point = np.zeros(centres.shape[:2], np.int64)
        for block in self._blocks():
            distance, group = self._distance(block, centres), self._group[block]
            starts = np.flatnonzero(np.diff(group, prepend=-1))
            least = np.full_like(best, np.inf)
            least[group[starts]] = np.minimum.reduceat(distance, starts, axis=0)
            least[least >= best] = -1
            rows, columns = np.nonzero(distance == least[group])
            # Backwards: of equals the first is written last.
            point[group[rows[::-1]], columns[::-1]] = rows[::-1] + block.start
            best = np.where(least >= 0, least, best)
        return np.unique(point)

    def _blocks(self) -> list[slice]:
        return [slice(start, start + _BLOCK) for start in range(0, len(self._xy), _BLOCK)]

    def _distance(self, block: slice, centres: Float[np.ndarray, "G K 2"]) -> Float[np.ndarray, "B K"]:
        """Squared distances of points from the centres of their group."""
        distance = np.zeros((len(self._group[block]), centres.shape[1]))
        for axis in range(2):
            away = np.ascontiguousarray(centres[..., axis])[self._group[block]]
            away -= self._xy[block, axis, None]
            away *= away
            distance += away
        return distance
