"""The whole of consensus: its laws on random views, and objects that it finds where the memory bank does not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association import BANK, ConsensusOptions, View, associate
from proto_saga_ns.association.consensus import (
    BlendedView,
    Consensus,
    RememberedViews,
    blend_views,
    find_consensus,
)
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.contributions import Contributions
from tests.association.consensus.worlds import object_views, random_blended_view, renamed
from tests.rasterize.scenes import geometry_of
from tests.scene.scenes import same_tensors

SEEDS = st.integers(0, 10**6)
WIDTH, HEIGHT = 48, 36


def random_gaussians(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)), rng.normal(size=(count, 4))


def assert_same_but_for_order(first: Consensus, second: Consensus, order: np.ndarray, names: list[np.ndarray]) -> None:
    assert first.instances.support.tolist() == second.instances.support.tolist()
    for place, index in enumerate(order):
        assert second.instances.of_mask[place][names[index]].tolist() == first.instances.of_mask[index].tolist()
        assert second.instances.purity[place][names[index]].tolist() == first.instances.purity[index].tolist()
    assert (first.votes.labels == second.votes.labels).all()
    assert (first.votes.shares == second.votes.shares).all()
    assert (first.tree.linkage == second.tree.linkage).all()
    for mine, theirs in ((first.levels.parts, second.levels.parts), (first.levels.groups, second.levels.groups)):
        assert same_tensors(mine, theirs)
    assert torch.equal(first.levels.part_of_gaussian, second.levels.part_of_gaussian)


@settings(max_examples=25)
@given(st.integers(1, 80), st.integers(1, 6), st.integers(1, 7), st.integers(1, 30), SEEDS)
def test_neither_the_order_of_views_nor_that_of_labels_matters(
    num_gaussians: int, num_labels: int, num_views: int, num_atoms: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    means, embeddings = random_gaussians(num_gaussians, seed)
    views = [random_blended_view(num_gaussians, num_labels, rng) for _ in range(num_views)]
    options = ConsensusOptions(num_atoms=num_atoms, atom_seed=seed)
    first = find_consensus(means, embeddings, views, options)
    shuffled, names = zip(*(renamed(view, rng) for view in views), strict=True)
    order = rng.permutation(num_views)
    second = find_consensus(means, embeddings, [shuffled[index] for index in order], options)
    assert_same_but_for_order(first, second, order, list(names))
    again = find_consensus(means, embeddings, views, options)
    assert_same_but_for_order(first, again, np.arange(num_views), [np.arange(num_labels)] * num_views)


@settings(max_examples=10)
@given(st.integers(3, 8), SEEDS)
def test_objects_are_found_however_masks_are_split_and_merged(num_objects: int, seed: int) -> None:
    truth = np.arange(30 * num_objects) % num_objects
    means, embeddings = random_gaussians(len(truth), seed)
    places, codes = random_gaussians(num_objects, seed + 1)
    means, embeddings = 5 * places[truth] + 0.05 * means, 5 * codes[truth] + 0.5 * embeddings
    views = object_views(truth, num_views=60, split=0.25, merge=0.12, seed=seed)
    found = find_consensus(means, embeddings, views, ConsensusOptions(num_atoms=8 * num_objects, atom_seed=seed))
    best = found.votes.labels[:, 0].numpy()
    pairs = set(zip(truth.tolist(), best.tolist(), strict=True))
    assert len(pairs) == num_objects == len(found.instances.support)


def test_the_association_says_what_consensus_found() -> None:
    truth = np.arange(120) % 4
    means, embeddings = random_gaussians(120, 0)
    views = object_views(truth, num_views=20, split=0.2, merge=0.1, seed=0)
    found = find_consensus(means + 9 * truth[:, None], embeddings, views, ConsensusOptions(num_atoms=30))
    association = found.association()
    assert association.num_instances == 4
    for instance in range(1, 5):
        assert association.n_views[instance - 1] == sum(instance in view for view in association.instance_of_mask)
    owners, gaussians = association.gaussian_sets
    pairs = list(zip(owners.tolist(), gaussians.tolist(), strict=True))
    assert pairs == sorted(set(pairs)) and len(pairs) == 120
    assert (found.votes.labels[gaussians, 0].numpy() == owners).all() and association.votes is found.votes


@pytest.mark.parametrize("num_views", [0, 1, 3])
def test_nothing_to_see_gives_no_instance(num_views: int) -> None:
    empty = BlendedView(*(np.zeros(0, np.int64) for _ in range(3)), num_labels=1)
    found = find_consensus(*random_gaussians(10, 0), [empty] * num_views, ConsensusOptions())
    assert found.association().num_instances == 0
    assert [view.tolist() for view in found.instances.of_mask] == [[0]] * num_views
    assert not found.votes.labels.any()


def test_a_view_is_remembered_as_long_as_there_is_room() -> None:
    asked: list[int] = []

    def make(index: int) -> Contributions:
        asked.append(index)
        return Contributions(torch.arange(5), torch.ones(5, dtype=torch.int32), torch.full((5,), 0.5 + index))

    views = RememberedViews(make, [2, 2, 2], max_bytes=2 * (4 + 5 + 20))
    for _ in range(2):
        assert [float(views[index].units[0]) for index in range(3)] == [(0.5 + index) * 2**20 for index in range(3)]
    assert asked == [0, 1, 2, 2]
    with pytest.raises(IndexError):
        views[3]


def ball_world(num_objects: int, seed: int) -> tuple[dict[str, Any], torch.Tensor, torch.Tensor]:
    """Balls of opaque Gaussians on a ring, their objects, and embeddings that tell objects apart in part."""
    generator = torch.Generator().manual_seed(seed)
    ball = torch.arange(60 * num_objects) % num_objects
    angle = 2 * math.pi * torch.arange(num_objects) / num_objects
    centers = torch.stack([angle.cos(), angle.sin(), 0.2 * angle.sin()], dim=1)
    directions = torch.randn(len(ball), 3, generator=generator)
    gaussians = {
        "means": centers[ball] + 0.28 * directions / directions.norm(dim=1, keepdim=True),
        "quats": torch.randn(len(ball), 4, generator=generator),
        "scales": torch.full((len(ball), 3), 0.07),
        "opacities": torch.full((len(ball),), 0.95),
    }
    codes = torch.randn(num_objects, 8, generator=generator)
    return gaussians, ball, codes[ball] + 0.5 * torch.randn(len(ball), 8, generator=generator)


def cameras(count: int) -> list[torch.Tensor]:
    matrices = []
    for index in range(count):
        around = 2 * math.pi * index / count
        eye = torch.tensor([3 * math.cos(around), 3 * math.sin(around), 1.5])
        z = -eye / eye.norm()
        x = torch.linalg.cross(z, torch.tensor([0.0, 0.0, 1.0]))
        x = x / x.norm()
        rotation = torch.stack([x, torch.linalg.cross(z, x), z])
        matrix = torch.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ eye
        matrices.append(matrix)
    return matrices


def noisy_masks(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each object's mask cut in two, or joined with another's, at random."""
    count = int(truth.max())
    name = np.arange(count + 1)
    for label in range(1, count + 1):
        if rng.random() < 0.15:
            name[label] = name[rng.integers(1, count + 1)]
    masks = name[truth]
    for label in range(1, count + 1):
        rows, columns = np.nonzero(masks == label)
        if len(columns) and rng.random() < 0.3:
            right = columns > np.quantile(columns, rng.uniform(0.3, 0.7))
            masks[rows[right], columns[right]] += count
    return np.unique(np.append(0, masks), return_inverse=True)[1][1:].reshape(truth.shape).astype(np.int32)


