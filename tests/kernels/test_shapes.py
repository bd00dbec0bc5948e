"""Kernels know pointers and sizes alone: what does not fit is refused before they read beyond it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from proto_saga_ns.kernels import softmax, sparse_channels, votes
from proto_saga_ns.rasterize.cpu import Blend
from proto_saga_ns.rasterize.project import Lens, Project
from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics
from proto_saga_ns.rasterize.tiles import Tiles, bin_splats
from proto_saga_ns.recognition.cosine_softmax import cross_entropy, own_log_probability

f, i = torch.rand, torch.int32
TILES = Tiles(torch.zeros(5, 4, dtype=i), torch.zeros(2, dtype=torch.int64), torch.zeros(0, dtype=i), 16, 16)
VOTES = (torch.zeros(2, dtype=torch.int64), torch.zeros(1, dtype=i), torch.zeros(256))


def classify(features: torch.Tensor, alpha: torch.Tensor, weights: torch.Tensor, groups: torch.Tensor | None) -> None:
    votes.classify(features, alpha, VOTES, weights, groups, tau=10.0, doubt=0.1, min_alpha=0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cross_entropy(f(6, 5, 4), f(4, 3), torch.ones(3, 5, dtype=i), 10.0),
        lambda: cross_entropy(f(6, 5, 4), f(4, 3), torch.ones(5, 6, dtype=i), 10.0),
        lambda: cross_entropy(f(6, 5, 4), f(3, 3), torch.ones(6, 5, dtype=i), 10.0),
        lambda: softmax.CrossEntropy.apply(f(6, 4), f(3, 4), torch.ones(5, dtype=i), 0.01),
        lambda: softmax.CrossEntropy.apply(f(6, 4), f(3, 4), torch.ones(6, dtype=torch.int64), 0.01),
        lambda: softmax.nearest(f(6, 4), f(3, 5), torch.arange(3), 10.0),
        lambda: softmax.nearest(f(6, 4), f(3, 4), torch.arange(2), 10.0),
        lambda: softmax.nearest(f(6, 4).double(), f(3, 4), torch.arange(3), 10.0),
        lambda: softmax.own_log_probability(f(6, 4), f(3, 4), torch.zeros(5, dtype=i), 10.0),
        lambda: sparse_channels.channels_struct(torch.zeros(5, 4, dtype=i), f(5, 3), 2),
        lambda: classify(f(16, 16, 4), f(16, 15), f(3, 4), None),
        lambda: classify(f(16, 16, 4), f(16, 16), f(3, 5), None),
        lambda: classify(f(16, 16, 4), f(16, 16), f(3, 4), torch.zeros(2, dtype=i)),
        lambda: bin_splats(f(5, 2), f(5, 3), f(4), f(5), torch.ones(5, dtype=i), 16, 16),
        lambda: bin_splats(f(5, 2), f(5, 3), f(5), f(5), f(5), 16, 16),
        lambda: Blend.apply(f(5, 2), f(5, 3), f(5), f(6, 3), TILES, None, None),
        lambda: Blend.apply(f(4, 2), f(5, 3), f(5), f(5, 3), TILES, None, None),
        lambda: Project.apply(f(5, 3), f(4, 4), f(5, 3), torch.eye(4)[None], torch.eye(3)[None], Lens(16, 16)),
        lambda: spherical_harmonics(1, f(5, 3), f(4, 4, 3)),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"expected|does not fit"):
        call()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_below_the_first_are_refused(dtype: torch.dtype) -> None:
    features, weights = f(3, 4).to(dtype), f(4, 2).to(dtype)
    with pytest.raises(IndexError, match="label -1"):
        cross_entropy(features, weights, torch.tensor([1, -1, 2]), 10.0)
    with pytest.raises(IndexError, match="label 0"):
        own_log_probability(features, torch.tensor([1, 0, 2]), weights, 10.0)
