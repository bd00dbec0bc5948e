"""The Gaussians of a tile over its pixels, nearest first: what every kernel over gsplat's tile lists begins with.

Conventions of these kernels:
    splats: means2d (N, 2) in pixels, conics (N, 3) as xx, xy, yy of the inverse covariance, opacities (N,) in [0, 1].
    lists: offsets (tiles + 1,) into entries (E,); the entries of a tile are Gaussians, nearest first.
    size: width and height of the view in pixels. A tile has 16 x 16 of them, those of the last ones may lie outside.
    place: of a pixel in its tile, in [0, 256): sixteen blocks of 4 x 4, row by row, and row by row in each, as the CPU
        kernels have it (csrc/tile.h).

What is drawn is what gsplat draws: alpha is capped at 0.999, nothing under 1/255 counts, and a pixel is full before the
Gaussian that would leave 1e-4 of the light or less. What is left only falls from one Gaussian to the next, so that a
comparison of each with 1e-4 stops where a loop over them would.

Newer versions of gsplat list the Gaussians that contribute to each pixel and their weights. That is not used here: it
is 8 bytes for each pixel and Gaussian, where these kernels keep the weights in registers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import blocks, check_tensors

TILE = 16
TILE_PIXELS = TILE * TILE
MAX_ALPHA = tl.constexpr(0.999)
MIN_ALPHA = tl.constexpr(1 / 255)
MIN_TRANSMITTANCE = tl.constexpr(1e-4)

Splats = tuple[Float32[Tensor, "N 2"], Float32[Tensor, "N 3"], Float32[Tensor, " N"]]
Lists = tuple[Int64[Tensor, " starts"], Int32[Tensor, " E"]]

SPLAT_TYPES = {"means2d": "*fp32", "conics": "*fp32", "opacities": "*fp32"}
LIST_TYPES = {"offsets": "*i64", "entries": "*i32"}
SIZE_TYPES = {"width": "i32", "height": "i32"}

SPLAT_BYTES = 24
"""Of a Gaussian's mean, conic and opacity."""
WEIGHT_OPERATIONS = 26
"""Of a pixel and an entry: 17 for alpha, an exponential, 4 steps of a running product of 16, 4 for the weight."""


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Tiles in a row, and rows of tiles."""
    return blocks(size[0], TILE), blocks(size[1], TILE)


def checked(kernel: str, splats: Splats, lists: Lists, size: tuple[int, int]) -> tuple[Splats, Lists]:
    """The same, contiguous.

    Raises:
        ValueError: a shape, type or device does not fit.
    """
    means2d, conics, opacities = splats
    offsets, entries = lists
    count, (columns, rows) = len(means2d), grid_of(size)
    check_tensors(
        kernel,
        means2d.device,
        means2d=(means2d, (count, 2), torch.float32),
        conics=(conics, (count, 3), torch.float32),
        opacities=(opacities, (count,), torch.float32),
        offsets=(offsets, (columns * rows + 1,), torch.int64),
        entries=(entries, (None,), torch.int32),
    )
    return (means2d.contiguous(), conics.contiguous(), opacities.contiguous()), (
        offsets.contiguous(),
        entries.contiguous(),
    )


@triton.jit
def pixels_of(tile, part, width, PIXELS: tl.constexpr):
    """Places, columns and rows of the pixels of the given part of a tile, (PIXELS,) each."""
    place = part * PIXELS + tl.arange(0, PIXELS)
    block = place // 16
    lane = place % 16
    across = tl.cdiv(width, 16)
    x = tile % across * 16 + block % 4 * 4 + lane % 4
    y = tile // across * 16 + block // 4 * 4 + lane // 4
    return place, x, y


@triton.jit
def entries_of(entries, at, end, ENTRIES: tl.constexpr):
    """Numbers of the next entries of a tile, which Gaussians they are, and whether they are there, (ENTRIES,) each."""
    index = at + tl.arange(0, ENTRIES)
    there = index < end
    return index, tl.load(entries + index, mask=there, other=0), there


@triton.jit
def weights_of(means2d, conics, opacities, ids, there, x, y, left):
    """With what weight each pixel sees each of some Gaussians, and what of its light is left behind them.

    Shapes: ids and there (B,); x, y and left (P,), what is left before them; weights (P, B), 0 where not drawn. Pixels
    with nothing left see nothing.
    """
    mean_x = tl.load(means2d + 2 * ids, mask=there, other=0.0)
    mean_y = tl.load(means2d + 2 * ids + 1, mask=there, other=0.0)
    xx = tl.load(conics + 3 * ids, mask=there, other=0.0)
    xy = tl.load(conics + 3 * ids + 1, mask=there, other=0.0)
    yy = tl.load(conics + 3 * ids + 2, mask=there, other=0.0)
    opacity = tl.load(opacities + ids, mask=there, other=0.0)
    dx = mean_x[None, :] - (x[:, None] + 0.5)
    dy = mean_y[None, :] - (y[:, None] + 0.5)
    distance = 0.5 * (xx[None, :] * dx * dx + yy[None, :] * dy * dy) + xy[None, :] * dx * dy
    alpha = tl.minimum(opacity[None, :] * tl.exp(-distance), MAX_ALPHA)
    alpha = tl.where((distance >= 0) & (alpha >= MIN_ALPHA), alpha, 0.0)
    after = left[:, None] * tl.cumprod(1 - alpha, axis=1)
    weights = tl.where(after > MIN_TRANSMITTANCE, alpha * after / (1 - alpha), 0.0)
    return weights, tl.min(after, axis=1)


@triton.jit
def is_open(left):
    """Whether any pixel can see more."""
    return tl.max(left) > MIN_TRANSMITTANCE
