"""PSNR, SSIM and LPIPS of rendered views, by the functions and settings of splatfacto: ns-eval says the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from numpy.typing import ArrayLike
from torch import Tensor, nn

FIGURES = ("PSNR", "SSIM", "LPIPS")


def psnr(image: Float[ArrayLike, "*shape"], reference: Float[ArrayLike, "*shape"]) -> float:
    """Peak signal-to-noise ratio in dB of images with values in [0, 1]; infinite for equal ones.

    Raises:
        ValueError: shapes differ.
    """
    first, second = np.asarray(image, np.float64), np.asarray(reference, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"images have the shapes {first.shape} and {second.shape}")
    error = float(np.mean((first - second) ** 2))
    return -10 * math.log10(error) if error > 0 else math.inf


class ImageQuality:
    """Means over views, which are taken one at a time. Says at once if LPIPS has no weights."""

    def __init__(self) -> None:
        from pytorch_msssim import SSIM

        self._ssim = SSIM(data_range=1.0, size_average=True, channel=3)
        self._has_lpips = has_lpips()
        self._of_views: list[tuple[float, float, float]] = []

    @torch.no_grad()
    def add(self, rendered: Float[Tensor, "H W 3"], photo: Float[Tensor, "H W 3"]) -> None:
        """Take one view: images with values in [0, 1].

        Raises:
            ValueError: shapes differ.
        """
        own = psnr(rendered.cpu(), photo.cpu())
        pair = [image.to(rendered).permute(2, 0, 1)[None].contiguous() for image in (photo, rendered)]
        self._of_views.append((own, float(self._ssim(*pair)), lpips_or_nan(*pair)))

    def figures(self) -> dict[str, float]:
        """PSNR in dB, SSIM and LPIPS; no LPIPS where its weights could not be loaded.

        Raises:
            ValueError: there was no view.
        """
        if not self._of_views:
            raise ValueError("there is no view")
        names = FIGURES if self._has_lpips else FIGURES[:2]
        return dict(zip(names, np.mean(self._of_views, axis=0).tolist(), strict=False))


@contextmanager
def without_lpips() -> Iterator[None]:
    """While active, nerfstudio's models get an empty module in place of LPIPS.

    Splatfacto builds LPIPS with the model, which downloads AlexNet: every command would fail offline.
    """
    from torchmetrics.image import lpip

    original = lpip.LearnedPerceptualImagePatchSimilarity
    lpip.LearnedPerceptualImagePatchSimilarity = lambda *_args, **_kwargs: nn.Identity()  # type: ignore
    try:
        yield
    finally:
        lpip.LearnedPerceptualImagePatchSimilarity = original


@cache
def _metric() -> nn.Module | None:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    try:
        _fetch_weights()  # before the network is built, which takes a second
        return LearnedPerceptualImagePatchSimilarity(normalize=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:  # no network, or a damaged file
        CONSOLE.print(
            f"LPIPS is left out of the metrics: its AlexNet weights could not be loaded ({error}). Put "
            f"{_weights_url()} at {weights_file()}.",
            style="yellow",
            markup=False,
        )
        return None


def weights_file() -> Path:
    """Where AlexNet's weights are looked for, and downloaded to."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(_weights_url()).name)


def _weights_url() -> str:
    from torchvision.models import AlexNet_Weights

    return AlexNet_Weights.IMAGENET1K_V1.url


def _fetch_weights() -> None:
    file = weights_file()
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        # The end of its name is how torchvision's files say what their hash begins with.
        torch.hub.download_url_to_file(_weights_url(), str(file), file.stem.rpartition("-")[2])


def has_lpips() -> bool:
    """Whether LPIPS can be measured; the first call loads its weights, and says so where it cannot."""
    return _metric() is not None


@torch.no_grad()
def lpips_or_nan(target: Float[Tensor, "1 3 H W"], prediction: Float[Tensor, "1 3 H W"]) -> float:
    """LPIPS (AlexNet) of two images in [0, 1]; NaN where the weights are missing, which the console says once."""
    metric = _metric()
    if metric is None:
        return math.nan
    return float(metric.to(target.device)(target, prediction))
