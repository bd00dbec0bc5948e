"""Masks whose ids hold across views, as trackers of videos give them: all masks of one id are one track.

Tracks are numbered from 0, by ascending id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.association.claims import Progress, View, Views, claims
from proto_saga_ns.association.memory_bank import NOBODY, MemoryBank
from proto_saga_ns.association.options import AssociationOptions

UNMERGED_PAIRS = 2**20  # so many may wait, however few are merged


@dataclass(frozen=True)
class MaskTracks:
    """The tracks of some views.

    Attributes:
        track_of_mask: for every view the track of each label, NOBODY for label 0 and labels without a pixel.
        n_views: views that show each track.
        gaussian_sets: (track, Gaussian) pairs, sorted: the union of what a track's masks claim. It may be empty.
    """

    track_of_mask: list[Int32[np.ndarray, " L+1"]]
    n_views: Int[np.ndarray, " T"]
    gaussian_sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]

    @property
    def n_gaussians(self) -> Int[np.ndarray, " T"]:
        """Size of each track's set."""
        return np.bincount(self.gaussian_sets[0], minlength=len(self.n_views))


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
    ids, union = [], _Pairs(len(means))
    for index in progress(range(len(views))):
        view = views[index]
        ids.append(_ids_of_labels(view))
        masks, gaussians = claims(means, embeddings, view, tau, options)
        union.add(ids[-1][masks], gaussians)
    known = np.unique(np.concatenate([np.zeros(1, np.int64), *ids]))[1:]
    owners, gaussians = union.sorted()
    tracks = [np.where(view > 0, np.searchsorted(known, view), NOBODY).astype(np.int32) for view in ids]
    return MaskTracks(tracks, _count_views(tracks, len(known)), (np.searchsorted(known, owners), gaussians))


def join_tracks(tracks: MaskTracks, bank: MemoryBank) -> Int32[np.ndarray, " T"]:
    """Place whole tracks into an empty bank, those of most views first, by id among equals (Eqs. 12 and 13).

    Returns:
        The instance of each track; NOBODY if it has no Gaussians.
    """
    sizes = tracks.n_gaussians
    order = np.lexsort((np.arange(len(sizes)), -tracks.n_views))
    order = order[sizes[order] > 0]
    parts = np.split(tracks.gaussian_sets[1], np.cumsum(sizes)[:-1]) if len(sizes) else []
    instances = np.full(len(sizes), NOBODY, dtype=np.int32)
    if len(order):
        instances[order] = bank.place(np.concatenate([parts[track] for track in order]), sizes[order])
    return instances


def look_numbered_per_view(ids: Sequence[Int[np.ndarray, " L"]]) -> bool:
    """Whether masks look as if each view numbered its own: ids 1..L without gaps in over 90 % of views with masks.

    No proof: if every view shows everything, consistent ids look like this too.

    Args:
        ids: of the masks of each view, each once, in any order.
    """
    views = [view for view in ids if len(view)]
    without_gaps = sum(int(view.max()) == len(view) for view in views)
    return without_gaps > 0.9 * len(views)


def _ids_of_labels(view: View) -> Int[np.ndarray, " L+1"]:
    """Id of each label up to the highest that has a pixel; 0 for label 0 and labels without a pixel."""
    shown = torch.bincount(view.label_map.reshape(-1).long()).cpu().numpy() > 0
    if view.mask_ids is None or len(view.mask_ids) < len(shown) - 1:
        known = "no" if view.mask_ids is None else str(len(view.mask_ids))
        raise ValueError(f"view {view.name} has {len(shown) - 1} masks, but {known} ids of masks")
    return np.where(shown, np.concatenate([[0], view.mask_ids[: len(shown) - 1]]), 0).astype(np.int64)


def _count_views(tracks: Sequence[Int32[np.ndarray, " L+1"]], num_tracks: int) -> Int[np.ndarray, " T"]:
    n_views = np.zeros(num_tracks, dtype=np.int64)
    for view in tracks:
        n_views[np.unique(view[view != NOBODY])] += 1
    return n_views


class _Pairs:
    """Pairs of an id and a Gaussian, each once. Memory is linear in the different pairs, however often they come."""

    def __init__(self, num_gaussians: int) -> None:
        self._base = max(num_gaussians, 1)
        self._merged = np.zeros(0, dtype=np.int64)
        self._new: list[Int[np.ndarray, " P"]] = []

    def add(self, ids: Int[np.ndarray, " P"], gaussians: Int[np.ndarray, " P"]) -> None:
        self._new.append(ids * self._base + gaussians)
        # Merged only when as many have come as there were: all sorting together then takes time in what came.
        if sum(map(len, self._new)) > max(len(self._merged), UNMERGED_PAIRS):
            self._merge()

    def sorted(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """Ids and Gaussians, sorted by id, then by Gaussian."""
        self._merge()
        ids, gaussians = np.divmod(self._merged, self._base)
        return ids, gaussians

    def _merge(self) -> None:
        self._merged, self._new = np.unique(np.concatenate([self._merged, *self._new])), []
