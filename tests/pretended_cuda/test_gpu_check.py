"""``proto-saga doctor --gpu-check`` says whether the GPU computes what the CPU computes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from common.pretended_cuda import Transfers
from common.pretended_gsplat import GSPLAT, pretending_gsplat

from proto_saga_ns.cli.work import gpu_check
from proto_saga_ns.cli.work.gpu_check import PARTS, World, compare, report
from proto_saga_ns.errors import ProtoSagaError

SMALL = World(gaussians=200, width=48, height=33, labels=7)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(gpu_check, "REPEATS", 1)
    yield


def test_a_gpu_that_computes_the_same_passes(gpu: Transfers, capsys: pytest.CaptureFixture[str]) -> None:
    report(SMALL)
    printed = capsys.readouterr().out
    assert printed.count("✓") == len(PARTS) and "✗" not in printed and "Pretended GPU" in printed


def test_a_gpu_that_computes_something_else_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def darker(*given: object) -> tuple[torch.Tensor, ...]:
        image, *others = GSPLAT["gsplat.csrc.rasterize_to_pixels_fwd"](*given)
        return 0.9 * image, *others

    functions = {**GSPLAT, "gsplat.csrc.rasterize_to_pixels_fwd": darker}
    with pretending_gsplat(functions), pytest.raises(ProtoSagaError, match="rasterization, with gradients; "):
        report(SMALL)
    assert "✗" in capsys.readouterr().out


def test_a_part_that_fails_is_a_row_and_the_others_are_compared(
    gpu: Transfers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(world: World, given: object) -> tuple[torch.Tensor, ...]:
        if next(iter(given.values())).is_cuda:  # type: ignore[attr-defined]
            raise RuntimeError("no such kernel")
        return (torch.zeros(1),)

    monkeypatch.setitem(PARTS, "something", failing)
    rows = {row.what: row for row in compare(SMALL)}
    assert rows["something"].error == "RuntimeError: no such kernel" and not rows["something"].is_good
    assert all(row.is_good for what, row in rows.items() if what != "something")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_nothing_to_check() -> None:
    with pytest.raises(ProtoSagaError, match="There is no GPU here to check"):
        report(SMALL)
