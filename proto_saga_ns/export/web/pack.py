"""Gaussians in 19 bytes each, as the page unpacks them (``unpack.js``).

Neighbours along a Z-order curve make a chunk. Positions and log scales are fractions of their chunk's bounds, an
orientation is the three smaller components of its quaternion. All numbers are little-endian, one array after another:

| array | of each Gaussian | error at most |
|---|---|---|
| bounds | (of each chunk) 12 float32: low and high corner of the centres, low and high log scales | |
| rotation | uint32: place of the largest component, then three of 10 bits | 0.005 rad |
| position | 3 uint16 | 1/131070 of the chunk's edge |
| row | uint16: of the table that says what the Gaussian is part of | 0 |
| scale | 3 uint8 | 1/510 of the chunk's range of log scales |
| color | 3 uint8 | 1/510 |
| opacity | uint8 | 1/510 |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64, UInt8, UInt16, UInt32

CHUNK = 256
"""Gaussians that share bounds."""
BYTES_EACH = 19
LOG_SCALES = (-16.0, 15.0)
"""What lies beyond is nothing, or everything, on any screen."""
MAX_ROWS = 1 << 16
_CURVE_BITS = 16
_ROTATION_BITS = 10


@dataclass(frozen=True)
class PageGaussians:
    """N Gaussians of a page, finite.

    Attributes:
        means: centres.
        quats: orientations w, x, y, z, of unit length.
        log_scales: logarithms of the standard deviations along their own axes.
        opacities: in [0, 1].
        colors: RGB; beyond [0, 1] they are cut.
        rows: of the page's table.
    """

    means: Float[np.ndarray, "N 3"]
    quats: Float[np.ndarray, "N 4"]
    log_scales: Float[np.ndarray, "N 3"]
    opacities: Float[np.ndarray, " N"]
    colors: Float[np.ndarray, "N 3"]
    rows: Int64[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.means)

    def select(self, chosen: Int64[np.ndarray, " _n"]) -> PageGaussians:
        """Those of some indices, in that order."""
        columns = (self.means, self.quats, self.log_scales, self.opacities, self.colors, self.rows)
        return PageGaussians(*(column[chosen] for column in columns))


def pack(gaussians: PageGaussians) -> bytes:
    """The arrays of the table above, of the Gaussians in the order of ``curve_order``.

    Raises:
        ValueError: a row has no place in 16 bits.
    """
    if len(gaussians) and not 0 <= gaussians.rows.min() <= gaussians.rows.max() < MAX_ROWS:
        raise ValueError(f"rows from {gaussians.rows.min()} to {gaussians.rows.max()}, expected 0 to {MAX_ROWS - 1}")
    own = gaussians.select(curve_order(gaussians.means))
    means, means_bounds = _fractions(own.means.astype(np.float32), 65535)
    scales, scales_bounds = _fractions(own.log_scales.clip(*LOG_SCALES).astype(np.float32), 255)
    arrays = (
        np.concatenate([means_bounds, scales_bounds], axis=1).astype("<f4"),
        packed_rotations(own.quats).astype("<u4"),
        means.astype("<u2"),
        own.rows.astype("<u2"),
        scales.astype(np.uint8),
        _bytes_of(own.colors),
        _bytes_of(own.opacities),
    )
    return b"".join(array.tobytes() for array in arrays)


def curve_order(means: Float[np.ndarray, "N 3"]) -> Int64[np.ndarray, " N"]:
    """Gaussians along a Z-order curve, of ranks, not coordinates: by these a stray one would leave the rest a cell."""
    keys = np.zeros(len(means), np.uint64)
    for axis in range(3):
        ranks = np.empty(len(means), np.uint64)
        ranks[means[:, axis].argsort(kind="stable")] = np.arange(len(means), dtype=np.uint64)
        cells = (ranks << np.uint64(_CURVE_BITS)) // np.uint64(max(len(means), 1))
        for bit in range(_CURVE_BITS):
            keys |= (cells >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return keys.argsort(kind="stable")


def _fractions(
    values: Float[np.ndarray, "N 3"], steps: int
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "C 6"]]:
    """Whole steps between the bounds of each value's chunk, and these bounds: low, then high."""
    if len(values) == 0:
        return values, np.zeros((0, 6), np.float32)
    starts = np.arange(0, len(values), CHUNK)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    chunk = np.arange(len(values)) // CHUNK
    extent = (high.astype(np.float64) - low)[chunk]
    share = np.divide(values - low[chunk].astype(np.float64), extent, out=np.zeros_like(extent), where=extent > 0)
    return np.rint(share * steps), np.concatenate([low, high], axis=1)


def packed_rotations(quats: Float[np.ndarray, "N 4"]) -> UInt32[np.ndarray, " N"]:
    """Bits 30 and 31: which of w, x, y, z is largest and left out; below it the others in their order, 10 bits each."""
    largest = np.abs(quats).argmax(axis=1)
    rows = np.arange(len(quats))
    # q and -q turn alike: the component that is left out is made positive.
    turned = quats * np.where(quats[rows, largest] < 0, -1.0, 1.0)[:, None]
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[largest]
    share = np.take_along_axis(turned, others, axis=1) * np.sqrt(0.5) + 0.5
    steps = np.rint(share.clip(0, 1) * ((1 << _ROTATION_BITS) - 1)).astype(np.uint32)
    packed = largest.astype(np.uint32) << np.uint32(30)
    for place in range(3):
        packed |= steps[:, place] << np.uint32(20 - 10 * place)
    return packed


def _bytes_of(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)


def table_rows(
    ids: Int64[np.ndarray, " N"], seen: np.ndarray
) -> tuple[Int64[np.ndarray, " N"], Int64[np.ndarray, " R"], UInt16[np.ndarray, " R"]]:
    """Each different pair of an id and whether it is seen is a row: the row of each Gaussian, ids and seen of rows."""
    keys, rows = np.unique(2 * ids + seen, return_inverse=True)
    return rows.reshape(-1).astype(np.int64), keys // 2, (keys % 2).astype(np.uint16)
