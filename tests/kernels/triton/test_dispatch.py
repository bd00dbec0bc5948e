"""Which kernels answer for tensors of a GPU: Triton's where it runs, else PyTorch in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from proto_saga_ns.kernels import softmax as on_cpu
from proto_saga_ns.recognition import cosine_softmax


class OnGpu(torch.Tensor):
    """A tensor of the CPU that says it is on a GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda", 0)


@pytest.fixture
def features() -> Iterator[Tensor]:
    yield torch.randn(9, 16, generator=torch.Generator().manual_seed(0)).as_subclass(OnGpu)


def test_a_gpu_with_triton_has_its_kernels(features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("proto_saga_ns.kernels.triton.softmax")
    monkeypatch.setattr(cosine_softmax, "runs_on", lambda device, cost: device.type == "cuda")
    assert cosine_softmax._kernels_for(features) is triton
    assert cosine_softmax._kernels_for(features.double()) is None
    assert cosine_softmax._kernels_for(features.repeat(1, 17)) is None  # too long for a program
    assert cosine_softmax._kernels_for(torch.ones(9, 16)) is on_cpu


def test_a_gpu_without_triton_has_pytorch(features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine_softmax, "runs_on", lambda device, cost: False)
    assert cosine_softmax._kernels_for(features) is None


def test_all_doors_offer_the_same_functions() -> None:
    triton = pytest.importorskip("proto_saga_ns.kernels.triton.softmax")
    for name in set(triton.__all__) - {"LONGEST"}:
        assert callable(getattr(on_cpu, name)) and callable(getattr(triton, name))


def test_what_the_public_functions_hand_on_is_what_triton_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    triton = pytest.importorskip("proto_saga_ns.kernels.triton.softmax")
    generator = torch.Generator().manual_seed(0)
    channels, weights = torch.randn(5, 8, 19, generator=generator), torch.randn(16, 7, generator=generator)
    features, labels = channels[..., 3:], torch.randint(0, 8, (5, 8), generator=generator)  # of the picture's channels
    flat, unit = features.flatten(0, 1), torch.nn.functional.normalize(weights.T, dim=1)

    def answers() -> list[Tensor]:
        leaf = channels.clone().requires_grad_()
        loss, accuracy = cosine_softmax.cross_entropy(leaf[..., 3:], weights, labels, 10.0)
        (gradient,) = torch.autograd.grad(loss, leaf)
        own = cosine_softmax.own_log_probability(flat, labels.flatten().clamp_min(1), weights, 10.0)
        alone = cosine_softmax.nearest(flat, unit, 10.0)
        return [loss, accuracy, gradient, own, *alone, *cosine_softmax.nearest(flat, unit, 10.0, torch.arange(7) // 2)]

    if torch.cuda.is_available():
        pytest.skip("Triton compiles for the GPU, and these tensors are on the CPU")
    by_cpu = answers()
    monkeypatch.setattr(cosine_softmax, "_kernels_for", lambda features: triton)
    torch.testing.assert_close(answers(), by_cpu, atol=1e-5, rtol=1e-4)
