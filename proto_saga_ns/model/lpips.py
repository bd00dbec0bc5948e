"""LPIPS that is built when it is first asked for, and left out where its weights cannot be had."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from pickle import UnpicklingError

import torch
from jaxtyping import Float
from nerfstudio.utils.rich_utils import CONSOLE
from torch import Tensor, nn


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
