"""Association: an instance for every mask of every view (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int, Int32
from torch import Tensor

from proto_saga_ns.association.claims import View, candidates, claims
from proto_saga_ns.association.memory_bank import NOBODY, MemoryBank
from proto_saga_ns.association.options import AssociationOptions
from proto_saga_ns.names import natural_key

Progress = Callable[[Iterable[int]], Iterable[int]]


class Views(Protocol):
    """Views by index, a list of them or something that makes each when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> View: ...


@dataclass(frozen=True)
class Association:
    """Instances are numbered 1..T without gaps, in the order in which they were founded.

    Attributes:
        instance_of_mask: for every view, in the order given, the instance of each label; entry 0 is 0. A mask on
            which no Gaussian's centre falls has none: 0.
        n_views: views that contain each instance.
        gaussian_sets: (instance, Gaussian) pairs, sorted; a Gaussian may be in several sets.
    """

    instance_of_mask: list[Int32[np.ndarray, " L+1"]]
    n_views: Int[np.ndarray, " T"]
    gaussian_sets: tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]

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
    progress: Progress = iter,
) -> Association:
    """Walk through the views and give every mask to an instance of the memory bank.

    The masks of the first view with masks found one instance each (Eq. 11); those of later views are placed one after
    another, by ascending label, with the bank updated in between, as in Gaga.

    Args:
        means: centres of the Gaussians, world frame.
        embeddings: of the same Gaussians.
        views: asked for by index, up to three times each; only one is held at a time.
        options: see there.
        tau: temperature of Eq. 14.
        progress: wrapped around the view indices.

    Raises:
        ValueError: if the probability is asked for in a view without classifier.
    """
    bank = MemoryBank(len(means), options)
    founding = True
    found: dict[int, Int32[np.ndarray, " L+1"]] = {}
    for index in progress(_view_order(means, views, options)):
        view = views[index]
        masks, gaussians = claims(means, embeddings, view, tau, options)
        instances = np.full(int(view.label_map.max()) + 1, NOBODY, dtype=np.int32)
        sizes = np.bincount(masks, minlength=len(instances))
        labels = np.flatnonzero(sizes)
        instances[labels] = bank.place(gaussians, sizes[labels], founding)
        founding = founding and len(masks) == 0
        found[index] = instances
    return _numbered([found[index] for index in range(len(views))], bank, options.required_views(len(views)))


def apply_association(
    label_map: Int[np.ndarray, "H W"], instance_of_mask: Int32[np.ndarray, " L+1"]
) -> Int32[np.ndarray, "H W"]:
    """The consistent label map of a view."""
    return instance_of_mask[label_map]


def ground_truth_association(
    label_map: Int[np.ndarray, "H W"], truth: Int[np.ndarray, "H W"]
) -> Int32[np.ndarray, " L+1"]:
    """The true instance that most pixels of each mask belong to: no association of these masks can do better."""
    labels = int(label_map.max()) + 1
    table = np.zeros((labels, int(truth.max()) + 1), dtype=np.int64)
    np.add.at(table, (label_map.reshape(-1), truth.reshape(-1)), 1)
    majority = table.argmax(axis=1).astype(np.int32)
    majority[0] = 0
    return majority


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


def _numbered(views: list[Int32[np.ndarray, " L+1"]], bank: MemoryBank, required: int) -> Association:
    """Drop instances that too few views contain and number the rest from 1."""
    n_views = np.zeros(bank.num_instances, dtype=np.int64)
    for instances in views:
        n_views[np.unique(instances[instances != NOBODY])] += 1
    kept = n_views >= required
    number = np.zeros(bank.num_instances + 1, dtype=np.int32)  # one more, for NOBODY (-1)
    number[:-1][kept] = np.arange(1, kept.sum() + 1)
    owners, gaussians = bank.members()
    inside = kept[owners]
    return Association(
        instance_of_mask=[number[instances] for instances in views],
        n_views=n_views[kept],
        gaussian_sets=(number[owners[inside]], gaussians[inside]),
    )