def true_labels(gaussians: dict[str, Any], ball: torch.Tensor, view: View) -> np.ndarray:
    """The ball that is seen at each pixel, from 1."""
    channels = torch.nn.functional.one_hot(ball).float()
    image, alpha, _ = rasterization(
        **gaussians,
        colors=channels,
        viewmats=view.viewmat[None],
        Ks=view.K[None],
        width=WIDTH,
        height=HEIGHT,
        packed=False,
    )
    return torch.where(alpha[0, ..., 0] > 0.5, image[0].argmax(dim=-1) + 1, 0).numpy()


def noisy_views(gaussians: dict[str, Any], ball: torch.Tensor, embeddings: torch.Tensor) -> list[View]:
    rng = np.random.default_rng(5)
    K = torch.tensor([[40.0, 0, WIDTH / 2], [0, 40.0, HEIGHT / 2], [0, 0, 1]])
    views = []
    for index, viewmat in enumerate(cameras(30)):
        bare = View(f"view{index:02}", viewmat, K, WIDTH, HEIGHT, torch.zeros(HEIGHT, WIDTH, dtype=torch.int32))
        masks = noisy_masks(true_labels(gaussians, ball, bare), rng)
        classifier = torch.randn(embeddings.shape[1], int(masks.max()), generator=torch.Generator().manual_seed(index))
        views.append(replace(bare, label_map=torch.from_numpy(masks), classifier=classifier))
    return views


def test_objects_are_found_that_the_memory_bank_fuses() -> None:
    num_objects = 8
    gaussians, ball, embeddings = ball_world(num_objects, seed=0)
    views = noisy_views(gaussians, ball, embeddings)

    arguments = (gaussians["means"].numpy(), embeddings.numpy())
    options = ConsensusOptions(num_atoms=100)
    geometry = geometry_of(gaussians)
    found = find_consensus(*arguments, blend_views(geometry, views), options)
    again = find_consensus(*arguments, blend_views(geometry, views, max_bytes=0), options)
    assert (found.votes.shares == again.votes.shares).all()
    best = found.votes.labels[:, 0].numpy()
    shown = np.flatnonzero(best)
    assert len(shown) > 0.9 * len(best)
    assert len(set(zip(ball[shown].tolist(), best[shown].tolist(), strict=True))) == num_objects
    assert found.association().num_instances == num_objects
    bank = associate(gaussians["means"], embeddings, views, BANK)
    owners, members = bank.gaussian_sets
    sets = [set(ball[torch.from_numpy(members[owners == t])].tolist()) for t in range(1, bank.num_instances + 1)]
    assert not (len(sets) == num_objects and all(len(own) == 1 for own in sets))
