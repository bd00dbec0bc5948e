"""PSNR, SSIM and LPIPS of rendered views, by the functions and settings of splatfacto: ns-eval says the same."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.evaluation import psnr
from proto_saga_ns.model.lpips import has_lpips, lpips_or_nan

FIGURES = ("PSNR", "SSIM", "LPIPS")


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
