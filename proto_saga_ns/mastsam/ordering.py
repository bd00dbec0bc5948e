"""Which views are compared with which, and in what order views are visited.

Videos come in order; of an unordered collection poses or the numbers of matches tell which views are close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree, shortest_path

from proto_saga_ns.mastsam.frames import Camera


@dataclass(frozen=True)
class ViewTree:
    """Views that hang together, each reached from one that was visited before.

    Attributes:
        root: the view to begin with.
        edges: (parent, child) in the order of the visit.
    """

    root: int
    edges: list[tuple[int, int]]

    @property
    def order(self) -> list[int]:
        """Every view of the tree once, a parent before its children."""
        return [self.root, *(child for _, child in self.edges)]


@dataclass(frozen=True)
class ViewForest:
    """The views of a collection, in as few trees as the affinities allow: one if all hang together.

    Attributes:
        trees: the one of most views first.
    """

    trees: list[ViewTree]

    @property
    def connected(self) -> bool:
        """Whether every view can be reached from every other."""
        return len(self.trees) <= 1

    @property
    def edges(self) -> list[tuple[int, int]]:
        """(parent, child) of all trees."""
        return [edge for tree in self.trees for edge in tree.edges]

    @property
    def order(self) -> list[int]:
        """Every view once, a parent before its children."""
        return [view for tree in self.trees for view in tree.order]


def pose_distances(cameras: Sequence[Camera]) -> Float[np.ndarray, "N N"]:
    """How differently two cameras see: the angle between their viewing directions in radians, plus the distance of
    their centres in units of the scene's scale, the median distance of the centres from their mean.

    The roll about the viewing direction does not count.
    """
    world_to_camera = np.stack([camera.world_to_camera for camera in cameras]).astype(np.float64)
    rotations, shifts = world_to_camera[:, :3, :3], world_to_camera[:, :3, 3]
    centres, forward = -np.einsum("nji,nj->ni", rotations, shifts), rotations[:, 2]
    scale = np.median(np.linalg.norm(centres - centres.mean(axis=0), axis=1))
    angles = np.arccos(np.clip(forward @ forward.T, -1, 1))
    # Row by row: all differences at once would be three times the result.
    distances = np.stack([np.linalg.norm(centres - centre, axis=1) for centre in centres])
    total = angles + (distances / scale if scale > 0 else 0)
    np.fill_diagonal(total, 0)
    return total


def neighbours_by_pose(cameras: Sequence[Camera], count: int) -> list[Int[np.ndarray, " _K"]]:
    """For every view, the other views that see most alike by ``pose_distances``, the closest first: ``count`` of
    them, or all others if they are fewer."""
    return [_best(-row, view, count) for view, row in enumerate(pose_distances(cameras))]


def neighbour_pairs(neighbours: Sequence[Int[np.ndarray, " _K"]]) -> list[tuple[int, int]]:
    """Every pair of neighbours once, as (smaller, larger) index, sorted."""
    return sorted({(min(a, int(b)), max(a, int(b))) for a, found in enumerate(neighbours) for b in found})


def spanning_tree(affinity: Float[np.ndarray, "N N"] | Int[np.ndarray, "N N"]) -> ViewForest:
    """The order in which to visit views: along the maximum spanning tree of their affinities.

    It begins with the view that needs the fewest steps to all others, so that few errors add up (of equals the one of
    the highest total affinity), and goes on with the strongest edge from a visited view to an unvisited one.

    Args:
        affinity: 0 or less where two views have nothing in common; of (a, b) and (b, a) the larger counts.
    """
    both = np.maximum(np.maximum(affinity, affinity.T), 0).astype(np.float64)
    np.fill_diagonal(both, 0)
    # Zeros are no edges, and the minimum of negated weights is the maximum.
    tree = minimum_spanning_tree(csr_matrix(-both))
    edges = -(tree + tree.T).tocsr()
    count, piece = connected_components(edges, directed=False)
    pieces = sorted((np.flatnonzero(piece == label) for label in range(count)), key=lambda views: -len(views))
    return ViewForest([_visit(edges, _root(edges, views, both.sum(axis=1))) for views in pieces])


def _best(scores: Float[np.ndarray, " N"], view: int, count: int) -> Int[np.ndarray, " K"]:
    """Indices of the highest scores but that of the view itself; of equals the lowest index."""
    order = np.argsort(-scores, kind="stable")
    return order[order != view][:count]


def _root(edges: csr_matrix, views: Int[np.ndarray, " V"], strength: Float[np.ndarray, " N"]) -> int:
    """The view with the fewest steps to all others of a tree."""
    steps = shortest_path(edges[views][:, views], directed=False, unweighted=True).sum(axis=1)
    return int(views[np.lexsort((-strength[views], steps))[0]])


def _visit(edges: csr_matrix, root: int) -> ViewTree:
    """From the root along the edges of a tree, the strongest first."""
    waiting: list[tuple[float, int, int]] = []
    visited: list[tuple[int, int]] = []
    parent, view = -1, root
    while True:
        row = edges[[view]]
        for weight, child in zip(row.data, row.indices, strict=True):
            if child != parent:
                heappush(waiting, (-float(weight), view, int(child)))
        if not waiting:
            return ViewTree(root, visited)
        _, parent, view = heappop(waiting)
        visited.append((parent, view))
