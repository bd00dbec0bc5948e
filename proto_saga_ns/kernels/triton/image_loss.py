"""Splatfacto's loss of a picture on a GPU: (1 - w) mean |difference| + w (1 - SSIM), forward and backward.

A row of pixels is a row of W C numbers, and a pixel's neighbour is C numbers on: channels need no care of their own.
SSIM compares means under a Gaussian window, of the pictures x and y, of x^2 + y^2 and of x y (variances are needed as a
sum only). A window is a product of two, so that each mean is taken along rows first, and down columns then. Windows lie
inside the picture ("valid"): their map is ten pixels smaller both ways. The second pass compares, and keeps three
slopes: of SSIM by the mean of x, by that of x^2 + y^2 and by that of x y. The backward pass spreads them by the same
window.

Cost of a pixel with three channels, in float32; memory beside the pictures is 36 bytes until the backward pass, and 48
for a moment in each pass.

    along rows        72 bytes, 360 operations        down columns      84 bytes, 340 operations
    back up columns   72 bytes, 200 operations        back along rows   72 bytes, 230 operations

Bytes bound all four: 300 take 0.063 ns on an H200 (4.8 TB/s), 0.13 ms for the two million pixels of 1920x1080, and
0.30 ns on an RTX 4090 (1.0 TB/s), 0.62 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from proto_saga_ns.kernels.image_loss import WINDOW
from proto_saga_ns.kernels.triton.launch import Specialisation, blocks, check_tensors, launch

SIGMA = 1.5
"""Of its Gaussian, in pixels."""
ALONG = {"TALL": 2, "WIDE": 256}
"""Rows and columns of the numbers that a program makes where it goes along rows: 30 columns more are read than made."""
DOWN = {"TALL": 16, "WIDE": 32}
"""The same where it goes down columns: ten rows more are read than made."""
C1, C2 = tl.constexpr(0.01**2), tl.constexpr(0.03**2)
"""What keeps SSIM from dividing by zero, for pictures with values in [0, 1]."""


@triton.jit
def _tile(TALL: tl.constexpr, WIDE: tl.constexpr):
    """Rows (TALL, 1) and columns (1, WIDE) of a program's part of a map."""
    row = tl.program_id(0) * TALL + tl.arange(0, TALL)
    return row[:, None], (tl.program_id(1) * WIDE + tl.arange(0, WIDE))[None, :]


@triton.jit
def _store_sum(sums, values):
    """The sum of a program's values, to the place of the program."""
    place = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    tl.store(sums + place, tl.sum(tl.sum(values, axis=1), axis=0))


