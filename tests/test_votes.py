"""Votes on Gaussians, and segmentation by prototypes and votes: against loops over pixels, and the kernels against
PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.kernels.library import ISA_VARIABLE, supported_instruction_sets
from proto_saga_ns.rasterize.contributions import Contributions
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import TiledChannels
from proto_saga_ns.recognition.cosine_softmax import DEFAULT_TAU
from proto_saga_ns.recognition.prototypes import classify
from proto_saga_ns.recognition.votes import (
    BESIDE_MASKS,
    BESIDE_VIEWS,
    DOUBT,
    Votes,
    classify_with_votes,
    joint_probabilities,
)
from tests.rasterize.scenes import random_scene
from tests.scene.scenes import random_votes


def test_labels_may_be_asked_for_in_any_order_and_for_some() -> None:
    votes = Votes(torch.tensor([[3, 1], [2, 0]], dtype=torch.int32), torch.tensor([[0.75, 0.25], [1.0, 0.0]]))
    assert votes.of((1, 3)).dense().tolist() == [[0.25, 0.75], [0.0, 0.0]]
    assert votes.of((9, 2)).dense().tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert votes.of(()).dense().shape == (2, 0)
    nobody = Votes(torch.zeros(0, 4, dtype=torch.int32), torch.zeros(0, 4))
    assert nobody.of((2,)).dense().shape == (0, 1)


@pytest.mark.usefixtures("unchecked_shapes")
def test_labels_and_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels are \(2, 3\), shares \(2, 2\)"):
        Votes(torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 2))


@settings(max_examples=40)
@given(st.integers(0, 9), st.integers(0, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_the_largest_counts_become_shares(gaussians: int, labels: int, top: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(-3, 4, (gaussians, labels + 1), generator=generator).clamp_min(0)  # with equal ones
    rows, columns = counts.nonzero(as_tuple=True)
    found = Votes.largest(Contributions(rows, columns, counts[rows, columns].double()), gaussians, top, 0.3)
    assert found.prototype_weight == 0.3 and found.top == top and len(found) == gaussians
    for row, own, shares in zip(counts.tolist(), found.labels.tolist(), found.shares.tolist(), strict=True):
        ranked = sorted((label for label in range(1, labels + 1) if row[label]), key=lambda t: (-row[t], t))[:top]
        padding = [0] * (top - len(ranked))
        assert own == [*ranked, *padding]
        assert shares == pytest.approx([*(row[label] / sum(row[1:]) for label in ranked), *padding])


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(0, 10**6), st.booleans(), st.sampled_from([BESIDE_MASKS, BESIDE_VIEWS, 0.0]))
def test_the_largest_product_wins(count: int, seed: int, grouped: bool, weight: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, votes, prototypes, alpha = (
        torch.rand(size, generator=generator) for size in ((3, 4, 6), (3, 4, count), (count, 6), (3, 4))
    )
    groups = torch.randint(0, 2, (count,), generator=generator) if grouped else torch.arange(count)
    asked = {"groups": groups if grouped else None, "prototype_weight": weight}
    labels, confidence = classify_with_votes(features, votes, prototypes, alpha, **asked)
    tau = weight * DEFAULT_TAU
    for y in range(3):
        for x in range(4):
            cosines = [float(torch.cosine_similarity(features[y, x], row, dim=0)) for row in prototypes]
            total = sum(math.exp(tau * cosine) for cosine in cosines)
            likeness = [math.exp(tau * cosine) / total for cosine in cosines]
            products = [p * (float(v) + 1e-3) for p, v in zip(likeness, votes[y, x], strict=True)]
            seen = alpha[y, x] >= 0.5
            own = int(labels[y, x])
            assert (products[own - 1] == pytest.approx(max(products), rel=1e-4)) if seen else own == 0
            together = sum(p for p, group in zip(products, groups, strict=True) if seen and group == groups[own - 1])
            assert float(confidence[y, x]) == pytest.approx(together / sum(products), rel=1e-4)


def test_without_votes_prototypes_decide_and_between_like_prototypes_votes_do() -> None:
    features, prototypes = torch.randn(5, 5, 8), torch.randn(7, 8)
    alpha = torch.ones(5, 5)
    by_prototypes, confidence = classify(features, prototypes, alpha, tau=BESIDE_MASKS * DEFAULT_TAU)
    labels, fused = classify_with_votes(features, torch.zeros(5, 5, 7), prototypes, alpha)
    assert (labels == by_prototypes).all()
    torch.testing.assert_close(fused, confidence)
    votes = torch.rand(5, 5, 7)
    labels, _ = classify_with_votes(features, votes, prototypes[:1].expand(7, -1), alpha)
    assert (labels == votes.argmax(dim=-1) + 1).all()


def test_votes_alone_are_shares_and_where_nobody_votes_there_is_no_label() -> None:
    """Zero prototypes: an embedding that was never trained."""
    votes, groups = torch.rand(4, 5, 3) * 0.3, torch.tensor([1, 1, 3])
    votes[0] = 0.0
    votes[1] = torch.tensor([1e-4, 2e-4, 1e-5])  # what shines through from behind
    features, alpha = torch.zeros(4, 5, 8), torch.ones(4, 5)
    labels, confidence = classify_with_votes(features, votes, torch.zeros(3, 8), alpha)
    assert not labels[:2].any() and not confidence[:2].any()
    assert (labels[2:] == votes[2:].argmax(dim=-1) + 1).all()
    shares = votes / (votes.sum(dim=-1, keepdim=True) + 1e-3)
    torch.testing.assert_close(confidence[2:], shares[2:].amax(dim=-1))
    _, together = classify_with_votes(features, votes, torch.zeros(3, 8), alpha, groups=groups)
    of_winner = torch.where(labels == 3, shares[..., 2], shares[..., :2].sum(dim=-1))
    torch.testing.assert_close(together[2:], of_winner[2:])


def test_no_instances_give_no_labels_and_a_zero_prototype_counts_by_votes() -> None:
    features, alpha = torch.randn(2, 2, 4), torch.ones(2, 2)
    assert not classify_with_votes(features, torch.zeros(2, 2, 0), torch.zeros(0, 4), alpha)[0].any()
    votes = torch.tensor([0.0, 1.0]).expand(2, 2, 2)
    assert (classify_with_votes(features, votes, torch.zeros(2, 4), alpha)[0] == 2).all()


@dataclass(frozen=True)
class RenderedView:
    """What a view is segmented by, its votes as the kernels leave them."""

    features: Tensor
    votes: TiledChannels
    alpha: Tensor
    prototypes: Tensor
    groups: Tensor | None
    tau: float = 10.0


def rendered_view(seed: int, labels: int, size: tuple[int, int] = (23, 19), dim: int = 6) -> RenderedView:
    """Some prototypes are zero, some features not finite or zero."""
    generator = torch.Generator().manual_seed(seed)
    scene = random_scene(80, size=size, channels=dim + 2, seed=seed)
    scene["colors"] = torch.randn(80, dim + 2, generator=generator)
    votes = random_votes(seed, 80, max(labels, 1)).of(range(1, labels + 1))
    image, alpha, _, found = rasterization_with_sparse(votes, **scene, width=size[0], height=size[1])
    assert isinstance(found, TiledChannels)
    features = image[0, ..., 1:-1]  # a part of what was rendered: its pixels lie apart in memory
    for value in (math.nan, math.inf, -math.inf, 0.0):
        row, column = (int(torch.randint(0, end, (), generator=generator)) for end in reversed(size))
        features[row, column] = value
        features[row // 2, column // 2, 0] = value
    prototypes = torch.randn(labels, dim, generator=generator)
    prototypes[torch.rand(labels, generator=generator) < 0.15] = 0
    groups = torch.randint(0, max(labels, 1), (labels,), generator=generator)
    return RenderedView(features, found, alpha[0, ..., 0], prototypes, groups if seed % 2 else None)


def assert_kernels_agree_with_torch(view: RenderedView, min_alpha: float = 0.5) -> None:
    settings = {"tau": view.tau, "min_alpha": min_alpha, "groups": view.groups}
    labels, confidence = classify_with_votes(view.features, view.votes, view.prototypes, view.alpha, **settings)
    features, votes, prototypes = (each.double() for each in (view.features, view.votes.dense(), view.prototypes))
    slow = classify_with_votes(features, votes, prototypes, view.alpha, **settings)
    assert labels.shape == confidence.shape == view.alpha.shape and labels.dtype == torch.int32
    assert torch.equal(labels == 0, slow[0] == 0) and not confidence[labels == 0].any()
    if not len(view.prototypes):
        return
    shares = joint_probabilities(features, votes, prototypes, BESIDE_MASKS * view.tau)
    winners, others = (each.clamp_min(1).long()[..., None] - 1 for each in (labels, slow[0]))
    nearly = (shares.gather(-1, winners) - shares.gather(-1, others))[..., 0]
    torch.testing.assert_close(nearly, torch.zeros_like(nearly), atol=1e-5, rtol=0)  # another label only in a tie
    same = labels == slow[0]
    torch.testing.assert_close(confidence[same].double(), slow[1][same].double(), atol=2e-5, rtol=1e-4)
    assert same.float().mean() > 0.98


@settings(max_examples=60)
@given(
    *(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 18), st.booleans()),
    *(st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.1, 10.0, 100.0]), st.sampled_from([0.0, 0.5, 1.0])),
)
def test_the_kernel_for_votes_agrees_with_torch(
    seed: int, labels: int, dim: int, untrained: bool, width: int, height: int, tau: float, min_alpha: float
) -> None:
    view = replace(rendered_view(seed, labels, (width, height), dim), tau=tau)
    prototypes = torch.zeros_like(view.prototypes) if untrained else view.prototypes
    assert_kernels_agree_with_torch(replace(view, prototypes=prototypes), min_alpha)


def test_without_prototypes_votes_decide_and_ties_go_to_the_lower_label() -> None:
    view = replace(rendered_view(2, 7), prototypes=torch.zeros(7, 6))
    labels, confidence = classify_with_votes(view.features, view.votes, view.prototypes, view.alpha, min_alpha=0.0)
    votes = view.votes.dense()
    voted = votes.sum(dim=-1) > DOUBT
    expected = [[next(t for t in range(7) if pixel[t] == pixel.max()) + 1 for pixel in row] for row in votes]
    assert labels.tolist() == (torch.tensor(expected) * voted).tolist() and voted.any()
    torch.testing.assert_close(confidence, voted * votes.amax(dim=-1) / (votes.sum(dim=-1) + DOUBT))


@pytest.mark.usefixtures("unchecked_shapes")
def test_votes_of_another_view_or_other_prototypes_are_refused() -> None:
    view = rendered_view(0, 5)
    for features, alpha, prototypes in (
        (view.features[1:], view.alpha[1:], view.prototypes),
        (view.features, view.alpha[:, 1:], view.prototypes),
        (view.features, view.alpha, view.prototypes[1:]),
    ):
        with pytest.raises(ValueError, match=r"votes are \(19, 23, 5\)"):
            classify_with_votes(features, view.votes, prototypes, alpha)


def test_the_number_of_threads_does_not_matter() -> None:
    view = rendered_view(1, 30, (150, 90))
    before = torch.get_num_threads()
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(classify_with_votes(view.features, view.votes, view.prototypes, view.alpha, groups=view.groups))
    torch.set_num_threads(before)
    for one, three in zip(*results, strict=True):
        assert torch.equal(one, three)


@pytest.mark.parametrize("name", supported_instruction_sets())
@pytest.mark.parametrize("seed", [0, 1])
def test_every_instruction_set_agrees_with_torch(name: str, seed: int, fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, name)
    view = rendered_view(seed, 21)
    assert_kernels_agree_with_torch(view)
    assert_kernels_agree_with_torch(replace(view, prototypes=torch.zeros_like(view.prototypes)))
