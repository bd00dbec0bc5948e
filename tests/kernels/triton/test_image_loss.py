"""L1 and SSIM by Triton, against the package that splatfacto takes SSIM from, in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from proto_saga_ns.plugin.model import image_loss as of_model
from proto_saga_ns.plugin.model.image_loss import image_loss_by_pytorch

pytest.importorskip("triton")

from proto_saga_ns.kernels.triton import image_loss as kernel
from proto_saga_ns.kernels.triton.image_loss import WINDOW, image_loss

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True, scope="module")
def high_tiles() -> Iterator[None]:
    """The interpreter takes as long for small tiles as for large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "ALONG", {"TALL": 16, "WIDE": 64})
        yield


def pictures(height: int, width: int, channels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    photo = torch.rand(height, width, channels, generator=torch.Generator().manual_seed(seed))
    noise = torch.randn(photo.shape, generator=torch.Generator().manual_seed(seed + 1))
    return (photo + 0.1 * noise).clamp(0, 1).to(DEVICE), photo.to(DEVICE)


def loss_and_gradient(function, rendered: Tensor, photo: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    leaf = rendered.clone().requires_grad_()
    loss = function(leaf, photo, weight)
    return loss.detach(), torch.autograd.grad(3 * loss, leaf)[0]


@given(
    seed=st.integers(0, 1000),
    height=st.integers(WINDOW, 40),
    width=st.integers(WINDOW, 40),
    channels=st.sampled_from([1, 3, 4]),
    weight=st.sampled_from([0.0, 0.2, 1.0]),
)
@settings(max_examples=8)
def test_loss_and_gradient_agree_with_torch(seed: int, height: int, width: int, channels: int, weight: float) -> None:
    rendered, photo = pictures(height, width, channels, seed)
    ours = loss_and_gradient(image_loss, rendered, photo, weight)
    theirs = loss_and_gradient(image_loss_by_pytorch, rendered.double(), photo.double(), weight)
    torch.testing.assert_close(ours[0].double(), theirs[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours[1].double(), theirs[1], atol=1e-5 * float(theirs[1].abs().max()), rtol=1e-4)


def test_flat_pictures_have_no_variance_and_no_trouble() -> None:
    for level, other in ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.5, 0.501)):
        rendered, photo = torch.full((13, 15, 3), level, device=DEVICE), torch.full((13, 15, 3), other, device=DEVICE)
        ours = loss_and_gradient(image_loss, rendered, photo, 0.2)
        theirs = loss_and_gradient(image_loss_by_pytorch, rendered.double(), photo.double(), 0.2)
        torch.testing.assert_close(ours[0].double(), theirs[0], atol=1e-4, rtol=1e-3)
        assert ours[1].isfinite().all()


def test_equal_pictures_cost_nothing() -> None:
    _, photo = pictures(20, 30)
    loss, gradient = loss_and_gradient(image_loss, photo, photo, 0.2)
    assert abs(float(loss)) < 1e-6 and gradient.abs().max() < 1e-6


def test_pictures_may_lie_apart_in_memory_and_the_same_input_gives_the_same_bits() -> None:
    rendered, photo = pictures(20, 30, channels=5)
    apart = loss_and_gradient(image_loss, rendered[..., 1:4], photo[..., 1:4], 0.2)
    together = loss_and_gradient(image_loss, rendered[..., 1:4].contiguous(), photo[..., 1:4].contiguous(), 0.2)
    assert all(torch.equal(one, other) for one, other in zip(apart, together, strict=True))


@pytest.mark.filterwarnings("ignore:Skipping Gaussian Smoothing")
@pytest.mark.parametrize("height", [12, 7])
def test_the_model_takes_it_for_pictures_that_a_window_fits_into(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, photo = pictures(height, 15)
    calls = []
    monkeypatch.setattr(kernel, "image_loss", lambda *given: calls.append(given) or image_loss(*given))
    monkeypatch.setattr(of_model, "runs_on", lambda device, cost: True)
    torch.testing.assert_close(of_model.image_loss(rendered, photo, 0.2), image_loss_by_pytorch(rendered, photo, 0.2))
    assert len(calls) == (height >= WINDOW)


FITS = (20, 20, 3)


@pytest.mark.parametrize(
    ("shape", "other", "dtype"),
    [(FITS, (20, 21, 3), torch.float32), ((10, 20, 3), (10, 20, 3), torch.float32), (FITS, FITS, torch.float64)],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], other: tuple[int, ...], dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match="expected"):
        image_loss(torch.rand(shape, dtype=dtype, device=DEVICE), torch.rand(other, device=DEVICE), 0.2)
