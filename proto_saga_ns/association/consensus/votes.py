"""To which instances each Gaussian belongs, by the masks that it contributes to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from scipy.sparse import coo_array, csr_array

from proto_saga_ns.association.claims import Progress
from proto_saga_ns.association.consensus.atoms import Atoms
from proto_saga_ns.association.consensus.blended_views import BlendedViews
from proto_saga_ns.association.consensus.mask_instances import Instances
from proto_saga_ns.rasterize.contributions import Contributions
from proto_saga_ns.votes import Votes

NO_PLACE = -1


def count_votes(
    views: BlendedViews,
    atom_views: Sequence[csr_array],
    atoms: Atoms,
    instances: Instances,
    pure: float,
    top: int,
    progress: Progress = iter,
) -> Votes:
    """Add up the votes of all masks that are pure enough.

    A mask votes for its instance with the weight of the Gaussian in it times its purity. A Gaussian can only be voted
    for by masks that its atom lies in: there is a place for each instance of these, and views are added in place.
    Memory is linear in places.

    Args:
        views: blend weights.
        atom_views: (K, L + 1) weights of atoms in labels, of the same views.
        atoms: of the Gaussians.
        instances: of the masks.
        pure: purity above which a mask votes.
        top: F.
        progress: wrapped around the view indices.
    """
    elected = [np.where(purity > pure, ids, 0) for ids, purity in zip(instances.of_mask, instances.purity, strict=True)]
    places = _places(atom_views, elected, atoms.count, len(instances.support))
    counts = (places != NO_PLACE).sum(axis=1)[atoms.of_gaussian]
    starts = np.append(0, counts.cumsum())
    units = np.zeros(starts[-1], dtype=np.int64)
    for index in progress(range(len(views))):
        view = views[index]
        place = places[atoms.of_gaussian[view.gaussians], elected[index][view.labels]]
        voting = place != NO_PLACE
        # Whole units again, so that sums stay exact.
        weights = np.rint(view.units[voting] * instances.purity[index][view.labels[voting]]).astype(np.int64)
        np.add.at(units, starts[view.gaussians[voting]] + place[voting], weights)
    used = np.flatnonzero(units)
    gaussians = np.searchsorted(starts, used, side="right") - 1
    ids = _instances(places)[atoms.of_gaussian[gaussians], used - starts[gaussians]]
    counts = Contributions(*map(torch.from_numpy, (gaussians, ids, units[used])))
    return Votes.largest(counts, len(atoms.of_gaussian), top)


def _places(
    atom_views: Sequence[csr_array], elected: Sequence[Int[np.ndarray, " L+1"]], num_atoms: int, num_instances: int
) -> Int[np.ndarray, "K+1 T+1"]:
    """The place of each instance (from 1) among those that any mask elects with weight of an atom, in their order.

    The last row is of Gaussians without atom (-1).
    """
    found = np.zeros((num_atoms + 1, num_instances + 1), dtype=bool)
    for view, ids in zip(atom_views, elected, strict=True):
        atoms, labels = coo_array(view).coords
        found[atoms, ids[labels]] = True
    found[:, 0] = False
    return np.where(found, found.cumsum(axis=1) - 1, NO_PLACE)


def _instances(places: Int[np.ndarray, "K+1 T+1"]) -> Int[np.ndarray, "K+1 T+1"]:
    """The instance at each place of each atom."""
    rows, ids = np.nonzero(places != NO_PLACE)
    instances = np.zeros_like(places)
    instances[rows, places[rows, ids]] = ids
    return instances
