"""Pretended tensors are to be trusted: they compute what the CPU does, and refuse what CUDA refuses."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from common.pretended_cuda import CUDA, PretendedTensor, Transfers
from torch.nn import functional as F

from proto_saga_ns.kernels.device import scene_device
from proto_saga_ns.rasterize import rasterization
from tests.rasterize.scenes import random_scene

GEOMETRY = ("means", "quats", "scales", "opacities", "colors")


def test_what_is_made_for_the_gpu_or_moved_there_is_there(gpu: Transfers) -> None:
    module = torch.nn.Linear(2, 3).to("cuda")
    made = (
        *(torch.zeros(2, device="cuda"), torch.tensor([1, 2], device=CUDA), torch.ones(2).cuda(), module.weight),
        *(torch.ones(2).to(module.weight), torch.zeros_like(module.weight), copy.deepcopy(module).weight),
        *(module.weight.new_tensor([1.0]), torch.arange(3, device="cuda").float(), module(torch.ones(2).cuda())),
    )
    for tensor in made:
        assert tensor.is_cuda and not tensor.is_cpu and tensor.device == CUDA and type(tensor) is PretendedTensor
    assert isinstance(module.weight, torch.nn.Parameter) and module.weight.cpu().device.type == "cpu"
    assert scene_device(may_fall_back=False).type == "cuda"


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.where(here > 0, here, there),
        lambda here, there: there.index_put_((torch.tensor([0]),), here[:1]),
        lambda here, there: here[there.long() * 0],
        lambda here, there: F.mse_loss(here, there),
    ],
)
def test_tensors_of_two_devices_do_not_mix(gpu: Transfers, mix) -> None:
    with pytest.raises(RuntimeError, match="at least two devices"):
        mix(torch.ones(3), torch.ones(3, device="cuda"))


def test_a_number_of_the_cpu_mixes_and_its_places_index(gpu: Transfers) -> None:
    there = torch.arange(3.0, device="cuda")
    assert ((there * torch.tensor(2.0))[torch.tensor([2])]).tolist() == [4]
    assert there[[0, 2]].tolist() == [0, 2] and there[np.array([1])].tolist() == [1]


def test_data_of_a_parameter_may_be_replaced_by_others(gpu: Transfers) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 3, device="cuda"))
    parameter.data = parameter.data.new_ones(4, 3)
    assert parameter.shape == (4, 3) and parameter.sum() == 12
    with pytest.raises(RuntimeError, match="different devices"):
        parameter.data = torch.zeros(2)


@pytest.mark.parametrize("show", [lambda t: t.numpy(), np.asarray, lambda t: t.data_ptr(), lambda t: t.pin_memory()])
def test_memory_of_the_gpu_is_not_shown(gpu: Transfers, show) -> None:
    with pytest.raises(TypeError, match="cuda:0"):
        show(torch.ones(3, device="cuda"))


@pytest.mark.parametrize(
    ("ask", "waits"),
    [
        (lambda t: t.cpu(), 1),
        (lambda t: t.sum().item(), 1),
        (lambda t: bool(t.any()), 1),
        (lambda t: int(t[0]), 1),
        (lambda t: t.tolist(), 1),
        (lambda t: t.nonzero(), 1),
        (lambda t: t[t > 0], 1),
        (lambda t: t.unique(), 1),
        (lambda t: f"{t.sum():.1f}", 1),
        (lambda t: torch.zeros(3).copy_(t), 1),
        (lambda t: (t * 2 + t.mean(), t[1:], t.shape, t.to("cuda"), t.double()), 0),
    ],
)
def test_what_waits_for_the_gpu_is_counted(gpu: Transfers, ask, waits: int) -> None:
    there = torch.ones(3, device="cuda")
    gpu.counts.clear()
    ask(there)
    assert gpu.count("from the GPU") == waits, str(gpu)


def test_copies_to_the_gpu_are_counted(gpu: Transfers) -> None:
    torch.ones(3).to("cuda").copy_(torch.ones(3))
    assert gpu.count("to the GPU") == 2
    torch.ones(3, device="cuda")
    assert gpu.count("to the GPU") == 2, "made there"


def test_gradients_are_those_of_the_cpu(gpu: Transfers) -> None:
    values = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    gradients = []
    for device in ("cpu", "cuda"):
        leaf = torch.nn.Parameter(values.clone().to(device))
        optimizer = torch.optim.Adam([leaf], lr=0.1)
        F.cross_entropy(F.normalize(leaf, dim=1) @ leaf.T, torch.arange(4, device=device)).backward()
        optimizer.step()
        gradients.append((leaf.grad.cpu(), leaf.detach().cpu()))
    for here, there in zip(*gradients, strict=True):
        assert torch.equal(here, there)


def test_what_is_saved_is_loaded_where_there_is_no_gpu(gpu: Transfers) -> None:
    file = io.BytesIO()
    torch.save({"a": torch.ones(2, device="cuda"), "b": torch.nn.Parameter(torch.ones(2, device="cuda"))}, file)
    file.seek(0)
    assert {value.device.type for value in torch.load(file, weights_only=True).values()} == {"cpu"}


@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("channels", [3, 40])
def test_gsplats_code_draws_what_the_cpus_kernels_draw(gpu: Transfers, mode: str, channels: int) -> None:
    found = []
    for device in ("cpu", "cuda"):
        scene = {name: tensor.to(device) for name, tensor in random_scene(channels=channels, views=2).items()}
        leaves = [scene[name].requires_grad_() for name in (*GEOMETRY, "viewmats")]
        image, alpha, info = rasterization(
            **scene, width=37, height=29, packed=False, rasterize_mode=mode, render_mode="RGB+ED", absgrad=True
        )
        info["means2d"].retain_grad()
        (image.square().sum() + alpha.sum()).backward()
        wanted = [info["means2d"].absgrad] if channels == 3 else []  # that of gsplat is of its last 32 channels
        found.append([tensor.detach().cpu() for tensor in (image, alpha, *(leaf.grad for leaf in leaves), *wanted)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)
