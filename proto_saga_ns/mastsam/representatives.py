"""Representative selection (MastSAM, Sec. IV.D): a few matched points for each mask, spread evenly over it.

Matches crowd where there is texture. Without this step a poster would outvote the wall that it hangs on, and a
segmenter that is prompted with the points would see the poster only.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2
from scipy.spatial import KDTree

_ITERATIONS = 5


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
    chosen = [np.zeros(0, np.int64)]
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        chosen.append(members if len(members) <= per_group else members[_central(xy[members], per_group)])
    return np.sort(np.concatenate(chosen))


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


def _central(xy: Float[np.ndarray, "N 2"], clusters: int) -> Int[np.ndarray, " K"]:
    points = xy.astype(np.float64)
    start = points[farthest_points(points, clusters)]
    with warnings.catch_warnings():
        # A cluster that loses all its points keeps its centre, which is as good as any: points may coincide.
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(points, start, iter=_ITERATIONS, minit="matrix", missing="warn")
    _, nearest = KDTree(points).query(centres)
    return np.unique(nearest)
