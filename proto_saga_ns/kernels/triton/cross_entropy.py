"""Cross entropy of the cosine softmax on a GPU, forward and backward, without any matrix of pixels x labels (Eq. 7).

The forward pass keeps one number a pixel: the logarithm of the sum of exponentials. The backward pass computes the
logits again, block by block, once for the gradient of the features and once for that of the classifier. Each program of
the latter adds up one chunk of pixels in order; the sums of the chunks are then added, in order too: the same bits
every run. Nothing waits for the device: not even how many pixels are labelled is asked.

Memory beside the result, with D numbers a feature: 4 bytes a pixel, and 4 D / CHUNK bytes a pixel and label: a
sixteenth of a byte for D = 16.

Cost of a labelled pixel before L labels, in float32:

    forward             4 D + 8 bytes,                              2 D L + 8 L operations
    feature gradient    8 D + 8 bytes,                              4 D L + 4 L operations
    classifier gradient (4 D + 8) L / ROWS bytes (mostly cached),   4 D L + 4 L operations

D = 16 and L = 100 are 500 bytes and 17,600 operations. An H200 (4.8 TB/s, 67 TFLOP/s) moves them in 0.10 ns and
computes for 0.26 ns: at the best 0.55 ms for the two million pixels of 1920x1080. An RTX 4090 (1.0 TB/s, 82 TFLOP/s)
moves them in 0.50 ns (0.28 ns if the classifier's gradient finds the features in the cache) and computes for 0.21 ns:
1.0 ms (0.6 ms).
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from proto_saga_ns.kernels.triton.launch import Specialisation, blocks, check_tensors, launch
from proto_saga_ns.kernels.triton.rows import (
    SHAPE_TYPES,
    block_sizes,
    check_rows,
    load_features,
    load_rows,
    score,
    shape_of,
    survey,
)

CHUNK = 1024
"""Pixels whose share of the classifier's gradient one program adds up."""


@triton.jit
def _load_labelled(features, labels, item, items, stride, dim, min_length, DIM: tl.constexpr):
    """Features over their length (or the least one), the factor, and labels; pixels without label are not read."""
    label = tl.load(labels + item, mask=item < items, other=0)
    raw = load_features(features, item, label != 0, stride, dim, DIM)
    inverse = 1.0 / tl.maximum(tl.sqrt_rn(tl.sum(raw * raw, axis=1)), min_length)
    return raw * inverse[:, None], inverse, label


