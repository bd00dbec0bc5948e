"""Blend weights of views, one view at a time, and sums of them that are exact (``rasterize/exact.py``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int, UInt
from scipy.sparse import csr_array

from proto_saga_ns.association.claims import Views
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL, Contributions, contributions, count_in_units
from proto_saga_ns.rasterize.geometry import Geometry

MAX_BYTES = 1 << 30
"""Enough for 200 views of a million Gaussians."""


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
        return cls(*count_in_units(found), num_labels)

    def mean_features(
        self, embeddings: Float[np.ndarray, "N D"], pixels: Int[np.ndarray, " labels"]
    ) -> Float[np.ndarray, "labels D"]:
        """Mean over the pixels of each label of the feature map that the Gaussians' embeddings make (Eq. 17).

        Blending is linear: what a Gaussian contributes to a label, times its embedding, is its part in the sum of the
        features of these pixels. So no feature map is needed.

        Args:
            embeddings: of all Gaussians.
            pixels: with each label; the mean over none is zero.
        """
        shape = (self.num_labels, len(embeddings))
        weights = csr_array((self.units / UNITS_PER_PIXEL, (self.labels, self.gaussians)), shape=shape)
        return (weights @ embeddings.astype(np.float64)) / np.maximum(pixels, 1)[:, None]


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
        self._kept: dict[int, PackedView] = {}

    def __len__(self) -> int:
        return len(self._num_labels)

    def __getitem__(self, index: int, /) -> BlendedView:
        if not 0 <= index < len(self):
            raise IndexError(index)
        kept = self._kept.get(index)
        if kept is not None:
            return kept.unpack()
        view = BlendedView.of(self._make(index), self._num_labels[index])
        self._keep(index, PackedView.of(view))
        return view

    def _keep(self, index: int, packed: PackedView) -> None:
        if packed.nbytes <= self._left:
            self._kept[index] = packed
            self._left -= packed.nbytes


def sums(places: Int[np.ndarray, " E"], units: Int[np.ndarray, " E"], count: int) -> Int[np.ndarray, " count"]:
    """At each place. Sums of floats are exact as long as they are whole and below 2^53: 8 billion pixels."""
    return np.bincount(places, units, count).astype(np.int64)


def atom_units(view: BlendedView, atom_of_gaussian: Int[np.ndarray, " N"], num_atoms: int) -> csr_array:
    """What each atom contributes to each label of a view: (K, L + 1) integers, sparse.

    Takes memory for the atoms in view times labels.
    """
    atoms = atom_of_gaussian[view.gaussians]
    in_view, rows = ranks(atoms, num_atoms)
    found = sums(rows[atoms] * view.num_labels + view.labels, view.units, len(in_view) * view.num_labels)
    filled = np.flatnonzero(found)
    of_atom = np.zeros(num_atoms + 1, dtype=np.int64)
    of_atom[in_view + 1] = np.bincount(filled // view.num_labels, minlength=len(in_view))
    entries = (found[filled], filled % view.num_labels, of_atom.cumsum())
    return csr_array(entries, shape=(num_atoms, view.num_labels))


def ranks(values: Int[np.ndarray, " E"], count: int) -> tuple[Int[np.ndarray, " R"], Int[np.ndarray, " count"]]:
    """The values (below ``count``) that occur, ascending, and the place of each value among them."""
    occurs = np.zeros(count, dtype=bool)
    occurs[values] = True
    return np.flatnonzero(occurs), occurs.cumsum() - 1


@dataclass(frozen=True)
class PackedView:
    """A view with the smallest types that hold it: 6 or 7 bytes an entry instead of 24, as a rule.

    Attributes:
        first: Gaussian of the first entry.
        gaps: from the Gaussian of each entry to that of the next.
        labels: of each entry.
        units: of each entry.
        num_labels: L + 1.
    """

    first: int
    gaps: UInt[np.ndarray, " gaps"]
    labels: UInt[np.ndarray, " E"]
    units: UInt[np.ndarray, " E"]
    num_labels: int

    @classmethod
    def of(cls, view: BlendedView) -> PackedView:
        """Relies on the order of the entries: by Gaussian."""
        first = int(view.gaussians[0]) if len(view.gaussians) else 0
        gaps, labels, units = (_smallest(column) for column in (np.diff(view.gaussians), view.labels, view.units))
        return cls(first, gaps, labels, units, view.num_labels)

    def unpack(self) -> BlendedView:
        """What was packed, in 64-bit integers."""
        gaussians = np.full(len(self.units), self.first, dtype=np.int64)
        gaussians[1:] += np.cumsum(self.gaps, dtype=np.int64)
        return BlendedView(gaussians, self.labels.astype(np.int64), self.units.astype(np.int64), self.num_labels)

    @property
    def nbytes(self) -> int:
        """Bytes of all entries."""
        return self.gaps.nbytes + self.labels.nbytes + self.units.nbytes


def _smallest(values: np.ndarray) -> UInt[np.ndarray, " E"]:
    dtype = np.min_scalar_type(int(values.max(initial=0)))
    return values.astype(dtype.str)  # by its size: beyond 32 bits numpy names a type of its own


def blend_views(geometry: Geometry, views: Views, max_bytes: int = MAX_BYTES) -> RememberedViews:
    """The blend weights of all views, found when they are asked for.

    Args:
        geometry: of the Gaussians.
        views: cameras and label maps.
        max_bytes: how much of the weights is kept; the rest is found again each time, at the price of a rendering.
    """

    def blend(index: int) -> Contributions:
        view = views[index]
        return contributions(geometry, view.viewmat, view.K, view.label_map)

    num_labels = [int(views[index].label_map.max()) + 1 for index in range(len(views))]
    return RememberedViews(blend, num_labels, max_bytes)
