"""Colours of instances: a function of the id alone, the same in viewer, video, PNG and PLY.

Label 0 is black. Ids 1 to 7 have Okabe and Ito's colours, ids up to 64 were chosen far from all
before them for normal, deuteranope and protanope sight (scripts/make_palette.py); beyond that the hues come
again, lighter or darker.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

PALETTE: UInt8[np.ndarray, "64 3"] = np.frombuffer(
    bytes.fromhex(
        "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 0000fa "
        "8cfaa0 822814 3c6efa 6e325a e6e6e6 283caa fa005a 5a96fa "
        "e6aa5a 0032d2 78d2a0 781e78 a0dcfa 286e3c aa3c00 e6f078 "
        "965a78 006ed2 e6aac8 d26e3c c8b478 96508c 783246 96fabe "
        "aa28a0 3c96dc c8d246 0050d2 e66e78 be1432 3c3cfa c896a0 "
        "aa82be e68c32 a06e5a fac882 5082fa 78148c 3c50f0 d296c8 "
        "d2965a a0dce6 fa96fa c8c8be c8fa00 dc0096 b40a3c faa096 "
        "78326e 0082d2 96280a fa5a8c 8200b4 aa3c5a c8501e 2864dc "
    ),
    np.uint8,
).reshape(-1, 3)
"""Colours of the ids 1 to 64; read-only."""

GOLDEN = 0.6180339887498949
MAX_MIX = 0.6
"""How far a repeated hue is moved towards white or black at most."""


def instance_colors(ids: Int[np.ndarray, " N"]) -> UInt8[np.ndarray, "N 3"]:
    """Colours of instance ids.

    Raises:
        ValueError: a negative id.
    """
    ids = np.asarray(ids, np.int64)
    if ids.size and ids.min() < 0:
        raise ValueError(f"instance ids are never negative, got {ids.min()}")
    cycle, index = np.divmod(np.maximum(ids - 1, 0), len(PALETTE))
    # Multiples of the golden ratio fill the interval evenly, however many cycles there are; cycle 0 gets 0.
    mix = MAX_MIX * ((2 * GOLDEN * cycle + 1) % 2 - 1)[:, None]
    target = np.where(mix > 0, 255.0, 0.0)
    colors = (1 - np.abs(mix)) * PALETTE[index] + np.abs(mix) * target
    return np.where(ids[:, None] == 0, 0, np.rint(colors)).astype(np.uint8)


def color_table(labels: Int[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "M 3"]:
    """Colours of the ids 0 to the largest in ``labels``: row ``i`` belongs to id ``i``."""
    return instance_colors(np.arange(int(labels.max(initial=0)) + 1))


def colorize(labels: Int[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture of a label map.

    Raises:
        ValueError: a negative label.
    """
    if labels.size and labels.min() < 0:
        raise ValueError(f"labels are never negative, got {labels.min()}")
    return color_table(labels)[labels]


def overlay(
    rgb: UInt8[np.ndarray, "H W 3"], labels: Int[np.ndarray, "H W"], opacity: float = 0.6
) -> UInt8[np.ndarray, "H W 3"]:
    """Lay the colours of instances over a photo; unlabelled pixels stay as they are.

    Args:
        rgb: the photo.
        labels: label map of its size.
        opacity: of the colours, in [0, 1].
    """
    mixed: Float[np.ndarray, "H W 3"] = (1 - opacity) * rgb + opacity * colorize(labels)
    return np.where(labels[..., None] > 0, np.rint(mixed).astype(np.uint8), rgb)
