"""LPIPS that is built when it is first asked for, and left out where its weights cannot be had."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

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
        return LearnedPerceptualImagePatchSimilarity(normalize=True)
    except OSError as error:
        CONSOLE.print(
            f"[yellow]LPIPS is left out of the metrics: its AlexNet weights are neither in "
            f"{torch.hub.get_dir()}/checkpoints nor could they be downloaded ({error})."
        )
        return None


@torch.no_grad()
def lpips_or_nan(target: Float[Tensor, "1 3 H W"], prediction: Float[Tensor, "1 3 H W"]) -> float:
    """LPIPS (AlexNet) of two images in [0, 1]; NaN where the weights are missing, which the console says once."""
    metric = _metric()
    if metric is None:
        return math.nan
    return float(metric.to(target.device)(target, prediction))
