"""The nearest prototype of every pixel on the CPU, in one pass that keeps no matrix of pixels x prototypes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from proto_saga_ns.rasterize.kernels import library, threads


def nearest(
    features: Float[Tensor, "P D"], unit_prototypes: Float[Tensor, "T D"], tau: float
) -> tuple[Int32[Tensor, " P"], Float[Tensor, " P"]]:
    """Row of the prototype with the highest cosine, and its softmax probability at ``tau``.

    Args:
        features: float32 on the CPU, of any length.
        unit_prototypes: of unit length, at least one.
        tau: temperature.

    Returns:
        Rows (-1 for a feature that is zero or not finite) and probabilities (0 there). Among equal cosines the first
        row wins.
    """
    features, unit_prototypes = features.contiguous(), unit_prototypes.contiguous()
    rows = torch.empty(len(features), dtype=torch.int32)
    confidences = torch.empty(len(features))
    library().splat_nearest(
        *(len(features), features.shape[1], len(unit_prototypes)),
        *(features.data_ptr(), unit_prototypes.data_ptr(), tau),
        *(rows.data_ptr(), confidences.data_ptr(), threads()),
    )
    return rows, confidences
