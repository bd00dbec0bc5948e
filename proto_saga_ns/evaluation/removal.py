"""What is left of an object, and what is broken, where it was taken out: renderings against images without the object.

As papers on removal and inpainting measure it on SPIn-NeRF's scenes, where everything was photographed once more
without the object: by PSNR and SSIM inside the object's region (there its bounding box, here its mask, grown a little)
and, since a removal may harm its surroundings, outside. Nothing is painted into the holes, so these are counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter, maximum_filter

from proto_saga_ns.evaluation.lerf_mask import BORDER_SHARE

OPAQUE = 0.5
"""A pixel shows something from this opacity on, as in label maps."""
_SIGMA, _RADIUS = 1.5, 5
_K1, _K2 = 0.01, 0.03
_LEAST_ERROR = 1e-10
"""PSNR ends at 100 dB: equal pixels would make the mean infinite."""


def grown(mask: Bool[np.ndarray, "H W"], share: float = BORDER_SHARE) -> Bool[np.ndarray, "H W"]:
    """A mask with all pixels that are near it: shadows, and borders that are not exact.

    Args:
        share: of the image's diagonal, in whole pixels, at least one, counted as the larger of both axes.
    """
    width = max(1, round(share * float(np.hypot(mask.shape[0], mask.shape[1]))))
    return np.asarray(maximum_filter(mask, size=2 * width + 1))


def ssim_map(first: Float[np.ndarray, "H W C"], second: Float[np.ndarray, "H W C"]) -> Float[np.ndarray, "H W"]:
    """SSIM around each pixel (Wang et al. 2004: Gaussian window of 11 pixels), mean over channels of values in [0, 1].

    Images are mirrored at their borders. Away from these it is the map whose mean splatfacto's SSIM is.
    """

    def blurred(image: Float[np.ndarray, "H W C"]) -> Float[np.ndarray, "H W C"]:
        return gaussian_filter(image, (_SIGMA, _SIGMA, 0), truncate=_RADIUS / _SIGMA)

    a, b = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    covariance = blurred(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + _K1**2) / (mean_a**2 + mean_b**2 + _K1**2)
    structure = (2 * covariance + _K2**2) / (var_a + var_b + _K2**2)
    return (light * structure).mean(axis=-1)


@dataclass(frozen=True)
class Removal:
    """One view before and after.

    Attributes:
        before, after: renderings with and without the object, in [0, 1].
        alpha_before, alpha_after: their opacity.
    """

    before: Float[np.ndarray, "H W 3"]
    after: Float[np.ndarray, "H W 3"]
    alpha_before: Float[np.ndarray, "H W"]
    alpha_after: Float[np.ndarray, "H W"]


class RemovalProtocol:
    """Collects views; every figure is the mean over the views that have pixels for it.

    A view that does not show the object counts outside only.
    """

    def __init__(self) -> None:
        self._views: dict[str, dict[str, float]] = {}

    def add(
        self, view: str, truth: Float[np.ndarray, "H W 3"], removal: Removal, region: Bool[np.ndarray, "H W"]
    ) -> None:
        """Take one view.

        Args:
            view: its name.
            truth: image without the object, in [0, 1].
            removal: renderings.
            region: where the object is, or would be.

        Raises:
            ValueError: sizes differ.
        """
        if not truth.shape == removal.before.shape == removal.after.shape == (*region.shape, 3):
            raise ValueError(f"{view}: truth {truth.shape}, renderings {removal.after.shape}, region {region.shape}")
        found: dict[str, float] = {}
        similarity = ssim_map(truth, removal.after)
        for where, pixels in (("inside", region), ("outside", ~region)):
            if pixels.any():
                found[f"PSNR {where}"] = _psnr(truth[pixels], removal.after[pixels])
                found[f"SSIM {where}"] = float(similarity[pixels].mean())
                found[f"PSNR {where} before"] = _psnr(truth[pixels], removal.before[pixels])
        if region.any():
            holes = (removal.alpha_before >= OPAQUE) & (removal.alpha_after < OPAQUE)
            found["holes"] = 100 * float(holes[region].mean())
        self._views[view] = found

    def by_view(self) -> dict[str, dict[str, float]]:
        """The figures of each view, in the order in which they came."""
        return {view: dict(found) for view, found in self._views.items()}

    def figures(self) -> dict[str, float | int]:
        """PSNR in dB, SSIM, holes in percent of the region, the number of views and of those that show the object.

        Raises:
            ValueError: no view shows the object.
        """
        views = list(self._views.values())
        showing = sum("holes" in found for found in views)
        if not showing:
            raise ValueError("no view shows the object")
        names = [f"{kind} {where}" for where in ("inside", "outside") for kind in ("PSNR", "SSIM")]
        names += ["PSNR inside before", "PSNR outside before", "holes"]
        means = {name: [found[name] for found in views if name in found] for name in names}
        figures: dict[str, float | int] = {name: float(np.mean(values)) for name, values in means.items() if values}
        return {**figures, "test views": len(views), "test views with the object": showing}


def _psnr(truth: Float[np.ndarray, "P 3"], rendered: Float[np.ndarray, "P 3"]) -> float:
    error = float(np.mean((truth.astype(np.float64) - rendered) ** 2))
    return -10 * float(np.log10(max(error, _LEAST_ERROR)))
