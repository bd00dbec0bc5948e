"""The order of Gaussians in files that say them by their neighbours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

BITS = 21
"""Of each coordinate; three of them fit into 64."""
_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
"""Steps that put two zeros between the bits of a number."""


def morton_order(points: Float[np.ndarray, "N 3"]) -> Int64[np.ndarray, " N"]:
    """Indices of points along Morton's curve, on which neighbours are mostly near to each other in space too."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = (2**BITS - 1) / np.maximum((high - low).astype(np.float64), np.finfo(np.float32).tiny)
    cells = ((points - low) * scale).clip(0, 2**BITS - 1).astype(np.uint64)
    code = sum(_spread(cells[:, axis]) << np.uint64(axis) for axis in range(3))
    return np.argsort(code, kind="stable")


def _spread(numbers: np.ndarray) -> np.ndarray:
    for shift, mask in _SPREAD:
        numbers = (numbers | (numbers << np.uint64(shift))) & np.uint64(mask)
    return numbers
