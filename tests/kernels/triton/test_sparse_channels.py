"""Sparse channels blended over gsplat's tile lists, against the CPU's kernels and the slow reference."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("triton")

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.triton import sparse_channels as kernels
from proto_saga_ns.rasterize import rasterization
from proto_saga_ns.rasterize.rasterization import rasterization_with_sparse
from proto_saga_ns.rasterize.sparse_channels import SparseChannels, TiledChannels
from tests.kernels.triton.tile_lists import OnGpu, blended_on_device, gsplat_info, on_device, random_view
from tests.rasterize.test_sparse_channels import by_kernels, random_channels

SIZE = (37, 21)
room = importlib.import_module("proto_saga_ns.rasterize.rasterization")  # the function of its name hides it


@contextmanager
def blocks(**sizes: int) -> Iterator[None]:
    """Other sizes of blocks: the interpreter takes as long for few pixels as for many."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(kernels, name, size)
        yield


def assert_alike(found: Tensor, expected: Tensor) -> None:
    """But for one pixel: a Gaussian at a limit (1/255, 1e-4) may be drawn by one and not by the other."""
    assert found.shape == expected.shape
    differs = ((found - expected).abs() > 3e-6 + 3e-6 * expected.abs()).any(dim=-1)
    assert int(differs.sum()) <= 1


@settings(max_examples=12)
@example(1, 0, 3, 4, 1, 2, 0)
@example(2, 1, 1, 1, 1, 1, 0)
@example(3, 20, 400, 20, 17, 4, 0)
@example(4, 40, 7, 33, 16, 3, 30)
@given(
    *(st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 90)),
    *(st.integers(1, 34), st.integers(1, 34), st.integers(1, 4), st.integers(0, 4)),
)
def test_what_is_blended_is_what_the_cpu_blends(
    seed: int, count: int, labels: int, width: int, height: int, slots: int, walls: int
) -> None:
    size = (width, height)
    view, scene = random_view(seed, count, size, walls)
    sparse = random_channels(count, labels, slots, seed)
    with blocks(PIXELS=256):
        found = blended_on_device(sparse, view.info)
    expected = by_kernels(scene, sparse, size)
    assert torch.equal(found.starts, expected.starts) and found.shape == expected.shape
    own = expected.labels.split(expected.starts.diff().tolist())
    assert torch.equal(found.labels, torch.cat([*(labels.sort().values for labels in own), expected.labels[:0]]))
    assert_alike(found.dense(), expected.dense())


def test_what_is_blended_is_what_the_reference_blends() -> None:
    """In parts of tiles, and with more labels in a tile than are blended at a time."""
    view, scene = random_view(5, 40, (20, 9), walls=2)
    sparse = random_channels(40, 31)
    slow = rasterization_with_sparse(sparse, **scene, width=20, height=9, backend="reference")[3]
    assert isinstance(slow, Tensor)
    found = blended_on_device(sparse, view.info)
    assert_alike(found.dense(), slow)
    again = blended_on_device(sparse, view.info)
    assert all(torch.equal(getattr(found, name), getattr(again, name)) for name in ("starts", "labels", "values"))


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_keeps_labels_of_tiles_where_triton_runs(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a channel for each label."""
    view, scene = random_view(5, 30, SIZE)
    sparse = random_channels(30, 4)
    expected = by_kernels(scene, sparse, SIZE).dense()
    asked: list[tuple[int, Any]] = []

    def gsplat(colors: Tensor, packed: bool = True, **others: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        asked.append((colors.shape[-1], packed))
        others.pop("backend", None)
        colors = colors.as_subclass(Tensor)
        return *rasterization(colors=colors, **others)[:2], view.info

    monkeypatch.setattr(room, "runs_on", lambda device, cost: there and "channel for each" in cost)
    monkeypatch.setattr(room, "rasterization", gsplat)
    monkeypatch.setattr(kernels, "blend", partial(on_device, kernels.blend))
    moved = {**scene, "colors": OnGpu(scene["colors"])}
    with blocks(PIXELS=256):
        image, _, _, found = room.rasterization_with_sparse(sparse, **moved, width=SIZE[0], height=SIZE[1])
    assert image.shape[-1] == 3 and found is not None
    assert asked == ([(3, False)] if there else [(7, True)]) and isinstance(found, TiledChannels) == there
    dense = found.dense() if isinstance(found, TiledChannels) else found
    assert_alike(dense, expected)


def test_over_the_lists_that_gsplat_itself_makes() -> None:
    """They are longer than those of the CPU: of every tile that a square around the Gaussian touches."""
    view, scene = random_view(6, 14, SIZE)
    sparse = random_channels(14, 40)
    ours, theirs = view.info["flatten_ids"], gsplat_info(scene, SIZE)["flatten_ids"]
    assert len(theirs) > len(ours)
    with blocks(PIXELS=256):
        few, many = (blended_on_device(sparse, info) for info in (view.info, gsplat_info(scene, SIZE)))
    assert len(many.labels) > len(few.labels)
    assert_alike(many.dense(), few.dense())


def test_labels_are_found_tile_by_tile_as_well() -> None:
    view, _ = random_view(7, 30, SIZE)
    sparse = random_channels(30, 50)
    lists = view.given[1]
    starts, labels = on_device(kernels.labels_of_tiles, lists, sparse.labels, 50)
    entries = lists[1].long().tensor_split(lists[0][1:-1])
    expected = [sparse.labels[own].unique() for own in entries]
    assert torch.equal(labels, torch.cat([own[own >= 0] for own in expected]))
    with blocks(MAX_MARKS=120):
        for found, whole in zip(
            on_device(kernels.labels_of_tiles, lists, sparse.labels, 50), (starts, labels), strict=True
        ):
            assert torch.equal(found, whole)


def test_a_label_that_a_gaussian_has_twice_counts_twice() -> None:
    view, scene = random_view(8, 20, (16, 9))
    twice = SparseChannels(torch.zeros(20, 2, dtype=torch.int32), torch.full((20, 2), 0.5), 1)
    once = SparseChannels(torch.zeros(20, 1, dtype=torch.int32), torch.ones(20, 1), 1)
    with blocks(PIXELS=256):
        torch.testing.assert_close(
            blended_on_device(twice, view.info).dense(), by_kernels(scene, once, (16, 9)).dense()
        )


@pytest.mark.parametrize("other", [{"n_cameras": 2}, {"tile_size": 8}, {"means2d": torch.zeros(3, 2)}])
def test_info_that_is_not_of_one_view_in_tiles_of_16_is_refused(other: dict[str, Any]) -> None:
    view, _ = random_view(9, 3, (5, 5))
    with pytest.raises(ProtoSagaError, match="take one view, tile_size=16 and packed=False"):
        blended_on_device(random_channels(3, 2), {**view.info, **other})


@pytest.mark.usefixtures("unchecked_shapes")
def test_shapes_that_do_not_fit_are_refused() -> None:
    view, _ = random_view(9, 3, (5, 5))
    labels, values = torch.zeros(3, 2, dtype=torch.int32), torch.zeros(3, 2)
    for wrong in ((labels[1:], values[1:]), (labels, values[:, 1:]), (labels.long(), values)):
        with pytest.raises(ValueError, match="sparse channels: "):
            on_device(kernels.blend, *view.given, *wrong, 1, view.size)
    with pytest.raises(ValueError, match="sparse channels: offsets"):
        on_device(kernels.blend, *view.given, labels, values, 1, (50, 5))
