"""Structural similarity on the CPU kernels against its definition, and against pytorch-msssim."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_msssim import ssim as msssim
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.library import ISA_VARIABLE, supported_instruction_sets
from proto_saga_ns.kernels.ssim import WINDOW, ssim


def slow_ssim(target: Tensor, image: Tensor) -> Tensor:
    """As the paper defines it, window by window, in any floating type."""
    offsets = torch.arange(WINDOW, dtype=target.dtype) - WINDOW // 2
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]
    x, y = (picture.permute(2, 0, 1)[:, None] for picture in (target, image))

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window)

    luminance = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()


def pictures(seed: int, height: int, width: int, channels: int, noise: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, channels, generator=generator)
    return target, (target + noise * torch.randn(target.shape, generator=generator)).clamp(0, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    *(st.integers(WINDOW, 40), st.integers(WINDOW, 40), st.integers(1, 4)),
    st.sampled_from([0.0, 0.02, 0.3]),
)
def test_value_and_gradient_are_those_of_the_definition(
    seed: int, height: int, width: int, channels: int, noise: float
) -> None:
    target, image = pictures(seed, height, width, channels, noise)
    leaf, precise = image.clone().requires_grad_(), image.double().requires_grad_()
    found, expected = ssim(target, leaf), slow_ssim(target.double(), precise)
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)
    (3 * found).backward()
    (3 * expected).backward()
    assert leaf.grad is not None and precise.grad is not None
    # Where pictures are alike, slopes of 1000 and more in the windows cancel out.
    tolerance = 2e-3 * float(precise.grad.abs().max()) + 1e-2 / image.numel()
    torch.testing.assert_close(leaf.grad, precise.grad.float(), atol=tolerance, rtol=0)


def test_it_is_what_pytorch_msssim_gives() -> None:
    target, image = pictures(0, 60, 80, 3, 0.1)
    expected = msssim(*(p.permute(2, 0, 1)[None] for p in (target, image)), data_range=1.0)
    torch.testing.assert_close(ssim(target, image), expected, atol=1e-6, rtol=0)


def test_equal_pictures_are_fully_similar() -> None:
    target, _ = pictures(1, 30, 20, 3, 0.0)
    leaf = target.clone().requires_grad_()
    found = ssim(target, leaf)
    found.backward()
    torch.testing.assert_close(found, torch.tensor(1.0))
    assert leaf.grad is not None and leaf.grad.abs().max() < 1e-4


@pytest.mark.parametrize("isa", supported_instruction_sets())
def test_the_same_bits_for_any_number_of_threads(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ISA_VARIABLE, isa)
    target, image = pictures(2, 57, 43, 3, 0.1)
    results, before = [], torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaf = image.clone().requires_grad_()
        value = ssim(target, leaf)
        value.backward()
        results.append((value.detach(), leaf.grad))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_pictures_may_be_laid_out_in_any_way() -> None:
    target, image = pictures(3, 30, 20, 3, 0.1)
    turned = image.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert torch.equal(ssim(target, turned), ssim(target, image))


@pytest.mark.parametrize(
    ("target", "image"),
    [
        (torch.zeros(30, 20, 3), torch.zeros(20, 30, 3)),
        (torch.zeros(30, 20, 3), torch.zeros(30, 20, 3).double()),
        (torch.zeros(10, 20, 3), torch.zeros(10, 20, 3)),
        (torch.zeros(30, 20), torch.zeros(30, 20)),
    ],
)
def test_pictures_that_do_not_fit_are_refused(target: Tensor, image: Tensor) -> None:
    with pytest.raises(ValueError, match="ssim"):
        ssim(target, image)
