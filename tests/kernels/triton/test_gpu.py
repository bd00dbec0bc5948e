"""What segments views on a GPU, against the CPU: Triton's kernels over gsplat's tile lists, spherical harmonics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proto_saga_ns.rasterize import spherical_harmonics
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import SparseChannels, TiledChannels
from proto_saga_ns.recognition.votes import classify_with_votes
from tests.rasterize.scenes import random_scene
from tests.rasterize.test_contributions import contribute, dense, random_labels
from tests.rasterize.test_sparse_channels import random_channels

SIZE = (237, 129)
COUNT, LABELS = 3000, 90
GPU = torch.device("cuda")
pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


def blended(scene: dict[str, Tensor], sparse: SparseChannels, device: torch.device) -> tuple[Tensor, Any]:
    there = SparseChannels(sparse.labels.to(device), sparse.values.to(device), sparse.count)
    moved = {name: value.to(device) for name, value in scene.items()}
    _, alpha, _, found = rasterization_with_sparse(there, **moved, width=SIZE[0], height=SIZE[1], packed=False)
    return alpha[0, ..., 0], found


def test_sparse_channels_and_their_classification() -> None:
    scene, sparse = random_scene(COUNT, size=SIZE), random_channels(COUNT, LABELS)
    alpha, expected = blended(scene, sparse, torch.device("cpu"))
    found = blended(scene, sparse, GPU)[1]
    assert isinstance(found, TiledChannels) and found.values.is_cuda
    assert ((found.dense().cpu() - expected.dense()).abs() > 1e-4).any(dim=-1).float().mean() < 1e-3
    assert torch.equal(found[100, 200], found.dense()[100, 200])
    features, prototypes = torch.randn(*SIZE[::-1], 16), torch.randn(LABELS, 16)
    for groups in (None, torch.arange(LABELS) // 3):
        on_cpu = classify_with_votes(features, expected, prototypes, alpha, groups=groups)
        on_gpu = classify_with_votes(features.to(GPU), found, prototypes, alpha.to(GPU), groups=groups)
        assert (on_gpu[0].cpu() == on_cpu[0]).float().mean() > 0.999
        assert ((on_gpu[1].cpu() - on_cpu[1]).abs() < 1e-3).float().mean() > 0.999


@pytest.mark.parametrize("antialiased", [False, True])
def test_contributions(antialiased: bool) -> None:
    scene, label_map = random_scene(COUNT, size=SIZE), random_labels(SIZE, 40, 9)
    moved = {name: value.to(GPU) for name, value in scene.items()}
    found, again = (contribute(moved, label_map, antialiased) for _ in range(2))
    assert all(torch.equal(column, getattr(again, name)) for name, column in vars(found).items())
    expected = contribute(scene, label_map, antialiased)
    here = type(found)(*(column.cpu() for column in vars(found).values()))
    difference = (dense(here, (COUNT, 41)) - dense(expected, (COUNT, 41))).abs()
    assert (difference > 1e-2).sum() < 10


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_spherical_harmonics_and_their_gradients(degree: int) -> None:
    directions, coefficients = torch.randn(500, 3), torch.randn(500, 25, 3)
    directions[0] = 0
    results = []
    for device in ("cpu", "cuda"):
        leaves = [each.detach().clone().to(device).requires_grad_() for each in (directions, coefficients)]
        colors = spherical_harmonics(degree, *leaves)
        colors.square().sum().backward()
        found = [colors.detach(), *(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves)]
        assert all(each.isfinite().all() for each in found)
        results.append([each[1:].cpu() for each in found])
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, atol=1e-4, rtol=1e-4)