@triton.jit
def _forward(
    features, weights, labels, log_sums, losses, counts, items, stride, dim, count, min_length,
    ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    item = program.to(tl.int64) * ITEMS + tl.arange(0, ITEMS)
    unit, _, label = _load_labelled(features, labels, item, items, stride, dim, min_length, DIM)
    best, winner, total, own = survey(unit, weights, label - 1, count, dim, 1.0, ITEMS, ROWS, DIM)
    tl.store(log_sums + item, best + tl.log(total), mask=item < items)
    has_column = (label > 0) & (label <= count)
    loss = tl.where(has_column, best - own + tl.log(total), float("nan"))
    tl.store(losses + program, tl.sum(tl.where(label != 0, loss, 0.0), axis=0))
    tl.store(counts + 2 * program, tl.sum((label != 0).to(tl.int32), axis=0))
    tl.store(counts + 2 * program + 1, tl.sum((has_column & (winner == label - 1)).to(tl.int32), axis=0))


@triton.jit
def _logit_gradient(unit, rows, label, log_sum, start, count, ROWS: tl.constexpr):
    """(items, ROWS): probability less one for the own label; zero without label."""
    row = start + tl.arange(0, ROWS)
    probability = tl.exp(score(unit, rows, start, count, ROWS) - log_sum[:, None])
    is_own = row[None, :] == (label - 1)[:, None]
    return tl.where((label != 0)[:, None], tl.where(is_own, probability - 1.0, probability), 0.0)


@triton.jit
def _feature_gradient(
    features, weights, labels, log_sums, scale, gradient, items, stride, dim, count, min_length,
    ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    item = tl.program_id(0).to(tl.int64) * ITEMS + tl.arange(0, ITEMS)
    inside = item < items
    unit, inverse, label = _load_labelled(features, labels, item, items, stride, dim, min_length, DIM)
    log_sum = tl.load(log_sums + item, mask=inside, other=0.0)
    total = tl.zeros((ITEMS, DIM), tl.float32)
    for start in range(0, count, ROWS):
        rows = load_rows(weights, start, count, dim, ROWS, DIM)
        of_logits = _logit_gradient(unit, rows, label, log_sum, start, count, ROWS)
        total += tl.dot(of_logits, tl.trans(rows), input_precision="ieee")
    # A feature that is longer than the least length does not gain by growing: the part along itself is taken out.
    along = tl.where(inverse * min_length < 1.0, tl.sum(total * unit, axis=1), 0.0)
    result = (total - along[:, None] * unit) * (inverse * tl.load(scale))[:, None]
    d = tl.arange(0, DIM)
    tl.store(gradient + item[:, None] * dim + d[None, :], result, mask=inside[:, None] & (d[None, :] < dim))


@triton.jit
def _weight_gradient(
    features, weights, labels, log_sums, scale, gradients, items, stride, dim, count, min_length,
    CHUNK: tl.constexpr, ITEMS: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr,
):  # fmt: skip
    chunk, start = tl.program_id(0).to(tl.int64), tl.program_id(1) * ROWS
    rows = load_rows(weights, start, count, dim, ROWS, DIM)
    total = tl.zeros((ROWS, DIM), tl.float32)
    end = tl.minimum(items, (chunk + 1) * CHUNK)
    for first in range(chunk * CHUNK, end, ITEMS):
        item = first + tl.arange(0, ITEMS)
        unit, _, label = _load_labelled(features, labels, item, items, stride, dim, min_length, DIM)
        log_sum = tl.load(log_sums + item, mask=item < items, other=0.0)
        of_logits = _logit_gradient(unit, rows, label, log_sum, start, count, ROWS)
        total += tl.dot(tl.trans(of_logits), unit, input_precision="ieee")
    row, d = start + tl.arange(0, ROWS), tl.arange(0, DIM)
    place = gradients + (chunk * count + row[:, None]) * dim + d[None, :]
    tl.store(place, total * tl.load(scale), mask=(row[:, None] < count) & (d[None, :] < dim))


class CrossEntropy(torch.autograd.Function):
    """(features, weights, labels, min_length) -> mean loss, share that is right.

    Shapes: (P, D), (T, D; any length, tau included), (P,) int32 with labels from 1 and 0 for none. Features shorter
    than ``min_length`` are not stretched to unit length. Both results are 0 if nothing is labelled; the loss is not a
    number if a label has no row, since an error would have to wait for the device.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, features: Tensor, weights: Tensor, labels: Tensor, min_length: float
    ) -> tuple[Tensor, Tensor]:
        features, weights = check_rows("cross_entropy", features, weights)
        check_tensors("cross_entropy", features.device, labels=(labels, (len(features),), torch.int32))
        sizes = block_sizes(features.shape[1])
        programs = blocks(len(features), sizes["ITEMS"])
        labels, log_sums, losses = labels.contiguous(), features.new_empty(len(features)), features.new_empty(programs)
        counts = torch.empty(programs, 2, dtype=torch.int32, device=features.device)
        shape = shape_of(features, weights)
        launch(_forward, programs, features, weights, labels, log_sums, losses, counts, *shape, min_length, **sizes)
        labelled, right = counts.sum(dim=0)
        labelled = labelled.clamp_min(1)
        accuracy = right / labelled
        ctx.min_length = min_length
        ctx.save_for_backward(features, weights, labels, log_sums, labelled)
        ctx.mark_non_differentiable(accuracy)
        return (losses.double().sum() / labelled).float(), accuracy

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        features, weights, labels, log_sums, labelled = ctx.saved_tensors
        given = (features, weights, labels, log_sums, (upstream / labelled).float())
        numbers = (*shape_of(features, weights), ctx.min_length)
        sizes = block_sizes(features.shape[1])
        of_features = of_weights = None
        if ctx.needs_input_grad[0]:
            of_features = torch.empty(features.shape, device=features.device)
            launch(_feature_gradient, blocks(len(features), sizes["ITEMS"]), *given, of_features, *numbers, **sizes)
        if ctx.needs_input_grad[1]:
            chunks = blocks(len(features), CHUNK)
            sums = weights.new_empty(chunks, *weights.shape)
            programs = (chunks, blocks(len(weights), sizes["ROWS"]))
            launch(_weight_gradient, programs, *given, sums, *numbers, CHUNK=CHUNK, **sizes)
            of_weights = sums.sum(dim=0)
        return of_features, of_weights, None, None


def _specialisations() -> tuple[Specialisation, ...]:
    dim, labels = 16, 100
    given = {"features": "*fp32", "weights": "*fp32", "labels": "*i32", "log_sums": "*fp32"}
    numbers = {**SHAPE_TYPES, "min_length": "fp32"}
    forward = {**given, "losses": "*fp32", "counts": "*i32", **numbers}
    feature_gradient = {**given, "scale": "*fp32", "gradient": "*fp32", **numbers}
    weight_gradient = {**given, "scale": "*fp32", "gradients": "*fp32", **numbers}
    read, product, block = 4 * dim + 8, 2 * dim * labels, block_sizes(dim)
    chunked: dict[str, Any] = {"CHUNK": CHUNK, **block}
    twice, again = 2 * product + 4 * labels, read * blocks(labels, block["ROWS"])
    return (
        Specialisation(_forward, forward, block, bytes=read, operations=product + 8 * labels),
        Specialisation(_feature_gradient, feature_gradient, block, bytes=read + 4 * dim, operations=twice),
        Specialisation(_weight_gradient, weight_gradient, chunked, bytes=again, operations=twice),
    )


SPECIALISATIONS = _specialisations()
