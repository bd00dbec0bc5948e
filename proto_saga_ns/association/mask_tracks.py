"""Masks whose ids hold across views, as trackers of videos give them: all masks of one id are one track.

Tracks are numbered from 0, by ascending id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int32
from torch import Tensor

from proto_saga_ns.association.claims import View, Views, claims
from proto_saga_ns.association.memory_bank import NOBODY, MemoryBank
from proto_saga_ns.association.options import AssociationOptions
from proto_saga_ns.progress import Progress

BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.int64)
UNMERGED_PAIRS = 2**20  # so many may wait, however few are merged


@dataclass(frozen=True)
class MaskTracks:
    """The tracks of some views.

    Attributes:
        track_of_mask: for every view the track of each label, NOBODY for label 0 and labels without a pixel.
        n_views: views that show each track.
        gaussian_sets: (track, Gaussian) pairs, sorted: the union of what a track's masks claim. It may be empty.
        is_own: whether the track claims the Gaussian in more than half of the views that show the track and in which
            some mask claims the Gaussian; one for each pair.
    """

    track_of_mask: list[Int32[np.ndarray, " _labels"]]
    n_views: Int[np.ndarray, " T"]
    gaussian_sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]
    is_own: Bool[np.ndarray, " E"]


def find_tracks(
    means: Float[Tensor, "N 3"],
    embeddings: Float[Tensor, "N D"],
    views: Views,
    options: AssociationOptions,
    tau: float,
    progress: Progress,
) -> MaskTracks:
    """Collect the tracks of all views; arguments are those of ``associate``. Each view is asked for once.

    Raises:
        ValueError: if a view does not know the ids of its masks, or has no classifier but needs one.
    """
    ids, votes, claimed = [], PairCounts(len(means)), BitTable(len(views), len(means))
    for index in progress(range(len(views)), "Associating masks"):
        view = views[index]
        ids.append(_ids_of_labels(view))
        masks, gaussians = claims(means, embeddings, view, tau, options)
        votes.add(ids[-1][masks], gaussians)
        claimed.set(index, gaussians)
    known = np.unique(np.concatenate([np.zeros(1, np.int64), *ids]))[1:]
    tracks = [np.where(view > 0, np.searchsorted(known, view), NOBODY).astype(np.int32) for view in ids]
    shown = _views_of_tracks(tracks, len(known))
    owners, gaussians, counts = votes.sorted()
    sets = np.searchsorted(known, owners), gaussians
    return MaskTracks(tracks, shown.sum(axis=1), sets, _are_own(sets, counts, shown, claimed))


def join_tracks(tracks: MaskTracks, bank: MemoryBank) -> Int32[np.ndarray, " T"]:
    """Place whole tracks into an empty bank, those of most views first, by id among equals (Eqs. 12 and 13).

    Only their own Gaussians are placed: what single masks claim beyond the border of an instance adds up over the
    views, and neighbours would be taken for one instance. A track that owns none founds an instance.
    """
    owners, gaussians = (column[tracks.is_own] for column in tracks.gaussian_sets)
    sizes = np.bincount(owners, minlength=len(tracks.n_views))
    parts = np.split(gaussians, np.cumsum(sizes))
    order = np.argsort(-tracks.n_views, kind="stable")
    instances = np.full(len(sizes), NOBODY, dtype=np.int32)
    for chosen, founding in ((order[sizes[order] > 0], False), (order[sizes[order] == 0], True)):
        claimed = np.concatenate([np.zeros(0, np.int64), *(parts[track] for track in chosen)])
        instances[chosen] = bank.place(claimed, sizes[chosen], founding)
    return instances


def look_numbered_per_view(ids: Sequence[Int[np.ndarray, " _L"]]) -> bool:
    """Whether masks look as if each view numbered its own: ids 1..L without gaps in over 90 % of views with masks.

    No proof: if every view shows everything, consistent ids look like this too.

    Args:
        ids: of the masks of each view, each once, in any order.
    """
    views = [view for view in ids if len(view)]
    without_gaps = sum(int(view.max()) == len(view) for view in views)
    return without_gaps > 0.9 * len(views)


def _ids_of_labels(view: View) -> Int[np.ndarray, " labels"]:
    """Id of each label up to the highest that has a pixel; 0 for label 0 and labels without a pixel."""
    shown = torch.bincount(view.label_map.reshape(-1).long()).cpu().numpy() > 0
    if view.mask_ids is None or len(view.mask_ids) < len(shown) - 1:
        known = "no" if view.mask_ids is None else str(len(view.mask_ids))
        raise ValueError(f"view {view.name} has {len(shown) - 1} masks, but {known} ids of masks")
    return np.where(shown, np.concatenate([[0], view.mask_ids[: len(shown) - 1]]), 0).astype(np.int64)


def _views_of_tracks(tracks: Sequence[Int32[np.ndarray, " _labels"]], num_tracks: int) -> Bool[np.ndarray, "T V"]:
    shown = np.zeros((num_tracks, len(tracks)), dtype=bool)
    for index, view in enumerate(tracks):
        shown[view[view != NOBODY], index] = True
    return shown


def _are_own(
    sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]],
    counts: Int[np.ndarray, " E"],
    shown: Bool[np.ndarray, "T V"],
    claimed: BitTable,
) -> Bool[np.ndarray, " E"]:
    """See ``MaskTracks.is_own``; ``counts`` are the views in which the track claims the Gaussian."""
    borders = np.searchsorted(sets[0], np.arange(len(shown) + 1))
    by_anyone = [
        claimed.count(views, sets[1][start:stop])
        for views, start, stop in zip(shown, borders[:-1], borders[1:], strict=True)
    ]
    return 2 * counts > np.concatenate([np.zeros(0, np.int64), *by_anyone])


class PairCounts:
    """How often each pair of an id and a Gaussian was added.

    Memory is linear in the different pairs, however often they come.
    """

    def __init__(self, num_gaussians: int) -> None:
        self._base = max(num_gaussians, 1)
        self._keys = self._counts = np.zeros(0, dtype=np.int64)
        self._new: list[Int[np.ndarray, " P"]] = []

    def add(self, ids: Int[np.ndarray, " P"], gaussians: Int[np.ndarray, " P"]) -> None:
        """Add pairs."""
        self._new.append(ids * self._base + gaussians)
        # Merged only when as many have come as there were: all sorting together then takes time in what came.
        if sum(map(len, self._new)) > max(len(self._keys), UNMERGED_PAIRS):
            self._merge()

    def sorted(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """Ids, Gaussians and counts, sorted by id, then by Gaussian."""
        self._merge()
        ids, gaussians = np.divmod(self._keys, self._base)
        return ids, gaussians, self._counts

    def __len__(self) -> int:
        """How many pairs are in memory."""
        return len(self._keys) + sum(map(len, self._new))

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *self._new])
        counts = np.concatenate([self._counts, np.ones(len(keys) - len(self._keys), np.int64)])
        order = np.argsort(keys)
        keys = keys[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        self._keys, self._new = keys[starts], []
        self._counts = np.add.reduceat(counts[order], starts) if len(starts) else counts


class BitTable:
    """A bit for every view and Gaussian."""

    def __init__(self, num_views: int, num_gaussians: int) -> None:
        self._bytes = np.zeros((-(-num_views // 8), num_gaussians), dtype=np.uint8)

    def set(self, view: int, gaussians: Int[np.ndarray, " P"]) -> None:
        """Set the bits of one view."""
        self._bytes[view // 8, gaussians] |= np.uint8(1 << view % 8)

    def count(self, views: Bool[np.ndarray, " V"], gaussians: Int[np.ndarray, " P"]) -> Int[np.ndarray, " P"]:
        """How many bits are set in some of the views, for some of the Gaussians."""
        chosen = np.packbits(views, bitorder="little")
        total = np.zeros(len(gaussians), dtype=np.int64)
        for row in np.flatnonzero(chosen):
            total += BITS_SET[self._bytes[row, gaussians] & chosen[row]]
        return total
