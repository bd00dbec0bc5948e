"""How close a rendered image is to a photo."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


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
