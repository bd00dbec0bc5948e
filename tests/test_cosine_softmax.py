"""The cosine softmax: its laws, and the compiled kernels against PyTorch in double precision (Eqs. 6, 7 and 14)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.recognition import cosine_softmax
from proto_saga_ns.recognition.cosine_softmax import (
    cosine_logits,
    cross_entropy,
    labelled_cross_entropy,
    own_log_probability,
)

SIZES = {"seed": st.integers(0, 1000), "pixels": st.integers(1, 70), "classes": st.integers(1, 40)}
SCALES = st.sampled_from([1e-4, 1e-2, 1.0, 1e3])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loss_and_gradients(features: Tensor, weights: Tensor, labels: Tensor, tau: float) -> tuple[Tensor, ...]:
    leaves = features.clone().requires_grad_(), weights.clone().requires_grad_()
    loss, accuracy = cross_entropy(*leaves, labels, tau)
    return loss.detach(), accuracy, *torch.autograd.grad(3 * loss, leaves)


@given(**SIZES, dim=st.integers(1, 20), scale=SCALES, tau=st.sampled_from([0.1, 10.0, 200.0]))
@settings(max_examples=80)
def test_the_kernel_for_the_cross_entropy_agrees_with_torch(
    seed: int, pixels: int, classes: int, dim: int, scale: float, tau: float
) -> None:
    features, weights = scale * random(pixels, dim, seed=seed), random(dim, classes, seed=seed + 1)
    labels = torch.randint(0, classes + 1, (pixels,), generator=torch.Generator().manual_seed(seed))
    ours = loss_and_gradients(features, weights, labels, tau)
    leaves = features.double().requires_grad_(), weights.double().requires_grad_()
    loss, accuracy = labelled_cross_entropy(cosine_logits(*leaves, tau), labels)
    theirs = loss.detach(), accuracy, *torch.autograd.grad(3 * loss, leaves)
    in_chunks = loss_and_gradients(features.double(), weights.double(), labels, tau)
    torch.testing.assert_close(in_chunks[2:], theirs[2:])
    # What differs by rounding are terms as large as tau over the length, before they cancel.
    shortest = [1.0, max(float(features.norm(dim=1).min()), 1e-2), float(weights.norm(dim=0).min())]
    for mine, other, length in zip((ours[0], *ours[2:]), (theirs[0], *theirs[2:]), shortest, strict=True):
        noise = 3e-6 * max(1.0, tau / length) + 1e-5 * float(other.abs().max())
        torch.testing.assert_close(mine.double(), other, atol=noise, rtol=1e-4)
    highest = cosine_logits(features.double(), weights.double(), tau).topk(min(2, classes), dim=1).values
    if classes == 1 or (highest[:, 0] - highest[:, 1] > 1e-4 * tau).all():
        torch.testing.assert_close(ours[1], theirs[1])


def test_in_pytorch_chunks_of_pixels_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    features, weights = random(70, 16).double(), random(16, 6, seed=1).double()
    labels = torch.randint(0, 7, (70,), generator=torch.Generator().manual_seed(2))
    labels[20:30] = 0  # one chunk without label
    whole = labelled_cross_entropy(cosine_logits(features, weights, 10), labels)
    monkeypatch.setattr(cosine_softmax, "CHUNK_ELEMENTS", 60)
    torch.testing.assert_close(cross_entropy(features, weights, labels, 10), whole)


@given(**SIZES, tau=st.sampled_from([1.0, 10.0, 100.0]))
@settings(max_examples=40)
def test_the_kernel_for_own_probabilities_agrees_with_torch(seed: int, pixels: int, classes: int, tau: float) -> None:
    features, weights = random(pixels, 16, seed=seed), random(16, classes, seed=seed + 1)
    features[0] = 0
    labels = torch.randint(1, classes + 1, (pixels,), generator=torch.Generator().manual_seed(seed))
    ours = own_log_probability(features, labels, weights, tau)
    theirs = own_log_probability(features.double(), labels, weights.double(), tau)
    torch.testing.assert_close(ours.double(), theirs, atol=1e-6 * tau + 1e-6, rtol=1e-5)
    assert ours[0] == pytest.approx(-math.log(classes), abs=1e-6)


def test_logits_are_tau_times_the_cosine() -> None:
    features, weights = random(5, 7, 16), random(16, 4, seed=1)
    expected = 10 * F.cosine_similarity(features[..., None], weights, dim=-2)
    torch.testing.assert_close(cosine_logits(features, weights, tau=10), expected)


@given(st.floats(0.5, 100), st.floats(0.01, 100))
def test_the_scale_of_features_and_weights_does_not_matter(feature_scale: float, weight_scale: float) -> None:
    features, weights, labels = random(6, 16), random(16, 3, seed=1), torch.tensor([0, 1, 2, 3, 1, 2])
    scaled, _ = cross_entropy(feature_scale * features, weight_scale * weights, labels, 10)
    torch.testing.assert_close(scaled, cross_entropy(features, weights, labels, 10)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_stays_bounded_where_nothing_was_rendered(dtype: torch.dtype) -> None:
    features = torch.zeros(1, 1, 16, dtype=dtype)
    gradient = loss_and_gradients(features, random(16, 3).to(dtype), torch.tensor([[2]]), 10)[2]
    assert torch.isfinite(gradient).all() and gradient.abs().max() <= 3 * 2 * 10 / 1e-2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_is_the_mean_over_labelled_pixels_of_minus_the_log_of_the_softmax(dtype: torch.dtype) -> None:
    features = torch.tensor([[[2.0, 0.0], [9.0, 9.0], [0.0, 0.5]]], dtype=dtype)
    weights = torch.tensor([[3.0, 0.0], [0.0, 1.0]], dtype=dtype)
    loss, accuracy = cross_entropy(features, weights, torch.tensor([[1, 0, 1]]), tau=10)
    assert float(loss) == pytest.approx((math.log(1 + math.exp(-10)) + math.log(1 + math.exp(10))) / 2, abs=1e-6)
    assert float(accuracy) == 0.5


def test_cross_entropy_from_logits_is_the_mean_over_labelled_pixels_only() -> None:
    logits, labels = random(2, 3, 4), torch.tensor([[0, 1, 4], [2, 0, 0]])
    log_probability = logits.log_softmax(-1)
    expected = -(log_probability[0, 1, 0] + log_probability[0, 2, 3] + log_probability[1, 0, 1]) / 3
    torch.testing.assert_close(labelled_cross_entropy(logits, labels)[0], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [0, 3])
def test_a_view_without_labels_gives_zero_loss_and_zero_gradient(dtype: torch.dtype, classes: int) -> None:
    features, weights = random(2, 2, 16).to(dtype).requires_grad_(), random(16, classes).to(dtype)
    loss, accuracy = cross_entropy(features, weights, torch.zeros(2, 2).int(), 10)
    loss.backward()
    assert loss == 0 and accuracy == 0
    assert features.grad is not None and (features.grad == 0).all()


def test_a_feature_that_is_not_a_number_makes_the_loss_not_a_number() -> None:
    features = random(20, 16)
    features[7, 3] = math.nan
    assert cross_entropy(features, random(16, 3), torch.ones(20, dtype=torch.int32), 10)[0].isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_feature_without_label_may_be_anything(dtype: torch.dtype) -> None:
    features, weights = random(20, 16).to(dtype), random(16, 3, seed=1).to(dtype)
    labels = torch.arange(20, dtype=torch.int32) % 4
    expected = loss_and_gradients(features, weights, labels, 10)
    features[4], features[8], features[12, 3] = math.nan, math.inf, -math.inf
    for found, same in zip(loss_and_gradients(features, weights, labels, 10), expected, strict=True):
        torch.testing.assert_close(found, same)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_label_without_column_is_an_error(dtype: torch.dtype) -> None:
    features, weights, labels = random(2, 16).to(dtype), random(16, 3).to(dtype), torch.tensor([1, 4])
    with pytest.raises(IndexError, match="label 4"):
        cross_entropy(features, weights, labels, 10)
    with pytest.raises(IndexError, match="label 4"):
        own_log_probability(features, labels, weights, 10)
