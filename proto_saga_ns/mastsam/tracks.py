"""Tracks: matches of pairs of views, strung together to what many views see of one place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from proto_saga_ns.mastsam.matches import Matches

# Bits of a view's and of a cell's row and column in one number.
_CELL_BITS = 20


@dataclass(frozen=True)
class Tracks:
    """Observations, one a row, sorted by track; a track is seen at most once in a view.

    Attributes:
        track: 0..T-1 without gaps.
        view: index of the view.
        xy: image coordinates there (see ``frames``).
    """

    track: Int[np.ndarray, " O"]
    view: Int[np.ndarray, " O"]
    xy: Float[np.ndarray, "O 2"]

    @property
    def count(self) -> int:
        """T."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    @property
    def lengths(self) -> Int[np.ndarray, " T"]:
        """Number of views of each track."""
        return np.bincount(self.track, minlength=self.count)

    @property
    def starts(self) -> Int[np.ndarray, " T"]:
        """Row of the first observation of each track."""
        return np.flatnonzero(np.diff(self.track, prepend=-1))

    def sums(self, values: Float[np.ndarray, " O *each"]) -> Float[np.ndarray, " T *each"]:
        """Sums of something over the observations of each track."""
        return np.add.reduceat(values, self.starts) if len(values) else values

    def select_tracks(self, which: Bool[np.ndarray, " T"]) -> Tracks:
        """Some of the tracks, numbered again in their order."""
        return self.select_observations(which[self.track])

    def select_observations(self, which: Bool[np.ndarray, " O"], min_views: int = 1) -> Tracks:
        """Some of the observations, and of the tracks those that have at least ``min_views`` of them."""
        which = which & (np.bincount(self.track[which], minlength=self.count) >= min_views)[self.track]
        track = np.unique(self.track[which], return_inverse=True)[1]
        return Tracks(track.reshape(-1), self.view[which], self.xy[which])

    def chunks(self, size: int) -> list[Tracks]:
        """Whole tracks together, about ``size`` observations at a time, in their order."""
        part = self.starts // size
        return [self.select_tracks(part == number) for number in np.unique(part)]

    @classmethod
    def joined(cls, parts: Sequence[Tracks]) -> Tracks:
        """The tracks of all parts, one part after another."""
        offsets = np.cumsum([0, *(part.count for part in parts)])
        track = [part.track + offset for part, offset in zip(parts, offsets, strict=False)]
        none = np.zeros(0, np.int64)
        return cls(
            np.concatenate([none, *track]),
            np.concatenate([none, *(part.view for part in parts)]),
            np.concatenate([np.zeros((0, 2)), *(part.xy for part in parts)]),
        )


def find_tracks(
    pairs: Iterable[tuple[int, int, Matches]], cell_px: float = 1.0, spread_px: float = 2.0, min_views: int = 2
) -> Tracks:
    """Union-find over matches: what is matched, or lies in the same cell of a view, is one place.

    The most confident matches come first; one that would give a track two places in one view is refused. So tracks
    that come within a cell of each other somewhere in a long sequence do not all run together.

    Args:
        pairs: (view a, view b, matches).
        cell_px: side of the square cells of an image within which points are the same; matchers that know no key
            points hit a place a little elsewhere in every pair.
        spread_px: points of one view that are farther apart than this are two places. Closer ones of one track
            become their mean.
        min_views: tracks of fewer views are dropped.
    """
    ends, xy, confidence = _all_ends(pairs)
    if not len(xy):
        return Tracks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
    keys, node = np.unique(_cells(ends, xy, cell_px), return_inverse=True)
    node = node.reshape(-1)
    links = np.sort(node.reshape(-1, 2), axis=1)
    # Equally confident ones in the order of their places, so that the order of the pairs does not matter.
    links = links[np.lexsort((links[:, 1], links[:, 0], -confidence))]
    centres = np.column_stack([np.bincount(node, weights=column) for column in xy.T]) / np.bincount(node)[:, None]
    piece = _unite(links, keys >> 2 * _CELL_BITS, centres, spread_px)[node]
    return _merged(piece, ends, xy, min_views)


def _unite(
    links: Int[np.ndarray, "M 2"], views: Int[np.ndarray, " C"], xy: Float[np.ndarray, "C 2"], spread_px: float
) -> Int[np.ndarray, " C"]:
    """Number of the track of each cell; links are taken one by one, unless they contradict those before.

    Args:
        links: pairs of cells.
        views, xy: view and place of each cell.
        spread_px: a track may have two places in a view if they are not farther apart than this in x or y.
    """
    parent = list(range(len(views)))
    x, y = xy.T.tolist()
    # Of each root, one cell in each view that its track has been seen in.
    seen: list[dict[int, int]] = [{view: cell} for cell, view in enumerate(views.tolist())]

    def root(cell: int) -> int:
        while parent[cell] != cell:
            parent[cell] = cell = parent[parent[cell]]
        return cell

    def fits(small: dict[int, int], large: dict[int, int]) -> bool:
        both = ((small[view], large[view]) for view in small.keys() & large.keys())
        return all(abs(x[a] - x[b]) <= spread_px and abs(y[a] - y[b]) <= spread_px for a, b in both)

    for a, b in links.tolist():
        small, large = sorted((root(a), root(b)), key=lambda cell: len(seen[cell]))
        if small != large and fits(seen[small], seen[large]):
            parent[small] = large
            seen[large].update(seen[small])
            seen[small] = {}
    return np.array([root(cell) for cell in parent])


def _all_ends(
    pairs: Iterable[tuple[int, int, Matches]],
) -> tuple[Int[np.ndarray, " E"], Float[np.ndarray, "E 2"], Float[np.ndarray, " M"]]:
    """View and point of both ends of every match, those of one match after one another; and confidences."""
    views, points = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.float32)]
    confidence = [np.zeros(0, np.float32)]
    for a, b, matches in pairs:
        views.append(np.tile([a, b], len(matches)))
        points.append(np.stack([matches.xy_a, matches.xy_b], axis=1).reshape(-1, 2))
        confidence.append(matches.confidence)
    return np.concatenate(views), np.concatenate(points), np.concatenate(confidence)


def _cells(views: Int[np.ndarray, " E"], xy: Float[np.ndarray, "E 2"], cell_px: float) -> Int[np.ndarray, " E"]:
    """One number for each cell of each view."""
    column, row = np.floor(xy / cell_px).astype(np.int64).T
    return (views << 2 * _CELL_BITS) | (row << _CELL_BITS) | column


def _merged(
    piece: Int[np.ndarray, " E"], views: Int[np.ndarray, " E"], xy: Float[np.ndarray, "E 2"], min_views: int
) -> Tracks:
    """One observation for each piece and view, the mean of its points."""
    order = np.lexsort((views, piece))
    piece, views, xy = piece[order], views[order], xy[order]
    starts = np.flatnonzero((np.diff(piece, prepend=-1) != 0) | (np.diff(views, prepend=-1) != 0))
    sizes = np.diff(starts, append=len(piece))
    means = np.add.reduceat(xy.astype(np.float64), starts) / sizes[:, None]
    tracks = Tracks(piece[starts], views[starts], means)
    return tracks.select_observations(np.ones(len(starts), bool), min_views)
