"""Quaternions by their three smallest components, as compressed files keep them.

The largest component of a unit quaternion follows from the others, and its sign is free, since q and -q turn alike. The
others lie within 1/sqrt(2), so that few bits say them well.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

BOUND = math.sqrt(0.5)
"""None of the three smallest components of a unit quaternion is larger."""
_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def smallest_three(quats: Float[np.ndarray, "N 4"]) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, "N 3"]]:
    """Which component of unit quaternions is the largest, and the others in their order, for a positive largest."""
    largest = np.abs(quats).argmax(axis=1)
    sign = np.where(np.take_along_axis(quats, largest[:, None], axis=1) < 0, -1, 1)
    return largest, sign * np.take_along_axis(quats, _OTHERS[largest], axis=1)


def from_smallest_three(largest: Int[np.ndarray, " N"], others: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 4"]:
    """What ``smallest_three`` took apart; of others that are too long, the largest is zero."""
    quats = np.empty((len(others), 4), others.dtype)
    np.put_along_axis(quats, _OTHERS[largest], others, axis=1)
    rest = np.sqrt(np.maximum(1 - (others**2).sum(axis=1), 0))
    np.put_along_axis(quats, largest[:, None], rest[:, None], axis=1)
    return quats
