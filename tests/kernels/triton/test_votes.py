"""The classification by votes and prototypes in Triton, against PyTorch in double precision and the CPU's kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

pytest.importorskip("triton")

from proto_saga_ns.kernels import votes as cpu
from proto_saga_ns.kernels.triton import votes as kernels
from proto_saga_ns.recognition import votes
from tests.kernels.triton.tile_lists import OnGpu, on_device
from tests.test_votes import RenderedView, assert_kernels_agree_with_torch, rendered_view


@pytest.fixture(scope="module", autouse=True)
def triton_classifies() -> Iterator[None]:
    """Everywhere, and whole tiles: the interpreter takes as long for few pixels as for many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(votes, "kernels", SimpleNamespace(classify=partial(on_device, kernels.classify)))
        patch.setattr(kernels, "PIXELS", 256)
        patch.setattr(kernels, "HELD_NUMBERS", 256 * 32)
        yield


@settings(max_examples=15)
@example(1, 1, 1, False, 1, 1, 10.0, 0.5)
@example(3, 400, 16, False, 17, 5, 10.0, 0.5)
@example(5, 40, 4, True, 17, 5, 10.0, 0.0)
@given(
    *(st.integers(0, 10**6), st.integers(0, 70), st.integers(1, 18), st.booleans()),
    *(st.integers(1, 34), st.integers(1, 34), st.sampled_from([0.1, 10.0, 100.0]), st.sampled_from([0.0, 0.5, 1.0])),
)
def test_the_kernel_agrees_with_torch(
    seed: int, labels: int, dim: int, untrained: bool, width: int, height: int, tau: float, min_alpha: float
) -> None:
    view = replace(rendered_view(seed, labels, (width, height), dim), tau=tau)
    prototypes = torch.zeros_like(view.prototypes) if untrained else view.prototypes
    assert_kernels_agree_with_torch(replace(view, prototypes=prototypes), min_alpha)


def both(view: RenderedView, weights: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """What Triton and the CPU say."""
    tiles = (view.votes.starts, view.votes.labels, view.votes.values)
    groups = None if view.groups is None else view.groups.int()
    given = (view.features, view.alpha, tiles, weights, groups)
    options = {"tau": 4.0, "doubt": votes.DOUBT, "min_alpha": 0.3}
    return on_device(kernels.classify, *given, **options), cpu.classify(*given, **options)


@pytest.mark.parametrize(("seed", "dim"), [(0, 6), (1, 6), (0, 70)])
def test_parts_of_tiles_give_what_the_cpu_gives(seed: int, dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "PIXELS", 64)
    view = rendered_view(seed, 35, (23, 18), dim)
    found, expected = both(view, F.normalize(view.prototypes, dim=1))
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=2e-6, rtol=2e-6)


def test_the_first_of_equals_wins_whatever_the_order_of_labels_in_a_tile() -> None:
    """Two prototypes and two columns of votes for everything, the second half as the first."""
    view = rendered_view(2, 6, (20, 17))
    half = F.normalize(torch.randn(3, 6), dim=1)
    values = view.votes.values.new_full((256 * 6 * 4,), 0.25)
    labels = torch.tensor([5, 0, 3, 2, 1, 4], dtype=torch.int32).repeat(4)
    tied = replace(view.votes, starts=torch.arange(5) * 6, labels=labels, values=values)
    for weights in (torch.cat([half, half]), torch.zeros(6, 6)):
        found, expected = both(replace(view, votes=tied), weights)
        assert torch.equal(found[0], expected[0]) and int(found[0].max()) <= 3
        torch.testing.assert_close(found[1], expected[1])


def test_nothing_depends_on_the_size_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    view = rendered_view(3, 37, (18, 5))
    whole = both(view, F.normalize(view.prototypes, dim=1))[0]
    monkeypatch.setattr(kernels, "LABELS", 16)
    parts = both(view, F.normalize(view.prototypes, dim=1))[0]
    assert torch.equal(whole[0], parts[0])
    torch.testing.assert_close(whole[1], parts[1], atol=1e-6, rtol=1e-6)


@pytest.mark.usefixtures("unchecked_shapes")
def test_tensors_of_a_gpu_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "classify", lambda features, *others, **options: (features, options["tau"]))
    features = OnGpu(torch.zeros(2, 2, 3))
    assert cpu.classify(features, *[features] * 4, tau=4.0, doubt=0.1, min_alpha=0.5) == (features, 4.0)  # type: ignore


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused() -> None:
    view = rendered_view(0, 5)
    with pytest.raises(ValueError, match="classify: alpha"):
        both(replace(view, alpha=view.alpha[1:]), view.prototypes)
    with pytest.raises(ValueError, match="classify: values"):
        both(replace(view, votes=replace(view.votes, values=view.votes.values[1:])), view.prototypes)
