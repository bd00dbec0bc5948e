"""Clustering finds directions that are plain to see, and survives what is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.recognition.clusters import hdbscan_prototypes, kmeans_prototypes, sample_features
from proto_saga_ns.recognition.prototypes import MaskedView, MaskTable, classify
from tests.feature_pooling import view_prototypes

CENTRES = torch.eye(4)[:3]


def noisy_directions(per_cluster: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors of any length around three directions, and which one each belongs to."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(3).repeat(per_cluster)
    noise = 0.05 * torch.randn(len(truth), 4, generator=generator)
    lengths = 0.1 + 5 * torch.rand(len(truth), 1, generator=generator)
    return lengths * (CENTRES[truth] + noise), truth


def assert_recovers(prototypes: Tensor, assignment: Tensor, truth: Tensor) -> None:
    cosine = F.normalize(prototypes, dim=1) @ CENTRES.T
    assert prototypes.shape == (3, 4)
    assert sorted(cosine.argmax(dim=1).tolist()) == [0, 1, 2]
    assert bool((cosine.max(dim=1).values > 0.99).all())
    kept = assignment >= 0
    assert torch.equal(cosine.argmax(dim=1)[assignment[kept]], truth[kept])


def test_kmeans_recovers_directions_whatever_the_lengths() -> None:
    vectors, truth = noisy_directions(20)
    found = kmeans_prototypes(vectors, 3)
    assert_recovers(found.prototypes, found.assignment, truth)
    assert bool((found.assignment >= 0).all())


def test_hdbscan_recovers_directions_without_their_number() -> None:
    vectors, truth = noisy_directions(200)
    found = hdbscan_prototypes(vectors)
    assert_recovers(found.prototypes, found.assignment, truth)


def test_hdbscan_clusters_a_sample() -> None:
    vectors, truth = noisy_directions(400)
    found = hdbscan_prototypes(vectors, max_features=300)
    assert_recovers(found.prototypes, found.assignment, truth)
    assert 0 < int((found.assignment >= 0).sum()) <= 300


def test_kmeans_takes_what_a_mask_table_keeps_and_gives_what_classify_takes() -> None:
    features = CENTRES.repeat_interleave(4, dim=0).reshape(3, 4, 4)
    labels = torch.tensor([[1] * 4, [2] * 4, [3] * 4])
    means, pixels = view_prototypes(features, labels, 3)
    masks = MaskTable.of_views([MaskedView(name, means, pixels, torch.arange(4)) for name in "abc"], 4)
    _, vectors = masks.view_prototypes
    predicted, _ = classify(features, kmeans_prototypes(vectors, 3).prototypes, torch.ones(3, 4))
    pairs = torch.stack([predicted, labels]).reshape(2, -1)
    assert torch.unique(pairs, dim=1).shape == (2, 3)


@pytest.mark.parametrize("vectors", [torch.zeros(0, 4), torch.zeros(5, 4), torch.full((5, 4), torch.nan)])
def test_vectors_without_direction_form_no_cluster(vectors: Tensor) -> None:
    for found in (kmeans_prototypes(vectors, 3), hdbscan_prototypes(vectors)):
        assert found.prototypes.shape == (0, 4)
        assert found.assignment.tolist() == [-1] * len(vectors)


def test_fewer_vectors_than_clusters_give_fewer_clusters() -> None:
    found = kmeans_prototypes(torch.cat([CENTRES[:2], 2 * CENTRES[:1], torch.zeros(1, 4)]), 10)
    assert len(found.prototypes) == 2
    assert found.assignment[0] == found.assignment[2] != found.assignment[1]
    assert found.assignment[3] == -1


def test_the_seed_decides() -> None:
    vectors = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    first, second = (kmeans_prototypes(vectors, 8, seed=5) for _ in range(2))
    assert torch.equal(first.assignment, second.assignment)
    assert torch.equal(first.prototypes, second.prototypes)


def test_samples_are_opaque_and_not_repeated() -> None:
    features = torch.arange(24.0).reshape(4, 6, 1)
    alpha = (features[..., 0] < 10).float()
    assert sorted(sample_features(features, alpha, 100)[:, 0].tolist()) == list(range(10))
    assert len(set(sample_features(features, alpha, 4, seed=1)[:, 0].tolist())) == 4
