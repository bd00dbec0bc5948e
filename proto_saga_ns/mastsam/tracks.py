"""Tracks: matches of pairs of views, strung together to what many views see of one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

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

    def sums(self, values: Float[np.ndarray, "O ..."]) -> Float[np.ndarray, "T ..."]:
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


def find_tracks(
    pairs: Iterable[tuple[int, int, Matches]], cell_px: float = 1.0, spread_px: float = 2.0, min_views: int = 2
) -> Tracks:
    """Union-find over matches: what is matched, or lies in the same cell of a view, is one place.

    Args:
        pairs: (view a, view b, matches).
        cell_px: side of the square cells of an image within which points are the same; matchers that know no key
            points hit a place a little elsewhere in every pair.
        spread_px: a track that has points farther apart than this in x or y in one view has strung together
            several places, and is dropped. Closer points become their mean.
        min_views: tracks of fewer views are dropped.
    """
    ends, xy = _all_ends(pairs)
    if not len(xy):
        return Tracks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
    keys, node = np.unique(_cells(ends, xy, cell_px), return_inverse=True)
    a, b = node.reshape(-1, 2).T
    links = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(len(keys), len(keys)))
    piece = connected_components(links, directed=False)[1][node.reshape(-1)]
    return _merged(piece, ends, xy, spread_px, min_views)


def _all_ends(
    pairs: Iterable[tuple[int, int, Matches]],
) -> tuple[Int[np.ndarray, " 2*M"], Float[np.ndarray, "2*M 2"]]:
    """View and point of both ends of every match; those of one match follow one another."""
    views, points = [np.zeros(0, np.int64)], [np.zeros((0, 2), np.float32)]
    for a, b, matches in pairs:
        views.append(np.tile([a, b], len(matches)))
        points.append(np.stack([matches.xy_a, matches.xy_b], axis=1).reshape(-1, 2))
    return np.concatenate(views), np.concatenate(points)


def _cells(views: Int[np.ndarray, " E"], xy: Float[np.ndarray, "E 2"], cell_px: float) -> Int[np.ndarray, " E"]:
    """One number for each cell of each view."""
    column, row = np.floor(xy / cell_px).astype(np.int64).T
    return (views << 2 * _CELL_BITS) | (row << _CELL_BITS) | column


def _merged(
    piece: Int[np.ndarray, " E"],
    views: Int[np.ndarray, " E"],
    xy: Float[np.ndarray, "E 2"],
    spread_px: float,
    min_views: int,
) -> Tracks:
    """One observation for each piece and view, the mean of its points."""
    order = np.lexsort((views, piece))
    piece, views, xy = piece[order], views[order], xy[order]
    starts = np.flatnonzero((np.diff(piece, prepend=-1) != 0) | (np.diff(views, prepend=-1) != 0))
    sizes = np.diff(starts, append=len(piece))
    means = np.add.reduceat(xy.astype(np.float64), starts) / sizes[:, None]
    spread = (np.maximum.reduceat(xy, starts) - np.minimum.reduceat(xy, starts)).max(axis=1)
    tracks = Tracks(piece[starts], views[starts], means)
    good = np.bincount(tracks.track, weights=spread > spread_px) == 0
    return tracks.select_observations(good[tracks.track], min_views)
