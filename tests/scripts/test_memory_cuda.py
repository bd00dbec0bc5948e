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


def table(capsys: pytest.CaptureFixture[str], width: int, triton: bool) -> list[list[float]]:
    memory_cuda.main(0.2, width, 96, (5, 200), triton)
    rows = [line.split("|")[2:-1] for line in capsys.readouterr().out.splitlines() if re.match(r"\| [a-z]", line)]
    assert len(rows) == 4
    return [[float(cell) for cell in row] for row in rows]


def test_with_triton_peaks_grow_with_views_but_not_with_masks(capsys: pytest.CaptureFixture[str]) -> None:
    small, large = (table(capsys, width, triton=True) for width in (1280, 20480))
    for (few, many), (few_in_large, many_in_large) in zip(small, large, strict=True):
        assert few == pytest.approx(many, abs=0.11) and few_in_large == pytest.approx(many_in_large, abs=0.11)
        assert few <= few_in_large
    assert small[0][0] < large[0][0]


def test_without_it_segmenting_takes_a_channel_for_each_instance(capsys: pytest.CaptureFixture[str]) -> None:
    _, (few_in_step, many_in_step), (few, many), _ = table(capsys, 5120, triton=False)
    assert few_in_step == pytest.approx(many_in_step, abs=0.11) and many > few + 0.3
