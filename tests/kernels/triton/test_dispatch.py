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
    assert cosine_softmax._kernels_for(torch.ones(9, 16)) is on_cpu


def test_a_gpu_without_triton_has_pytorch(features: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine_softmax, "runs_on", lambda device, cost: False)
    assert cosine_softmax._kernels_for(features) is None


def test_all_doors_offer_the_same_functions() -> None:
    triton = pytest.importorskip("proto_saga_ns.kernels.triton.softmax")
    for name in triton.__all__:
        assert callable(getattr(on_cpu, name)) and callable(getattr(triton, name))
