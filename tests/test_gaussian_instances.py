"""Laws of votes: what is added, what is remembered, and who wins."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.rasterize.contributions import Contributions
from proto_saga_ns.recognition.gaussian_instances import MIN_SEEN, GaussianInstances, InstanceVotes, elect

N, T = 13, 70_000
IDS = torch.tensor([0, 1, 2, 300, T])


def sparse(matrix: Tensor) -> Contributions:
    rows, columns = matrix.nonzero(as_tuple=True)
    return Contributions(rows.int(), IDS[columns].int(), matrix[rows, columns])


def random_views(seed: int, count: int) -> list[Tensor]:
    """Small whole numbers, which floats add without error, in whatever order."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(-4, 5, (N, len(IDS)), generator=generator).clamp_min(0).float() for _ in range(count)]


def votes_of(views: list[Tensor]) -> InstanceVotes:
    votes = InstanceVotes()
    for view in views:
        votes.add(sparse(view))
    return votes


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 6))
def test_votes_are_the_sum_of_the_views_and_the_largest_wins(seed: int, count: int) -> None:
    views = random_views(seed, count)
    dense = sum(views, torch.zeros(N, len(IDS)))
    votes = votes_of(views)
    total, expected = votes.total(), sparse(dense)
    for name, value in vars(expected).items():
        assert torch.equal(getattr(total, name).to(value.dtype), value)
    assert len(votes) == int((dense > 0).sum())
    found = elect(total, N)
    best, columns = dense.max(dim=1)  # the first column among equals
    assert torch.equal(found.ids, IDS[columns].int())
    share = torch.where(found.ids > 0, best / dense.sum(1), 0.0)
    torch.testing.assert_close(found.confidence, share)


def test_the_order_of_the_views_does_not_matter() -> None:
    views = random_views(0, 5)
    forwards, backwards = votes_of(views).total(), votes_of(views[::-1]).total()
    assert all(torch.equal(getattr(backwards, name), value) for name, value in vars(forwards).items())


def test_without_votes_and_with_most_votes_for_none_a_gaussian_belongs_to_none() -> None:
    matrix = torch.zeros(N, len(IDS))
    matrix[3] = torch.tensor([2.0, 1.5, 0, 0, 1.5])
    matrix[4] = torch.tensor([1.0, 0, 0, 3.0, 0])
    found = elect(sparse(matrix), N)
    assert found.ids.nonzero()[:, 0].tolist() == [4] and found.ids[4] == 300
    assert found.confidence[4] == 0.75 and (found.confidence[found.ids == 0] == 0).all()
    assert found.ids.dtype == torch.int32 and found.confidence.dtype == torch.float32
    assert len(elect(sparse(matrix[:0]), 0).ids) == 0


@given(st.integers(0, 10**6))
def test_what_is_hardly_seen_keeps_its_id_without_confidence(seed: int) -> None:
    votes, share = sparse(random_views(seed, 1)[0]), torch.arange(N) % 3 * MIN_SEEN / 2
    known, found = elect(votes, N), elect(votes, N, share)
    hardly = torch.arange(N) % 3 < 2
    assert torch.equal(found.ids, known.ids)
    assert torch.equal(found.confidence, known.confidence.masked_fill(hardly, 0))
    assert torch.equal(found.seen_ids, known.ids.masked_fill(hardly, 0))
    assert torch.equal(known.seen_ids, known.ids)


@pytest.mark.usefixtures("unchecked_shapes")
def test_ids_and_confidences_belong_together() -> None:
    with pytest.raises(ValueError, match="3 ids, 2 confidences"):
        GaussianInstances(torch.zeros(3, dtype=torch.int32), torch.zeros(2))
