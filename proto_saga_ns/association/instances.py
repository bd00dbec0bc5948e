"""Association: an instance for every mask of every view (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.association.claims import View, Views, candidates, claims
from proto_saga_ns.association.mask_tracks import find_tracks, join_tracks
from proto_saga_ns.association.memory_bank import NOBODY, MemoryBank
from proto_saga_ns.association.options import AssociationOptions
from proto_saga_ns.files import natural_key
from proto_saga_ns.progress import Progress, unseen
from proto_saga_ns.recognition.levels import Levels
from proto_saga_ns.recognition.votes import Votes


@dataclass(frozen=True)
class Association:
    """Instances are numbered 1..T without gaps, in the order in which they were founded; by id if ids are trusted.

    Attributes:
        instance_of_mask: for every view, in the order given, the instance of each label; entry 0 is 0. A mask on
            which no Gaussian's centre falls has none (0), unless its id tells.
        n_views: views that contain each instance.
        gaussian_sets: (instance, Gaussian) pairs, sorted; a Gaussian may be in several sets.
        votes: of the masks for instances, on the Gaussians; None if the strategy counts none.
        levels: of parts and groups of the instances; None if the strategy finds none.
    """

    instance_of_mask: list[Int32[np.ndarray, " _labels"]]
    n_views: Int[np.ndarray, " T"]
    gaussian_sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]
    votes: Votes | None = None
    levels: Levels | None = None

    @property
    def num_instances(self) -> int:
        """T."""
        return len(self.n_views)

    @property
    def n_gaussians(self) -> Int[np.ndarray, " T"]:
        """Size of each instance's set in the memory bank."""
        return np.bincount(self.gaussian_sets[0], minlength=self.num_instances + 1)[1:]


def associate(
    means: Float[Tensor, "N 3"],
    embeddings: Float[Tensor, "N D"],
    views: Views,
    options: AssociationOptions,
    tau: float = 10.0,
    progress: Progress = unseen,
) -> Association:
    """Give every mask of every view to an instance.

    By the memory bank (Sec. 3.2), by the ids of the masks, or by both (``options.mask_ids``).

    Args:
        means: centres of the Gaussians, world frame.
        embeddings: of the same Gaussians.
        views: asked for by index, up to three times each; only one is held at a time.
        options: see there.
        tau: temperature of Eq. 14.
        progress: of the views.

    Raises:
        ValueError: if the probability is asked for in a view without classifier, or ids in a view without.
    """
    by = {"ignore": _by_memory_bank, "seed": _by_joined_ids, "trust": _by_ids}[options.mask_ids]
    return _numbered(by(means, embeddings, views, options, tau, progress), options.required_views(len(views)))


def apply_association(
    label_map: Int[np.ndarray, "H W"], instance_of_mask: Int32[np.ndarray, " labels"]
) -> Int32[np.ndarray, "H W"]:
    """The consistent label map of a view."""
    return instance_of_mask[label_map]


def ground_truth_association(
    label_map: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"]
) -> Int32[np.ndarray, " labels"]:
    """The true instance that most pixels of each mask belong to: no association of these masks can do better."""
    labels = int(label_map.max()) + 1
    table = np.zeros((labels, int(truth.max()) + 1), dtype=np.int64)
    np.add.at(table, (label_map.reshape(-1), truth.reshape(-1)), 1)
    majority = table.argmax(axis=1).astype(np.int32)
    majority[0] = 0
    return majority


@dataclass(frozen=True)
class _Found:
    """Instances before those of too few views are dropped; numbered from 0, NOBODY for none."""

    instance_of_mask: Sequence[Int32[np.ndarray, " _labels"]]
    num_instances: int
    gaussian_sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]


def _by_memory_bank(
    means: Tensor, embeddings: Tensor, views: Views, options: AssociationOptions, tau: float, progress: Progress
) -> _Found:
    """Walk through the views and place every mask.

    The masks of the first view with masks found one instance each (Eq. 11); those of later views are placed one after
    another, by ascending label, with the bank updated in between, as in Gaga.
    """
    bank = MemoryBank(len(means), options)
    founding = True
    found: dict[int, Int32[np.ndarray, " _labels"]] = {}
    for index in progress(_view_order(means, views, options), "Associating masks"):
        view = views[index]
        masks, gaussians = claims(means, embeddings, view, tau, options)
        instances = np.full(int(view.label_map.max()) + 1, NOBODY, dtype=np.int32)
        sizes = np.bincount(masks, minlength=len(instances))
        labels = np.flatnonzero(sizes)
        instances[labels] = bank.place(gaussians, sizes[labels], founding)
        founding = founding and len(masks) == 0
        found[index] = instances
    return _Found([found[index] for index in range(len(views))], bank.num_instances, bank.members())


def _by_joined_ids(
    means: Tensor, embeddings: Tensor, views: Views, options: AssociationOptions, tau: float, progress: Progress
) -> _Found:
    """Masks of one id are placed as one, so that the bank joins what has several ids."""
    tracks = find_tracks(means, embeddings, views, options, tau, progress)
    bank = MemoryBank(len(means), options)
    instances = np.append(join_tracks(tracks, bank), np.int32(NOBODY))  # one more, for NOBODY (-1)
    return _Found([instances[view] for view in tracks.track_of_mask], bank.num_instances, bank.members())


def _by_ids(
    means: Tensor, embeddings: Tensor, views: Views, options: AssociationOptions, tau: float, progress: Progress
) -> _Found:
    """Each id is an instance, whatever it claims."""
    tracks = find_tracks(means, embeddings, views, options, tau, progress)
    return _Found(tracks.track_of_mask, len(tracks.n_views), tracks.gaussian_sets)


def _view_order(means: Tensor, views: Views, options: AssociationOptions) -> list[int]:
    count = len(views)
    if options.view_order == "seed":
        return np.random.default_rng(options.order_seed).permutation(count).tolist()
    if options.view_order == "name":
        names = [views[index].name for index in range(count)]
        return sorted(range(count), key=lambda index: natural_key(names[index]))
    scored = [(_quality_as_first(means, views[index]), views[index].name) for index in range(count)]
    by_name = sorted(range(count), key=lambda index: natural_key(scored[index][1]))
    best = max(by_name, key=lambda index: scored[index][0])
    return [best, *(index for index in by_name if index != best)]


def _quality_as_first(means: Tensor, view: View) -> float:
    """How well a view would fill the bank: the share of Gaussians on its masks times the number of masks that get some.

    The first view decides what one instance is (the paper's limitations): it should see much of the scene, and see it
    finely taken apart.
    """
    found = candidates(means, view)
    return len(found.gaussians) / max(len(means), 1) * len(found.labels.unique())


def _numbered(found: _Found, required: int) -> Association:
    """Drop instances that too few views contain and number the rest from 1."""
    n_views = np.zeros(found.num_instances, dtype=np.int64)
    for instances in found.instance_of_mask:
        n_views[np.unique(instances[instances != NOBODY])] += 1
    kept = n_views >= required
    number = np.zeros(found.num_instances + 1, dtype=np.int32)  # one more, for NOBODY (-1)
    number[:-1][kept] = np.arange(1, kept.sum() + 1)
    owners, gaussians = found.gaussian_sets
    inside = kept[owners]
    return Association(
        instance_of_mask=[number[instances] for instances in found.instance_of_mask],
        n_views=n_views[kept],
        gaussian_sets=(number[owners[inside]], gaussians[inside]),
    )
