"""In which order the frames are visited, and with which earlier ones each is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from proto_saga_ns.mastsam.frames import Camera


@dataclass(frozen=True)
class Visit:
    """One frame's turn; frames by index.

    Attributes:
        index: of the frame.
        near: earlier frames to compare it with, the most telling first.
        far: frames long ago, which are asked when the near ones do not know all of it: an instance that comes back
            gets its old id.
    """

    index: int
    near: list[int]
    far: list[int]


def sequence_visits(count: int, window: int) -> list[Visit]:
    """One frame after another, each with the ``window`` before it; the far ones are 2, 4, 8, ... windows back and the
    first frame of all, so that their number grows with the logarithm of the length."""
    visits = []
    for index in range(count):
        near = [index - step for step in range(1, min(window, index) + 1)]
        far, back = [], 2 * window
        while index - back >= 0:
            far.append(index - back)
            back *= 2
        if index > window and far[-1:] != [0]:
            far.append(0)
        visits.append(Visit(index, near, far))
    return visits


def collection_pairs(count: int, window: int, cameras: Sequence[Camera] | None) -> list[tuple[int, int]]:
    """Pairs of an unordered collection to be matched, (smaller, larger) index: all, or, where poses are known, those of
    each frame and the ``window`` that see most alike."""
    from proto_saga_ns.mastsam.ordering import neighbour_pairs, neighbours_by_pose

    everyone = [np.delete(np.arange(count), index) for index in range(count)]
    return neighbour_pairs(everyone if cameras is None else neighbours_by_pose(cameras, window))


def collection_visits(
    count: int, window: int, pairs: Iterable[tuple[int, int]], count_matches: Callable[[int, int], int]
) -> list[Visit]:
    """An unordered collection: along the maximum spanning tree of the numbers of matches.

    Args:
        pairs: see ``collection_pairs``.
        count_matches: of the frames of a pair.
    """
    from proto_saga_ns.mastsam.ordering import spanning_tree

    counts = np.zeros((count, count), np.int64)
    for a, b in pairs:
        counts[a, b] = counts[b, a] = count_matches(a, b)
    visits, visited = [], np.zeros(count, bool)
    for index in spanning_tree(counts).order:
        visits.append(Visit(index, _with_most_matches(np.where(visited, counts[index], 0), window), []))
        visited[index] = True
    return visits


def _with_most_matches(counts: Int[np.ndarray, " N"], window: int) -> list[int]:
    order = np.argsort(-counts, kind="stable")[:window]
    return order[counts[order] > 0].tolist()
