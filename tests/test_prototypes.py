"""Prototypes and classification against loops over pixels that follow the equations."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.recognition import cosine_softmax
from proto_saga_ns.recognition.prototypes import classify
from tests.feature_pooling import view_prototypes


def random_view(seed: int, instances: int, height: int = 6, width: int = 5, dim: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(height, width, dim, generator=generator)
    return features, torch.randint(0, instances + 1, (height, width), generator=generator)


def slow_classify(feature: Tensor, weights: Tensor, tau: float) -> tuple[int, float]:
    scores = [tau * float(torch.cosine_similarity(feature, weight, dim=0)) for weight in weights]
    exponentials = [math.exp(score) for score in scores]
    best = max(range(len(scores)), key=scores.__getitem__)
    return best + 1, exponentials[best] / sum(exponentials)


@given(seed=st.integers(0, 1000), instances=st.integers(1, 6), tau=st.floats(0.1, 50))
@settings(max_examples=30)
def test_classify_is_argmax_and_softmax_of_the_cosine(seed: int, instances: int, tau: float) -> None:
    features, _ = random_view(seed, instances)
    weights = torch.randn(instances, 4, generator=torch.Generator().manual_seed(seed + 1))
    labels, confidence = classify(features, weights, torch.ones(6, 5), tau)
    for y in range(6):
        for x in range(5):
            label, probability = slow_classify(features[y, x], weights, tau)
            assert labels[y, x] == label
            assert float(confidence[y, x]) == pytest.approx(probability, rel=1e-3)


@given(scale=st.floats(1e-3, 1e3), chunk=st.integers(1, 500))
@settings(max_examples=20)
def test_neither_scale_nor_chunks_change_the_result(scale: float, chunk: int) -> None:
    features, _ = random_view(3, 5, height=20, width=15)
    weights, alpha = torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), torch.ones(20, 15)
    labels, confidence = classify(features, weights, alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cosine_softmax, "CHUNK_ELEMENTS", chunk)
        scaled_labels, scaled_confidence = classify(scale * features.double(), scale * weights, alpha)
    assert torch.equal(labels, scaled_labels)
    torch.testing.assert_close(confidence.double(), scaled_confidence, atol=1e-4, rtol=1e-4)


@given(st.integers(0, 1000), st.integers(1, 70), st.integers(1, 40), st.integers(1, 20), st.integers(1, 40))
@settings(max_examples=30)
def test_the_cpu_kernel_agrees_with_torch(seed: int, pixels: int, instances: int, dim: int, number: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(1, pixels, dim, generator=generator)
    weights, alpha = torch.randn(instances, dim, generator=generator), torch.rand(1, pixels, generator=generator)
    groups = torch.randint(0, number, (instances,), generator=generator)
    labels, confidence = classify(features, weights, alpha, groups=groups)
    theirs, probabilities = classify(features.double(), weights, alpha.double(), groups=groups)
    torch.testing.assert_close(confidence.double(), probabilities, atol=1e-4, rtol=1e-4)
    cosines = torch.nn.functional.cosine_similarity(features[0, :, None], weights, dim=-1).sort(dim=1).values
    clear = torch.ones(pixels, dtype=torch.bool) if instances == 1 else cosines[:, -1] - cosines[:, -2] > 1e-5
    assert torch.equal(labels[0, clear], theirs[0, clear])


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=30)
def test_the_confidence_of_a_group_is_the_sum_of_its_probabilities(seed: int, instances: int, number: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, weights = torch.randn(1, 20, 4, generator=generator), torch.randn(instances, 4, generator=generator)
    groups, alpha = torch.randint(0, number, (instances,), generator=generator), torch.ones(1, 20)
    labels, _ = classify(features, weights, alpha)
    grouped, confidence = classify(features, weights, alpha, tau=7.0, groups=groups)
    assert torch.equal(labels, grouped), "who wins does not depend on the groups"
    cosines = torch.nn.functional.cosine_similarity(features[0, :, None], weights, dim=-1)
    probabilities = (7.0 * cosines).softmax(dim=1)
    same = groups == groups[labels[0].long() - 1, None]
    torch.testing.assert_close(confidence[0], (probabilities * same).sum(dim=1), atol=1e-5, rtol=1e-4)


def test_transparent_zero_and_broken_pixels_are_unlabelled() -> None:
    features = torch.ones(1, 5, 4)
    features[0, 1], features[0, 2], features[0, 3] = 0.0, math.nan, math.inf
    alpha = torch.tensor([[0.5, 1.0, 1.0, 1.0, 0.49]])
    labels, confidence = classify(features, torch.eye(4), alpha)
    assert labels.dtype == torch.int32
    assert labels.tolist() == [[1, 0, 0, 0, 0]]
    assert confidence[0, 0] == pytest.approx(0.25)
    assert confidence[0, 1:].tolist() == [0, 0, 0, 0]


def test_a_zero_prototype_never_wins() -> None:
    weights = torch.tensor([[0.0, 0.0], [-1.0, 0.0]])
    labels, confidence = classify(torch.tensor([[[1.0, 0.0]]]), weights, torch.ones(1, 1))
    assert labels.item() == 2
    assert confidence.item() == 1.0


@pytest.mark.parametrize("instances", [0, 3])
def test_without_usable_prototypes_nothing_is_labelled(instances: int) -> None:
    labels, confidence = classify(torch.ones(2, 3, 4), torch.zeros(instances, 4), torch.ones(2, 3))
    assert not labels.any()
    assert not confidence.any()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_agrees_with_the_cpu() -> None:
    features, labels = random_view(0, 9, height=200, width=300, dim=16)
    means, _ = view_prototypes(features, labels, 9)
    expected = classify(features, means, torch.ones(200, 300))
    found = classify(features.cuda(), means, torch.ones(200, 300, device="cuda"))
    assert (found[0].cpu() == expected[0]).float().mean() > 0.9999
    torch.testing.assert_close(found[1].cpu(), expected[1], rtol=1e-3, atol=1e-4)
