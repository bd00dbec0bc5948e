"""Blend weights of views, one view at a time, and sums of them that are exact (``rasterize/exact.py``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

from proto_saga_ns.association.claims import Progress
from proto_saga_ns.association.consensus.packed import PackedContributions
from proto_saga_ns.rasterize.contributions import Contributions
from proto_saga_ns.rasterize.exact import in_units


@dataclass(frozen=True)
class BlendedView:
    """How much every Gaussian contributes to every label of one view.

    Attributes:
        gaussians: of each entry.
        labels: of each entry, 0..L; each pair once.
        units: of each entry, in 2^-20 pixels, above 0.
        num_labels: L + 1: label 0 is counted.
    """

    gaussians: Int[np.ndarray, " E"]
    labels: Int[np.ndarray, " E"]
    units: Int[np.ndarray, " E"]
    num_labels: int

    @classmethod
    def of(cls, found: Contributions, num_labels: int) -> BlendedView:
        """From the rasterizer's contributions."""
        return cls(*in_units(found), num_labels)


class BlendedViews(Protocol):
    """Views by index, asked for several times; a list of them, or something that makes each when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> BlendedView: ...


class RememberedViews:
    """Views that are made when first asked for, and kept as long as all that are kept fit into ``max_bytes``.

    Args:
        make: gives the blend weights of a view.
        num_labels: L + 1 of each view.
        max_bytes: of memory; the views beyond are made again each time.
    """

    def __init__(self, make: Callable[[int], Contributions], num_labels: list[int], max_bytes: int) -> None:
        self._make, self._num_labels, self._left = make, num_labels, max_bytes
        self._kept: dict[int, PackedContributions] = {}

    def __len__(self) -> int:
        return len(self._num_labels)

    def __getitem__(self, index: int, /) -> BlendedView:
        if not 0 <= index < len(self):
            raise IndexError(index)
        kept = self._kept.get(index)
        found = self._make(index) if kept is None else kept.unpack()
        if kept is None:
            self._keep(index, PackedContributions.of(found))
        return BlendedView.of(found, self._num_labels[index])

    def _keep(self, index: int, packed: PackedContributions) -> None:
        if packed.nbytes <= self._left:
            self._kept[index] = packed
            self._left -= packed.nbytes


def survey(
    views: BlendedViews, num_gaussians: int, progress: Progress = iter
) -> tuple[Int[np.ndarray, " N"], list[Int[np.ndarray, " L+1"]]]:
    """What each Gaussian contributes to all views together, and what each label of each view gets, in units."""
    total = np.zeros(num_gaussians, dtype=np.int64)
    of_labels: list[Int[np.ndarray, " L+1"]] = [np.zeros(0, dtype=np.int64)] * len(views)
    for index in progress(range(len(views))):
        view = views[index]
        np.add.at(total, view.gaussians, view.units)
        of_labels[index] = np.zeros(view.num_labels, dtype=np.int64)
        np.add.at(of_labels[index], view.labels, view.units)
    return total, of_labels


def atom_units(view: BlendedView, atom_of_gaussian: Int[np.ndarray, " N"], num_atoms: int) -> csr_array:
    """What each atom contributes to each label of a view: (K, L + 1) integers, sparse."""
    places = atom_of_gaussian[view.gaussians] * view.num_labels + view.labels
    # Sums of floats are exact as long as they are whole and below 2^53: 8 billion pixels.
    sums = np.bincount(places, view.units, num_atoms * view.num_labels).astype(np.int64)
    return csr_array(sums.reshape(num_atoms, view.num_labels))
