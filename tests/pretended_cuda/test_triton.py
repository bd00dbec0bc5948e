"""What surrounds the Triton kernels keeps to the GPU, gives what the CPU gives, and waits no more than it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from common.pretended_cuda import Transfers
from common.pretended_gsplat import GSPLAT, TRITON, pretending_gsplat
from torch import Tensor

from proto_saga_ns.kernels.triton.door import why_not
from proto_saga_ns.kernels.triton.launch import is_interpreted
from proto_saga_ns.plugin.model.image_loss import image_loss
from proto_saga_ns.rasterize.contributions import contributions
from proto_saga_ns.rasterize.geometry import Geometry
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import SparseChannels
from proto_saga_ns.recognition.cosine_softmax import cross_entropy, own_log_probability
from proto_saga_ns.recognition.prototypes import classify
from proto_saga_ns.recognition.votes import classify_with_votes
from tests.rasterize.scenes import random_scene

pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(not is_interpreted(), reason="Triton compiles its kernels here")

HEIGHT, WIDTH, GAUSSIANS, LABELS = 20, 28, 30, 5
WAITS_OF_VOTES = 2
"""For how many labels occur in the tiles, and whether there are prototypes."""
WAITS_OF_CONTRIBUTIONS = 14
"""For numbers of cells and pairs, whose memory is then made."""


@pytest.fixture
def triton() -> Iterator[Transfers]:
    with pretending_gsplat(GSPLAT | TRITON) as transfers:
        assert why_not(0) is None
        yield transfers


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def label_map() -> Tensor:
    return torch.randint(0, LABELS + 1, (HEIGHT, WIDTH), generator=torch.Generator().manual_seed(1)).int()


def agree(compute: Callable[..., tuple[Tensor, ...]], transfers: Transfers, *given: Tensor) -> int:
    """Both devices compute the same, gradients of the first result included. Gives how often the CPU waits."""

    def on(device: str) -> tuple[Tensor, ...]:
        leaves = [tensor.to(device).detach() for tensor in given]
        for leaf in leaves:
            leaf.requires_grad_(leaf.is_floating_point())
        transfers.counts.clear()
        found = compute(*leaves)
        if not found[0].requires_grad:
            return found
        floating = [leaf for leaf in leaves if leaf.is_floating_point()]
        gradients = torch.autograd.grad(found[0], floating, allow_unused=True)
        return *found, *(gradient for gradient in gradients if gradient is not None)

    expected, found = on("cpu"), on("cuda")
    waits = transfers.count("from the GPU")
    assert len(found) == len(expected) and all(tensor.is_cuda for tensor in found)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.detach().cpu(), other.detach(), atol=2e-5, rtol=1e-3, check_dtype=False)
    return waits


def test_cross_entropy(triton: Transfers) -> None:
    features, weights = numbers(HEIGHT, WIDTH, 16), numbers(16, LABELS, seed=1)
    assert agree(lambda f, w, labels: cross_entropy(f, w, labels, 10.0), triton, features, weights, label_map()) == 0


def test_loss_of_a_picture(triton: Transfers) -> None:
    rendered, photo = (numbers(HEIGHT, WIDTH, 3, seed=seed).sigmoid() for seed in (0, 1))
    assert agree(lambda one, other: (image_loss(one, other.detach(), 0.2),), triton, rendered, photo) == 0


@torch.no_grad()
def test_classification(triton: Transfers) -> None:
    features, prototypes, alpha = numbers(HEIGHT, WIDTH, 16), numbers(LABELS, 16, seed=1), torch.ones(HEIGHT, WIDTH)
    assert agree(lambda f, p, a: classify(f, p, a), triton, features, prototypes, alpha) <= WAITS_OF_VOTES
    own = label_map().flatten().clamp_min(1)
    agree(
        lambda f, labels, w: (own_log_probability(f, labels, w, 10.0),),
        *(triton, features.flatten(0, 1), own, prototypes.T.contiguous()),
    )


@torch.no_grad()
def test_votes(triton: Transfers) -> None:
    scene = random_scene(GAUSSIANS, channels=16, size=(WIDTH, HEIGHT))
    slots = torch.randint(-1, LABELS, (GAUSSIANS, 2), generator=torch.Generator().manual_seed(2)).int()
    slots[:, 1] = -1
    names = list(scene)

    def segment(labels: Tensor, shares: Tensor, prototypes: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        view = dict(zip(names, tensors, strict=True))
        sparse = SparseChannels(labels, shares, LABELS)
        image, alpha, _, votes = rasterization_with_sparse(sparse, **view, width=WIDTH, height=HEIGHT, packed=False)
        assert votes is not None
        return classify_with_votes(image[0], votes, prototypes, alpha[0, ..., 0])

    given = slots, numbers(GAUSSIANS, 2).sigmoid(), numbers(LABELS, 16), *scene.values()
    assert agree(segment, triton, *given) <= WAITS_OF_VOTES


@torch.no_grad()
def test_contributions(triton: Transfers) -> None:
    scene = random_scene(GAUSSIANS, size=(WIDTH, HEIGHT))
    names = ("means", "quats", "scales", "opacities")

    def table(*given: Tensor) -> tuple[Tensor, ...]:
        *geometry, viewmats, intrinsics, labels = given
        found = contributions(Geometry(*geometry), viewmats[0], intrinsics[0], labels)
        return found.gaussians, found.labels, found.weights

    given = [scene[name] for name in names]
    assert agree(table, triton, *given, scene["viewmats"], scene["Ks"], label_map()) <= WAITS_OF_CONTRIBUTIONS
