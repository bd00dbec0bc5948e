"""Embeddings as colours that stay the same."""

from __future__ import annotations

import pytest
import torch

from proto_saga_ns.scene import EmbeddingColors


def test_embedding_colours_depend_on_direction_alone_and_use_the_whole_range() -> None:
    embeddings = torch.randn(2000, 6, generator=torch.Generator().manual_seed(1))
    colors = EmbeddingColors.fit(embeddings)
    image = colors.colorize(embeddings.reshape(40, 50, 6))
    assert 0 <= image.min() < 0.01 and 0.99 < image.max() <= 1
    torch.testing.assert_close(colors.colorize(7 * embeddings.reshape(40, 50, 6)), image)


def test_embedding_colours_do_not_depend_on_the_order_or_scale_of_the_gaussians() -> None:
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(1000, 5, generator=generator) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    shuffled = embeddings[torch.randperm(1000, generator=generator)] * 3
    first, second = EmbeddingColors.fit(embeddings), EmbeddingColors.fit(shuffled)
    torch.testing.assert_close(first.basis, second.basis, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(0, 16), (1, 16), (10, 2), (10, 1), (300_000, 3)])
def test_embedding_colours_of_odd_shapes_are_finite(shape: tuple[int, int]) -> None:
    embeddings = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    colors = EmbeddingColors.fit(embeddings)
    image = colors.colorize(torch.cat([torch.zeros(1, shape[1]), torch.ones(1, shape[1])])[None])
    assert image.shape == (1, 2, 3)
    assert bool(((image >= 0) & (image <= 1)).all())


def test_broken_and_zero_embeddings_do_no_harm() -> None:
    embeddings = torch.zeros(10, 4)
    embeddings[0, 0] = torch.nan
    assert bool(EmbeddingColors.fit(embeddings).colorize(torch.full((1, 1, 4), torch.nan)).isfinite().all())
