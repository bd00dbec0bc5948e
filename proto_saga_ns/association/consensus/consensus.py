"""Association by consensus, from the blend weights of all views to an instance for each mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float, UInt
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import (
    MergeTree,
    agglomerate,
    count_agreement,
    masks_of_atoms,
    signed_evidence,
)
from proto_saga_ns.association.consensus.atoms import Atoms, atom_places, find_atoms
from proto_saga_ns.association.consensus.blended_views import BlendedViews, atom_units
from proto_saga_ns.association.consensus.hierarchy import find_levels
from proto_saga_ns.association.consensus.instances import Instances, count_votes, find_instances, self_agreement
from proto_saga_ns.association.consensus.neighbours import Joined, Sightings, join_neighbours, near_pairs
from proto_saga_ns.association.consensus.survey import Survey, survey
from proto_saga_ns.association.instances import Association
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL
from proto_saga_ns.recognition.levels import Levels
from proto_saga_ns.recognition.votes import Votes

ATOMS_PER_SMALL_MASK = 2
SMALL_MASK_QUANTILE = 0.1
MOST_COMPARED = 6000
"""Atoms or clusters of which each is compared with each."""
THETAS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


@dataclass(frozen=True)
class Consensus:
    """Instances are numbered 1..T, the one with most weight in all views first.

    Attributes:
        instances: of masks and of clusters, with purity and support.
        votes: for instances.
        atoms: of the Gaussians.
        atom_views: (K, L + 1) weights of atoms in the labels of each view, in units.
        tree: all merges of atoms; linkage is the mean of ``same - theta * both`` in views. Cut at 0 it gives the
            clusters; above 0 more of them, below fewer.
        theta: as it was given or chosen.
        levels: what the instances consist of, and which go together.
    """

    instances: Instances
    votes: Votes
    atoms: Atoms
    atom_views: list[csr_array]
    tree: MergeTree
    theta: float
    levels: Levels

    def association(self) -> Association:
        """What prototypes and votes are made of; a Gaussian belongs to the instance with most of its votes."""
        count = len(self.instances.support)
        n_views = np.zeros(count + 1, dtype=np.int64)
        for instances in self.instances.of_mask:
            n_views[np.unique(instances)] += 1
        first = self.votes.labels[:, 0].numpy()
        gaussians = np.flatnonzero(first)
        order = np.argsort(first[gaussians], kind="stable")
        sets = (first[gaussians[order]], gaussians[order])
        return Association(self.instances.of_mask, n_views[1:], sets, self.votes, self.levels)


def find_consensus(
    means: Float[np.ndarray, "N 3"],
    embeddings: Float[np.ndarray, "N D"],
    views: BlendedViews,
    options: ConsensusOptions,
    progress: Progress = unseen,
) -> Consensus:
    """Give every mask of every view to an instance, or to none.

    The result is the same for any order of views, and of labels but for their names, and has the same bits each time.
    Memory grows with Gaussians, masks, and the atoms that each view shows; pairs of atoms take it up to
    ``MOST_COMPARED`` atoms and no more beyond.

    Args:
        means: centres of the Gaussians, world frame.
        embeddings: of the same Gaussians.
        views: asked for by index, three times each; only one is held at a time.
        options: see there.
        progress: of the views, three times.
    """
    found = survey(views, means, progress)
    atoms = group_gaussians(means, embeddings, found, options)
    places = atom_places(means, found.total, atoms)
    indices = progress(range(len(views)), "Sorting masks")
    atom_views = [atom_units(views[index], atoms.of_gaussian, atoms.count) for index in indices]
    theta, tree, instances = merge_atoms(atom_views, places, found.least_shown, options)
    votes = count_votes(views, atom_views, atoms, instances, options.pure, options.top_votes, progress)
    of_atom = instances.of_cluster[tree.cut()]
    levels = find_levels(atom_views, atoms, of_atom, instances, theta, found.least_shown, options)
    return Consensus(instances, votes, atoms, atom_views, tree, theta, levels)


def group_gaussians(
    means: Float[np.ndarray, "N 3"],
    embeddings: Float[np.ndarray, "N D"],
    found: Survey,
    options: ConsensusOptions,
) -> Atoms:
    """Atoms of the given number, or of the number that the masks need."""
    count = suggested_atoms(found) if options.num_atoms is None else options.num_atoms
    return find_atoms(means, embeddings, found.total, count, options.atom_seed, found.once)


def suggested_atoms(found: Survey) -> int:
    """As many atoms as make an atom that all views show half as large as a small mask.

    Small is the tenth percentile: what is smaller is ragged or a fragment. An atom that covers more than one object
    can not be taken apart again. Atoms are needed wherever any view looks: of a house, each view shows little. Where
    views show as much of a scene as those of a room do (``SHARE_IN_VIEW``), the weight of a view says how many.
    """
    masks = np.concatenate([np.zeros(0, np.int64), *(view[1:] for view in found.of_labels)])
    masks = masks[masks >= UNITS_PER_PIXEL]
    if len(masks) == 0:
        return 1
    wanted = ATOMS_PER_SMALL_MASK * max(found.of_view, found.of_scene) / float(np.quantile(masks, SMALL_MASK_QUANTILE))
    return max(round(wanted), 1)


def merge_atoms(
    atom_views: Sequence[csr_array],
    places: Float[np.ndarray, "K 3"],
    least_shown: Fraction,
    options: ConsensusOptions,
) -> tuple[float, MergeTree, Instances]:
    """Merges of the atoms and the instances that they give, by the theta of the options or the best of ``THETAS``.

    The best one gives the instances with the largest ``self_agreement``; of equals the smallest.

    Args:
        atom_views: (K, L + 1) weights of atoms in labels, in units.
        places: centres of atoms.
        least_shown: see ``masks_of_atoms``.
        options: see there.
    """
    thetas = THETAS if options.theta is None else (options.theta,)
    joined, same, both = compared(atom_views, places, least_shown, max(thetas))
    work_space = np.empty(same.shape)
    return max(
        (_merged(atom_views, _tree(joined, same, both, theta, work_space), theta, options) for theta in thetas),
        key=lambda found: found[0],
    )[1:]


def compared(
    atom_views: Sequence[csr_array], places: Float[np.ndarray, "K 3"], least_shown: Fraction, theta: float
) -> tuple[Joined, UInt[np.ndarray, "C C"], UInt[np.ndarray, "C C"]]:
    """Atoms, or clusters of neighbours where there are too many, and how far the views agree on each two of them.

    Args:
        atom_views: (K, L + 1) weights of atoms in labels, in units.
        places: centres of atoms.
        least_shown: see ``masks_of_atoms``.
        theta: the largest that will be asked for.
    """
    masks = masks_of_atoms(atom_views, least_shown)
    if len(places) <= MOST_COMPARED:
        return Joined.nothing(len(places)), *count_agreement(list(masks), len(places))
    sightings = Sightings.of_atoms(masks, len(places))
    joined, sightings = join_neighbours(sightings, near_pairs(places), theta, MOST_COMPARED)
    return joined, *sightings.all_links()


def _merged(
    atom_views: Sequence[csr_array], tree: MergeTree, theta: float, options: ConsensusOptions
) -> tuple[float, float, MergeTree, Instances]:
    """How well the instances of a theta explain the masks, the theta, the merges and the instances."""
    clusters = tree.cut()
    instances = find_instances(atom_views, clusters, options)
    explained = self_agreement(atom_views, instances.of_cluster[clusters], options.visible_share)
    return explained, theta, tree, instances


def _tree(
    joined: Joined,
    same: UInt[np.ndarray, "C C"],
    both: UInt[np.ndarray, "C C"],
    theta: float,
    work_space: Float[np.ndarray, "C C"],
) -> MergeTree:
    """All merges, those of neighbours first; the linkage is in views."""
    evidence, scale = signed_evidence(same, both, theta, work_space)
    tree = agglomerate(evidence, sizes=joined.sizes)
    return joined.then(replace(tree, linkage=tree.linkage / scale), theta)
