"""The levels below and above the instances: what they consist of, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import count_agreement, mask_of_atoms
from proto_saga_ns.association.consensus.atoms import NO_ATOM, Atoms
from proto_saga_ns.association.consensus.mask_instances import Instances
from proto_saga_ns.association.consensus.pieces import find_pieces, own_masks, piece_ids
from proto_saga_ns.association.consensus.shares import agglomerate_shares
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.levels import Joins, Levels

NO_PIECE = 0


def find_levels(
    views: Sequence[csr_array],
    atoms: Atoms,
    instance_of_atom: Int[np.ndarray, " K"],
    instances: Instances,
    theta: float,
    options: ConsensusOptions,
) -> Levels:
    """Pieces and groups of instances, for which as many views must speak as for an instance at the least.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        atoms: of the Gaussians.
        instance_of_atom: from 1; 0 for none.
        instances: of the masks.
        theta: by which the instances were found.
        options: of the association.
    """
    required = options.required_support(len(views))
    masks = own_masks(views, instance_of_atom, instances, options.pure)
    weights = sum((view.sum(axis=1) for view in views), np.zeros(atoms.count, dtype=np.int64))
    of_atom, pieces = _all_pieces(masks, weights, instance_of_atom, len(instances.support), required)
    of_atom = np.append(of_atom, np.int32(NO_PIECE))  # one more, for Gaussians without atom
    of_gaussian = of_atom[np.where(atoms.of_gaussian == NO_ATOM, atoms.count, atoms.of_gaussian)]
    groups = find_groups(views, instance_of_atom, len(instances.support), required)
    return Levels(pieces, groups, torch.from_numpy(of_gaussian), theta)


def _all_pieces(
    masks: Sequence[Int[np.ndarray, " K"]],
    weights: Int[np.ndarray, " K"],
    instance_of_atom: Int[np.ndarray, " K"],
    count: int,
    required: int,
) -> tuple[Int[np.ndarray, " K"], Joins]:
    """The piece of each atom, 0 where its instance has none; and all joins, the largest share first."""
    of_atom = np.full(len(weights), NO_PIECE, dtype=np.int32)
    rows, free = [], count + 1
    for instance in range(1, count + 1):
        mine = np.flatnonzero(instance_of_atom == instance)
        numbers, joins = find_pieces([view[mine] for view in masks], weights[mine], required)
        if joins:
            of_atom[mine] = piece_ids(numbers, instance, free)
            ids = [instance, *range(free, free + len(joins))]
            rows += [(ids[gone], ids[kept], share) for gone, kept, share in joins]
            free += len(joins)
    return of_atom, Joins.of(sorted(rows, key=lambda row: -row[2]))


def find_groups(
    views: Sequence[csr_array], instance_of_atom: Int[np.ndarray, " K"], count: int, required: int
) -> Joins:
    """How instances join, by the share of views in which most of each lies in one mask.

    Two that fewer than ``required`` views show in one mask are taken to be apart in all.

    Args:
        views: (K, L + 1) weights of atoms in labels, in units.
        instance_of_atom: from 1; 0 for none.
        count: T.
        required: number of views.
    """
    members = csr_array(
        (np.ones(len(instance_of_atom), dtype=np.int64), (instance_of_atom, np.arange(len(instance_of_atom)))),
        shape=(count + 1, len(instance_of_atom)),
    )
    same, both = count_agreement([mask_of_atoms(members @ view)[1:] for view in views], count)
    tree = agglomerate_shares(np.where(same >= required, same, 0), both)
    rows = zip((tree.gone + 1).tolist(), (tree.kept + 1).tolist(), tree.share.tolist(), strict=True)
    return Joins.of([row for row in rows if row[2] > 0])
