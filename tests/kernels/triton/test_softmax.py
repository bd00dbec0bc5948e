"""The cosine softmax and its cross entropy by Triton, against PyTorch in double precision and against the CPU."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels import softmax as on_cpu
from proto_saga_ns.recognition.cosine_softmax import (
    MIN_FEATURE_NORM,
    cosine_logits,
    labelled_cross_entropy,
    own_log_probability,
)

pytest.importorskip("triton")

from proto_saga_ns.kernels.triton import cross_entropy, softmax
from proto_saga_ns.kernels.triton.cross_entropy import CrossEntropy

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numpy's, of what is meant not to be finite
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZES = {"seed": st.integers(0, 1000), "pixels": st.integers(0, 150), "classes": st.integers(1, 70)}
"""Around one block of pixels, and one and two of classes."""
DIMS = st.sampled_from([1, 3, 16, 17, 70])
TAUS = st.sampled_from([0.1, 10.0, 100.0])


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def integers(low: int, high: int, count: int, seed: int) -> Tensor:
    return torch.randint(low, high, (count,), generator=torch.Generator().manual_seed(seed)).int().to(DEVICE)


def same(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours.double(), theirs.double(), atol=tolerance, rtol=1e-4, equal_nan=True)


@given(**SIZES, dim=DIMS, tau=TAUS, grouped=st.booleans())
@settings(max_examples=15)
def test_nearest_agrees_with_torch(seed: int, pixels: int, classes: int, dim: int, tau: float, grouped: bool) -> None:
    features, unit = random(pixels, dim, seed=seed), F.normalize(random(classes, dim, seed=seed + 1), dim=1)
    groups = integers(0, 5, classes, seed) if grouped else None
    rows, shares = softmax.nearest(features, unit, groups, tau)
    cosines = F.normalize(features.double(), dim=1) @ unit.double().T
    theirs = (tau * cosines).softmax(dim=1) if pixels else cosines
    own = cosines.gather(1, rows.long()[:, None])[:, 0]
    same(own, cosines.max(dim=1).values if pixels else own, 1e-6)
    ids = torch.arange(classes, device=DEVICE) if groups is None else groups
    same(shares, (theirs * (ids == ids[rows.long(), None])).sum(dim=1), 1e-6 * (1 + tau))


def test_nearest_answers_as_the_cpu_where_there_is_no_direction_and_for_equal_rows() -> None:
    features, unit = random(40, 16), F.normalize(random(9, 16, seed=1), dim=1)
    unit[7], unit[8] = unit[2], unit[0]
    features[0], features[1, 3], features[2, 5], features[3, 0] = 0, math.nan, math.inf, -math.inf
    features[4], features[5], features[6] = features[4] * 1e15, 1e25, features[6] * 1e-10
    groups = torch.tensor([5, 300, 5, 70_000, 2, 2, 2, 1, 5], device=DEVICE)
    ours = softmax.nearest(features, unit, groups, 10.0)
    theirs = on_cpu.nearest(features.cpu(), unit.cpu(), groups.cpu(), 10.0)
    rows, expected = ours[0].cpu(), theirs[0]
    assert torch.equal(rows == -1, expected == -1) and (rows[[0, 1, 2, 3, 5]] == -1).all()
    # The first of equal rows; the interpreter multiplies by BLAS, which may round a column by where it stands.
    assert torch.equal(unit.cpu()[rows.long()], unit.cpu()[expected.long()])
    assert DEVICE == "cpu" or torch.equal(rows, expected)
    same(ours[1].cpu(), theirs[1], 1e-6)


def test_features_may_lie_apart_in_memory() -> None:
    both, unit = random(50, 24), F.normalize(random(9, 16, seed=1), dim=1)
    apart, together = (softmax.nearest(f, unit, None, 10.0) for f in (both[:, 5:21], both[:, 5:21].contiguous()))
    assert torch.equal(apart[0], together[0]) and torch.equal(apart[1], together[1])


@given(**SIZES, dim=DIMS, tau=TAUS)
@settings(max_examples=15)
def test_own_log_probabilities_agree_with_torch(seed: int, pixels: int, classes: int, dim: int, tau: float) -> None:
    features, weights = random(pixels, dim, seed=seed), random(dim, classes, seed=seed + 1)
    features[::7] = 0
    labels = integers(1, classes + 1, pixels, seed)
    ours = softmax.own_log_probability(features, F.normalize(weights, dim=0).T, labels - 1, tau)
    same(ours, own_log_probability(features.double(), labels, weights.double(), tau), 1e-6 * (1 + tau))


def loss_and_gradients(features: Tensor, rows: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    leaves = features.clone().requires_grad_(), rows.clone().requires_grad_()
    loss, accuracy = CrossEntropy.apply(*leaves, labels, MIN_FEATURE_NORM)  # type: ignore[misc]
    return loss.detach(), accuracy, *torch.autograd.grad(3 * loss, leaves)


def reference(features: Tensor, rows: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    leaves = features.double().requires_grad_(), rows.double().requires_grad_()
    lengths = leaves[0].norm(dim=1, keepdim=True).clamp_min(MIN_FEATURE_NORM)
    loss, accuracy = labelled_cross_entropy(leaves[0] @ leaves[1].T / lengths, labels)
    return loss.detach(), accuracy, *torch.autograd.grad(3 * loss, leaves)


@given(**SIZES, dim=DIMS, tau=TAUS, scale=st.sampled_from([1e-4, 1e-2, 1.0, 1e3]), unlabelled=st.booleans())
@settings(max_examples=15)
def test_the_cross_entropy_and_its_gradients_agree_with_torch(
    seed: int, pixels: int, classes: int, dim: int, tau: float, scale: float, unlabelled: bool
) -> None:
    features, rows = scale * random(pixels, dim, seed=seed), tau * F.normalize(random(classes, dim, seed=seed + 1))
    labels = integers(0, 1 if unlabelled else classes + 1, pixels, seed)
    ours, theirs = loss_and_gradients(features, rows, labels), reference(features, rows, labels)
    # What differs by rounding are terms as large as tau over the length, before they cancel.
    shortest = max(float(features.norm(dim=1).min()), 1e-2) if pixels else 1.0
    for mine, other, length in zip((ours[0], *ours[2:]), (theirs[0], *theirs[2:]), (1.0, shortest, 1.0), strict=True):
        largest = float(other.abs().max()) if other.numel() else 0.0
        same(mine, other, 3e-6 * max(1.0, tau / length) + 1e-5 * largest)
    logits = cosine_logits(features.double(), rows.double().T, tau)
    clear = not pixels or classes == 1 or (-logits.topk(2).values.diff() > 1e-4 * tau).all()
    if clear:
        same(ours[1], theirs[1], 1e-6)


def test_labels_beyond_255_and_several_chunks_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CHUNK", 64)
    pixels, classes = 150, 270
    features, rows = random(pixels, 16), 10 * F.normalize(random(classes, 16, seed=1))
    labels = integers(250, classes + 1, pixels, 2)
    for mine, other in zip(loss_and_gradients(features, rows, labels), reference(features, rows, labels), strict=True):
        same(mine, other, 1e-5)


def test_pixels_without_label_take_no_part_whatever_they_are() -> None:
    features, rows = random(60, 16), 10 * F.normalize(random(5, 16, seed=1))
    labels = integers(1, 6, 60, 2)
    labels[20:] = 0
    features[25], features[26], features[30] = math.nan, math.inf, 0
    some, alone = (loss_and_gradients(features[:n], rows, labels[:n]) for n in (60, 20))
    for mine, other in zip((some[0], some[1], some[2][:20], some[3]), alone, strict=True):
        same(mine, other, 1e-6)
    assert (some[2][20:] == 0).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_labelled_feature_that_is_not_finite_makes_the_loss_not_a_number(value: float) -> None:
    features = random(20, 16)
    features[7, 3] = value
    assert loss_and_gradients(features, random(3, 16), integers(1, 4, 20, 0))[0].isnan()


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_without_row_makes_the_loss_not_a_number(label: int) -> None:
    labels = torch.tensor([1, label], dtype=torch.int32, device=DEVICE)
    assert loss_and_gradients(random(2, 16), random(3, 16), labels)[0].isnan()


def test_the_same_input_gives_the_same_bits() -> None:
    features, rows, labels = random(300, 16), random(40, 16, seed=1), integers(0, 41, 300, 2)
    first, second = (loss_and_gradients(features, rows, labels) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda: softmax.nearest(random(6, 4), random(3, 5), None, 10.0),
        lambda: softmax.nearest(random(6, 4), random(3, 4), torch.arange(2, device=DEVICE), 10.0),
        lambda: softmax.nearest(random(6, 4).double(), random(3, 4), None, 10.0),
        lambda: softmax.own_log_probability(random(6, 4), random(3, 4), integers(0, 3, 5, 0), 10.0),
        lambda: CrossEntropy.apply(random(6, 4), random(3, 4), integers(0, 3, 5, 0), 0.01),
        lambda: CrossEntropy.apply(random(6, 4), random(3, 4), integers(0, 3, 6, 0).long(), 0.01),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused(call) -> None:
    with pytest.raises(ValueError, match="expected"):
        call()
