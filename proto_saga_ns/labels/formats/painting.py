"""The simplest way to flatten overlapping masks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int32

from proto_saga_ns.labels.maps import compact_labels


def paint_by_score(masks: Bool[np.ndarray, "M H W"], scores: Float[np.ndarray, " M"]) -> Int32[np.ndarray, "H W"]:
    """Paint masks in ascending score, so that the best lies on top; of equals, the smallest. Labels 1..L."""
    areas = masks.sum((1, 2))
    labels = np.zeros(masks.shape[1:], np.int32)
    for index in np.lexsort((-areas, scores)):
        labels[masks[index]] = index + 1
    return compact_labels(labels)[0]
