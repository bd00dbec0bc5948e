"""Contributions as whole numbers: they have the same sum in any order of views, of labels or of threads.

Nothing that is derived from such sums can depend on these orders.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from proto_saga_ns.rasterize.contributions import Contributions

UNITS_PER_PIXEL = 1 << 20


def in_units(
    found: Contributions,
) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """Gaussians, labels and weights in 2^-20 pixels, above 0; weights under half a unit are nothing."""
    units = np.rint(found.weights.double().cpu().numpy() * UNITS_PER_PIXEL).astype(np.int64)
    kept = units > 0
    gaussians, labels = (column.cpu().numpy()[kept] for column in (found.gaussians, found.labels))
    return gaussians, labels, units[kept]
