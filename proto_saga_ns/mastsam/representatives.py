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
    xy: Float[np.ndarray, "N 2"], groups: Int[np.ndarray, " N"], per_group: int, seed: int = 0
) -> Int[np.ndarray, " K"]:
    """K-Means over the points of each group; of each cluster the point next to its centre.

    Args:
        xy: image coordinates.
        groups: the mask, or the instance, of each point.
        per_group: clusters; groups of no more points than that stay whole.
        seed: of K-Means.

    Returns:
        Indices of the chosen points, ascending.
    """
    rng = np.random.default_rng(seed)
    chosen = [np.zeros(0, np.int64)]
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        chosen.append(members if len(members) <= per_group else members[_central(xy[members], per_group, rng)])
    return np.sort(np.concatenate(chosen))


def _central(xy: Float[np.ndarray, "N 2"], clusters: int, rng: np.random.Generator) -> Int[np.ndarray, " K"]:
    points = xy.astype(np.float64)
    start = points[rng.choice(len(points), clusters, replace=False)]
    with warnings.catch_warnings():
        # A cluster that loses all its points keeps its centre, which is as good as any: points may coincide.
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(points, start, iter=_ITERATIONS, minit="matrix", missing="warn")
    _, nearest = KDTree(points).query(centres)
    return np.unique(nearest)
