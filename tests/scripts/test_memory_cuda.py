"""Peaks of GPU memory that are counted without a GPU."""

from __future__ import annotations

import gc
import re

import memory_cuda
import pytest
import torch
from common.pretended_cuda import pretending


def test_memory_counts_once_and_as_long_as_it_is_used() -> None:
    meter = memory_cuda.Meter()
    with pretending({}, without_data=True, watch=meter.add):
        first = torch.zeros(10, 100, device="cuda").requires_grad_()
        part = first[1:]
        assert meter.now == 4000
        result = first.exp().sin()  # the gradient of either needs what exp gave
        assert meter.now == 12000
        result.sum().backward()
        del result
        gc.collect()
        assert meter.now == 8000 and meter.peak >= 12000, "the parameter and its gradient"
        del first, part
    gc.collect()
    assert meter.now == 0


def test_peaks_grow_with_views_and_masks(capsys: pytest.CaptureFixture[str]) -> None:
    def table(width: int) -> list[list[float]]:
        memory_cuda.main(0.2, width, 96, (5, 200))
        rows = [line.split("|")[2:-1] for line in capsys.readouterr().out.splitlines() if re.match(r"\| [a-z]", line)]
        return [[float(cell) for cell in row] for row in rows]

    small, large = table(1280), table(5120)
    assert len(small) == 4
    for (few, many), (few_in_large, many_in_large) in zip(small, large, strict=True):
        assert few <= many and few <= few_in_large and many <= many_in_large
    assert small[1][0] < small[1][1] < large[1][1], "the cross entropy takes a number for each pixel and mask"
