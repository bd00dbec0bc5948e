"""Segmentation by prototypes and votes against loops over pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.fused import classify_with_votes
from proto_saga_ns.prototypes import classify


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 10**6))
def test_the_largest_product_wins(count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    features, votes, prototypes, alpha = (
        torch.rand(size, generator=generator) for size in ((3, 4, 6), (3, 4, count), (count, 6), (3, 4))
    )
    labels, confidence = classify_with_votes(features, votes, prototypes, alpha)
    for y in range(3):
        for x in range(4):
            cosines = [float(torch.cosine_similarity(features[y, x], row, dim=0)) for row in prototypes]
            total = sum(math.exp(10 * cosine) for cosine in cosines)
            products = [math.exp(10 * c) / total * (float(v) + 1e-3) for c, v in zip(cosines, votes[y, x], strict=True)]
            seen = alpha[y, x] >= 0.5
            expected = (max(products) / sum(products)) if seen else 0.0
            assert float(confidence[y, x]) == pytest.approx(expected, rel=1e-4)
            own = int(labels[y, x])
            assert (products[own - 1] == pytest.approx(max(products), rel=1e-4)) if seen else own == 0


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


def test_no_instances_give_no_labels_and_a_zero_prototype_counts_by_votes() -> None:
    features, alpha = torch.randn(2, 2, 4), torch.ones(2, 2)
    assert not classify_with_votes(features, torch.zeros(2, 2, 0), torch.zeros(0, 4), alpha)[0].any()
    votes = torch.tensor([0.0, 1.0]).expand(2, 2, 2)
    assert (classify_with_votes(features, votes, torch.zeros(2, 4), alpha)[0] == 2).all()