@triton.jit
def _blur_rows(
    x, y, window, means, differences, rows, length, step: tl.constexpr,
    WINDOW: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Means along rows, of x, y, x^2 + y^2 and x y; and the sum of |x - y|."""
    row, column = _tile(TALL, WIDE)
    place, inside = row * length + column, (row < rows) & (column < length)
    mean_x, mean_y = tl.zeros((TALL, WIDE), tl.float32), tl.zeros((TALL, WIDE), tl.float32)
    squares, products = tl.zeros((TALL, WIDE), tl.float32), tl.zeros((TALL, WIDE), tl.float32)
    for k in range(WINDOW):
        there = inside & (column + k * step < length)
        weight = tl.load(window + k)
        of_x = tl.load(x + place + k * step, mask=there, other=0.0)
        of_y = tl.load(y + place + k * step, mask=there, other=0.0)
        mean_x += weight * of_x
        mean_y += weight * of_y
        squares += weight * (of_x * of_x + of_y * of_y)
        products += weight * (of_x * of_y)
    difference = tl.load(x + place, mask=inside, other=0.0) - tl.load(y + place, mask=inside, other=0.0)
    _store_sum(differences, tl.abs(difference))
    shorter = length - (WINDOW - 1) * step
    to, size = means + row * shorter + column, rows.to(tl.int64) * shorter
    whole = inside & (column < shorter)
    tl.store(to, mean_x, mask=whole)
    tl.store(to + size, mean_y, mask=whole)
    tl.store(to + 2 * size, squares, mask=whole)
    tl.store(to + 3 * size, products, mask=whole)


@triton.jit
def _compare(
    means, window, slopes, similarities, rows, length,
    WINDOW: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """SSIM of all windows, as sums of parts, and its slopes; ``length`` is that of a row of means."""
    row, column = _tile(TALL, WIDE)
    fewer = rows - (WINDOW - 1)
    inside = (row < fewer) & (column < length)
    size = rows.to(tl.int64) * length
    x, y = tl.zeros((TALL, WIDE), tl.float32), tl.zeros((TALL, WIDE), tl.float32)
    squares, products = tl.zeros((TALL, WIDE), tl.float32), tl.zeros((TALL, WIDE), tl.float32)
    for k in range(WINDOW):
        weight, here = tl.load(window + k), means + (row + k) * length + column
        x += weight * tl.load(here, mask=inside, other=0.0)
        y += weight * tl.load(here + size, mask=inside, other=0.0)
        squares += weight * tl.load(here + 2 * size, mask=inside, other=0.0)
        products += weight * tl.load(here + 3 * size, mask=inside, other=0.0)
    # S = (A1 A2) / (B1 B2), means in the first factors and (co)variances in the second.
    a1, b1 = 2.0 * x * y + C1, x * x + y * y + C1
    a2, b2 = 2.0 * (products - x * y) + C2, squares - x * x - y * y + C2
    over = 1.0 / (b1 * b2)
    similarity = a1 * a2 * over
    to, fewer_numbers = slopes + row * length + column, fewer.to(tl.int64) * length
    by_mean = 2.0 * (y * (a2 - a1) * over + x * similarity * (1.0 / b2 - 1.0 / b1))
    tl.store(to, by_mean, mask=inside)
    tl.store(to + fewer_numbers, -similarity / b2, mask=inside)
    tl.store(to + 2 * fewer_numbers, 2.0 * a1 * over, mask=inside)
    _store_sum(similarities, tl.where(inside, similarity, 0.0))


@triton.jit
def _spread_columns(
    slopes, window, spread, rows, length,
    WINDOW: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Slopes to the rows of the pictures that their windows had; one of the three slopes a program."""
    row, column = _tile(TALL, WIDE)
    fewer = rows - (WINDOW - 1)
    slopes += tl.program_id(2).to(tl.int64) * fewer * length
    spread += tl.program_id(2).to(tl.int64) * rows * length
    total = tl.zeros((TALL, WIDE), tl.float32)
    for k in range(WINDOW):
        there = (row >= k) & (row - k < fewer) & (column < length)
        here = slopes + (row - k) * length + column
        total += tl.load(window + k) * tl.load(here, mask=there, other=0.0)
    tl.store(spread + row * length + column, total, mask=(row < rows) & (column < length))


@triton.jit
def _gradient(
    x, y, window, spread, upstream, gradient, rows, length, step: tl.constexpr, of_difference, of_similarity,
    WINDOW: tl.constexpr, TALL: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Of the loss by x: slopes to the pixels that their windows had, and the sign of the difference."""
    row, column = _tile(TALL, WIDE)
    place, inside = row * length + column, (row < rows) & (column < length)
    shorter = length - (WINDOW - 1) * step
    size = rows.to(tl.int64) * shorter
    by_mean, by_squares = tl.zeros((TALL, WIDE), tl.float32), tl.zeros((TALL, WIDE), tl.float32)
    by_products = tl.zeros((TALL, WIDE), tl.float32)
    for k in range(WINDOW):
        start = column - k * step
        there = inside & (start >= 0) & (start < shorter)
        weight, here = tl.load(window + k), spread + row * shorter + start
        by_mean += weight * tl.load(here, mask=there, other=0.0)
        by_squares += weight * tl.load(here + size, mask=there, other=0.0)
        by_products += weight * tl.load(here + 2 * size, mask=there, other=0.0)
    of_x, of_y = tl.load(x + place, mask=inside, other=0.0), tl.load(y + place, mask=inside, other=0.0)
    sign = (of_x > of_y).to(tl.float32) - (of_x < of_y).to(tl.float32)
    slope = of_difference * sign + of_similarity * (by_mean + 2.0 * of_x * by_squares + of_y * by_products)
    tl.store(gradient + place, tl.load(upstream) * slope, mask=inside)


@cache
def gaussian_window(device: torch.device) -> Float[Tensor, " 11"]:
    """Weights of a window, one way; their sum is one."""
    offset = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    weights = torch.exp(-(offset**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).to(device)


def _programs(rows: int, columns: int, tile: Mapping[str, int]) -> tuple[int, int]:
    """How many cover a map, both ways."""
    return blocks(rows, tile["TALL"]), blocks(columns, tile["WIDE"])


class ImageLoss(torch.autograd.Function):
    """(rendered, photo, ssim_weight) -> loss; only ``rendered`` gets a gradient.

    Shapes: (H, W, C) float32 with values in [0, 1], at least ``WINDOW`` pixels both ways.
    """

    @staticmethod
    def forward(ctx: Any, rendered: Tensor, photo: Tensor, ssim_weight: float) -> Tensor:  # type: ignore[override]
        shape = (None, None, None), torch.float32
        check_tensors("image_loss", rendered.device, rendered=(rendered, *shape))
        check_tensors("image_loss", rendered.device, photo=(photo, tuple(rendered.shape), torch.float32))
        if min(rendered.shape[:2]) < WINDOW or rendered.numel() >= 1 << 31:
            raise ValueError(
                f"image_loss: a picture {tuple(rendered.shape)}, expected {WINDOW} pixels both ways at the least"
            )
        x, y, window = rendered.contiguous(), photo.contiguous(), gaussian_window(rendered.device)
        rows, length, step = len(x), x.shape[1] * x.shape[2], x.shape[2]
        shorter = length - (WINDOW - 1) * step
        means, differences = x.new_empty(4, rows, shorter), x.new_empty(_programs(rows, length, ALONG))
        shape = rows, length, step
        launch(_blur_rows, differences.shape, x, y, window, means, differences, *shape, WINDOW=WINDOW, **ALONG)
        slopes = x.new_empty(3, rows - WINDOW + 1, shorter)
        similarities = x.new_empty(_programs(rows - WINDOW + 1, shorter, DOWN))
        given = means, window, slopes, similarities
        launch(_compare, similarities.shape, *given, rows, shorter, WINDOW=WINDOW, **DOWN)
        difference = differences.double().sum() / x.numel()
        similarity = similarities.double().sum() / slopes[0].numel()
        ctx.ssim_weight = ssim_weight
        ctx.save_for_backward(x, y, slopes)
        return ((1 - ssim_weight) * difference + ssim_weight * (1 - similarity)).float()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, y, slopes = ctx.saved_tensors
        window = gaussian_window(x.device)
        rows, length, step, shorter = len(x), x.shape[1] * x.shape[2], x.shape[2], slopes.shape[2]
        spread, gradient = x.new_empty(3, rows, shorter), torch.empty_like(x)
        programs = (*_programs(rows, shorter, DOWN), len(slopes))
        launch(_spread_columns, programs, slopes, window, spread, rows, shorter, WINDOW=WINDOW, **DOWN)
        factors = (1 - ctx.ssim_weight) / x.numel(), -ctx.ssim_weight / slopes[0].numel()
        given = x, y, window, spread, upstream.float(), gradient
        programs = _programs(rows, length, ALONG)
        launch(_gradient, programs, *given, rows, length, step, *factors, WINDOW=WINDOW, **ALONG)
        return gradient, None, None


def image_loss(
    rendered: Float[Tensor, "H W C"], photo: Float[Tensor, "H W C"], ssim_weight: float
) -> Float[Tensor, ""]:
    """(1 - w) mean |difference| + w (1 - SSIM) of pictures with values in [0, 1]; ``photo`` gets no gradient.

    Raises:
        ValueError: shapes, types or devices do not fit, or a picture is smaller than a window.
    """
    return ImageLoss.apply(rendered, photo, ssim_weight)  # type: ignore[return-value]


def _specialisations() -> tuple[Specialisation, ...]:
    pictures, sizes = {"x": "*fp32", "y": "*fp32", "window": "*fp32"}, {"rows": "i32", "length": "i32:16"}
    blur = {**pictures, "means": "*fp32", "differences": "*fp32", **sizes}
    compare = {"means": "*fp32", "window": "*fp32", "slopes": "*fp32", "similarities": "*fp32", **sizes}
    spread = {"slopes": "*fp32", "window": "*fp32", "spread": "*fp32", **sizes}
    gradient = {**pictures, "spread": "*fp32", "upstream": "*fp32", "gradient": "*fp32", **sizes}
    factors = {"of_difference": "fp32", "of_similarity": "fp32"}
    row: dict[str, Any] = {"step": 3, "WINDOW": WINDOW, **ALONG}
    tile: dict[str, Any] = {"WINDOW": WINDOW, **DOWN}
    return (
        Specialisation(_blur_rows, blur, row, bytes=72, operations=360),
        Specialisation(_compare, compare, tile, bytes=84, operations=340),
        Specialisation(_spread_columns, spread, tile, bytes=72, operations=200),
        Specialisation(_gradient, {**gradient, **factors}, row, bytes=72, operations=230),
    )


SPECIALISATIONS = _specialisations()
