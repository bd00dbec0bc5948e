"""The loss of a picture on the CPU kernels against its definition, and against what splatfacto computes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_msssim import ssim
from torch import Tensor
from torch.nn import functional as F

from proto_saga_ns.kernels.image_loss import WINDOW, image_loss
from proto_saga_ns.kernels.library import ISA_VARIABLE, supported_instruction_sets


def slow_ssim(rendered: Tensor, photo: Tensor) -> Tensor:
    """As Wang et al. define it, window by window, in any floating type."""
    offsets = torch.arange(WINDOW, dtype=photo.dtype) - WINDOW // 2
    line = torch.exp(-(offsets**2) / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]
    x, y = (picture.permute(2, 0, 1)[:, None] for picture in (photo, rendered))

    def mean(values: Tensor) -> Tensor:
        return F.conv2d(values, window)

    luminance = (2 * mean(x) * mean(y) + 0.01**2) / (mean(x) ** 2 + mean(y) ** 2 + 0.01**2)
    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    return (luminance * (2 * covariance + 0.03**2) / (variances + 0.03**2)).mean()


def slow_loss(rendered: Tensor, photo: Tensor, ssim_weight: float) -> Tensor:
    return (1 - ssim_weight) * (rendered - photo).abs().mean() + ssim_weight * (1 - slow_ssim(rendered, photo))


def pictures(seed: int, height: int, width: int, channels: int = 3, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    photo = torch.rand(height, width, channels, generator=generator)
    return (photo + noise * torch.randn(photo.shape, generator=generator)).clamp(0, 1), photo


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    *(st.integers(WINDOW, 40), st.integers(WINDOW, 40), st.integers(1, 4)),
    *(st.sampled_from([0.0, 0.02, 0.3]), st.sampled_from([0.0, 0.2, 1.0])),
)
def test_value_and_gradient_are_those_of_the_definition(
    seed: int, height: int, width: int, channels: int, noise: float, weight: float
) -> None:
    rendered, photo = pictures(seed, height, width, channels, noise)
    leaf, precise = rendered.clone().requires_grad_(), rendered.double().requires_grad_()
    found, expected = image_loss(leaf, photo, weight), slow_loss(precise, photo.double(), weight)
    torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=0)
    (gradient,), (precisely,) = (torch.autograd.grad(3 * loss, at) for loss, at in ((found, leaf), (expected, precise)))
    # Where pictures are alike, slopes of 1000 and more in the windows cancel out.
    tolerance = 2e-3 * float(precisely.abs().max()) + 1e-2 / rendered.numel()
    torch.testing.assert_close(gradient, precisely.float(), atol=tolerance, rtol=0)


def test_it_is_what_splatfacto_computes() -> None:
    rendered, photo = pictures(0, 60, 80)
    similarity = ssim(*(picture.permute(2, 0, 1)[None] for picture in (photo, rendered)), data_range=1.0)
    expected = 0.8 * (photo - rendered).abs().mean() + 0.2 * (1 - similarity)
    torch.testing.assert_close(image_loss(rendered, photo, 0.2), expected, atol=1e-6, rtol=0)


def test_equal_pictures_have_no_loss() -> None:
    _, photo = pictures(1, 30, 20)
    leaf = photo.clone().requires_grad_()
    loss = image_loss(leaf, photo, 0.2)
    assert abs(loss.item()) < 1e-6
    assert torch.autograd.grad(loss, leaf)[0].abs().max() < 1e-6


@pytest.mark.parametrize("isa", supported_instruction_sets())
def test_the_same_bits_for_any_number_of_threads(isa: str, fresh_library: pytest.MonkeyPatch) -> None:
    fresh_library.setenv(ISA_VARIABLE, isa)
    rendered, photo = pictures(2, 57, 43)
    results, before = [], torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaf = rendered.clone().requires_grad_()
        loss = image_loss(leaf, photo, 0.2)
        results.append((loss.detach(), torch.autograd.grad(loss, leaf)[0]))
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))


def test_pictures_may_lie_in_memory_in_any_way() -> None:
    rendered, photo = pictures(3, 30, 20)
    turned = rendered.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    assert torch.equal(image_loss(turned, photo, 0.2), image_loss(rendered, photo, 0.2))


@pytest.mark.parametrize(
    ("rendered", "photo"),
    [
        (torch.zeros(30, 20, 3), torch.zeros(20, 30, 3)),
        (torch.zeros(30, 20, 3), torch.zeros(30, 20, 3).double()),
        (torch.zeros(10, 20, 3), torch.zeros(10, 20, 3)),
        (torch.zeros(30, 20), torch.zeros(30, 20)),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_pictures_that_do_not_fit_are_refused(rendered: Tensor, photo: Tensor) -> None:
    with pytest.raises(ValueError, match="image_loss"):
        image_loss(rendered, photo, 0.2)
