"""Votes on Gaussians, and segmentation by prototypes and votes against loops over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.prototypes import classify
from proto_saga_ns.votes import Votes, classify_with_votes


def test_channels_may_be_asked_for_in_any_order_and_for_some() -> None:
    votes = Votes(torch.tensor([[3, 1], [2, 0]], dtype=torch.int32), torch.tensor([[0.75, 0.25], [1.0, 0.0]]))
    assert votes.channels((1, 3)).tolist() == [[0.25, 0.75], [0.0, 0.0]]
    assert votes.channels((9, 2)).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert votes.channels(()).shape == (2, 0)
    nobody = Votes(torch.zeros(0, 4, dtype=torch.int32), torch.zeros(0, 4))
    assert nobody.channels((2,)).shape == (0, 1)


def test_labels_and_shares_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels are \(2, 3\), shares \(2, 2\)"):
        Votes(torch.zeros(2, 3, dtype=torch.int32), torch.zeros(2, 2))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6), st.booleans())
def test_the_largest_product_wins(count: int, seed: int, grouped: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, votes, prototypes, alpha = (
        torch.rand(size, generator=generator) for size in ((3, 4, 6), (3, 4, count), (count, 6), (3, 4))
    )
    groups = torch.randint(0, 2, (count,), generator=generator) if grouped else torch.arange(count)
    labels, confidence = classify_with_votes(features, votes, prototypes, alpha, groups=groups if grouped else None)
    for y in range(3):
        for x in range(4):
            cosines = [float(torch.cosine_similarity(features[y, x], row, dim=0)) for row in prototypes]
            total = sum(math.exp(10 * cosine) for cosine in cosines)
            products = [math.exp(10 * c) / total * (float(v) + 1e-3) for c, v in zip(cosines, votes[y, x], strict=True)]
            seen = alpha[y, x] >= 0.5
            own = int(labels[y, x])
            assert (products[own - 1] == pytest.approx(max(products), rel=1e-4)) if seen else own == 0
            together = sum(p for p, group in zip(products, groups, strict=True) if seen and group == groups[own - 1])
            assert float(confidence[y, x]) == pytest.approx(together / sum(products), rel=1e-4)


def test_without_votes_prototypes_decide_and_between_like_prototypes_votes_do() -> None:
    features, prototypes = torch.randn(5, 5, 8), torch.randn(7, 8)
    alpha = torch.ones(5, 5)
    by_prototypes, confidence = classify(features, prototypes, alpha)
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
