"""The loss that makes nearby Gaussians alike, against its definition."""

from __future__ import annotations

import torch

from proto_saga_ns.plugin.model.classifiers import NEIGHBOURS, neighbour_divergence

TAU = 10.0


def problem(count: int = 30) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((count, 3), (count, 16), (16, 4))
    means, embeddings, weights = (torch.randn(shape, generator=generator).double() for shape in shapes)
    return means, embeddings.requires_grad_(), weights.requires_grad_()


def reference(means: torch.Tensor, embeddings: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Over all Gaussians, one after the other."""
    cosines = torch.nn.functional.normalize(embeddings, dim=1) @ torch.nn.functional.normalize(weights, dim=0)
    p = (TAU * cosines).softmax(dim=1)
    values = []
    for index in range(len(means)):
        nearest = (means - means[index]).norm(dim=1).argsort()[:NEIGHBOURS]
        values += [(p[index] * (p[index] / p[other]).log()).sum() for other in nearest]
    return torch.stack(values).mean() / weights.shape[1]


def test_it_is_the_mean_divergence_from_the_nearest() -> None:
    means, embeddings, weights = problem()
    found = neighbour_divergence(means, embeddings, weights, TAU)
    torch.testing.assert_close(found, reference(means, embeddings, weights))
    found.backward()
    assert embeddings.grad is not None and embeddings.grad.norm(dim=1).min() > 0
    assert weights.grad is not None and not means.requires_grad


def test_like_neighbours_cost_nothing() -> None:
    means, embeddings, weights = problem()
    same = embeddings[:1].expand_as(embeddings)
    assert neighbour_divergence(means, same, weights, TAU, samples=7).abs() < 1e-12
    assert neighbour_divergence(means[:2], embeddings[:2], weights, TAU) > 0
