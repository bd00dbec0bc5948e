"""Contributions over gsplat's tile lists, against the CPU's kernels and the gradient of the slow reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

pytest.importorskip("triton")

from proto_saga_ns.kernels.contributions import sum_of_tiles as sum_on_cpu
from proto_saga_ns.kernels.triton import contributions as kernels
from proto_saga_ns.rasterize import contributions as room
from proto_saga_ns.rasterize.contributions import Contributions
from tests.kernels.triton.tile_lists import OnGpu, TiledView, gsplat_info, on_device, random_view
from tests.rasterize.scenes import geometry_of
from tests.rasterize.test_contributions import assert_canonical, contribute, dense, random_labels

SIZE = (37, 29)
HUGE = 2**31 - 1


def found_in(view: TiledView, label_map: Tensor) -> Contributions:
    return Contributions(*on_device(kernels.sum_of_tiles, *view.given, label_map.int()))


def assert_alike(found: Contributions, expected: Contributions) -> None:
    """But for a pixel of a Gaussian at a limit, which may be drawn by one and not by the other."""
    for each in (found, expected):
        assert_canonical(each)
    sums = {}
    for each, sign in ((found, 1), (expected, -1)):
        for gaussian, label, weight in zip(*(column.tolist() for column in vars(each).values()), strict=True):
            key = (gaussian, label)
            sums[key] = sums.get(key, 0.0) + sign * weight
    largest = float(expected.weights.max()) if len(expected.weights) else 0.0
    assert sum(abs(difference) > 5e-5 + 1e-5 * largest for difference in sums.values()) <= 1


@settings(max_examples=15)
@example(1, 0, 5, 5, 3, 1, 1, 0)
@example(2, 1, 1, 1, 1, 1, 1, 0)
@example(3, 40, 33, 17, 400, 1, 1, 0)
@example(4, 40, 34, 34, 3, 5, HUGE // 3, 30)
@given(
    *(st.integers(0, 10**6), st.integers(0, 40), st.integers(1, 34), st.integers(1, 34)),
    *(st.integers(0, 12), st.integers(1, 20), st.sampled_from([1, 7, HUGE // 12]), st.integers(0, 4)),
)
def test_contributions_are_what_the_cpu_finds(
    seed: int, count: int, width: int, height: int, labels: int, patch: int, gap: int, walls: int
) -> None:
    view, _ = random_view(seed, count, (width, height), walls)
    label_map = random_labels((width, height), labels, patch, seed) * gap
    expected = sum_on_cpu(*view.given, label_map.int(), view.tiles.bounds)
    assert_alike(found_in(view, label_map), Contributions(*expected))


@pytest.mark.parametrize("antialiased", [False, True])
def test_contributions_are_the_gradient_of_the_reference(antialiased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rasterization that answers as gsplat's does."""
    _, scene = random_view(5, 40, SIZE, walls=2)
    asked: dict[str, Any] = {}

    def rasterization(*arguments: Any, **options: Any) -> tuple[None, None, dict[str, Any]]:
        asked.update(options)
        info = room_rasterization(*arguments, **options)[2]
        return None, None, {**gsplat_info(scene, SIZE), "opacities": info["opacities"]}

    room_rasterization = room.rasterization
    label_map = random_labels(SIZE, 6, 4)
    with monkeypatch.context() as patch:
        patch.setattr(room, "rasterization", rasterization)
        patch.setattr(kernels, "sum_of_tiles", partial(on_device, kernels.sum_of_tiles))
        found = room._by_triton(geometry_of(scene, antialiased), (scene["viewmats"], scene["Ks"]), label_map)
    assert not asked["packed"] and asked["rasterize_mode"] == ("antialiased" if antialiased else "classic")
    slow = contribute(
        {name: value.double() for name, value in scene.items()}, label_map, antialiased, backend="reference"
    )
    assert_canonical(found)
    difference = (dense(found, (40, 7)) - dense(slow, (40, 7))).abs()
    assert (difference > 1e-4 + 1e-4 * dense(slow, (40, 7))).sum() <= 1


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_has_tritons_kernels_where_they_run(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, scene = random_view(5, 3, SIZE)
    monkeypatch.setattr(room, "runs_on", lambda device, cost: there and "32 labels" in cost)
    monkeypatch.setattr(room, "_by_triton", lambda geometry, camera, label_map: "triton")
    monkeypatch.setattr(room, "_by_gradient", lambda geometry, camera, label_map, backend: "gradient")
    moved = {**scene, "means": OnGpu(scene["means"])}
    assert contribute(moved, random_labels(SIZE, 2)) == ("triton" if there else "gradient")  # type: ignore
    assert contribute(moved, random_labels(SIZE, 2), backend="gradient") == "gradient"  # type: ignore


def test_lots_of_tiles_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    view, _ = random_view(6, 80, (50, 34), walls=1)
    label_map = random_labels((50, 34), 9, 5)
    whole, again = found_in(view, label_map), found_in(view, label_map)
    monkeypatch.setattr(kernels, "MAX_CELLS", 50)
    parts = found_in(view, label_map)
    for name, column in vars(whole).items():
        assert torch.equal(column, getattr(parts, name)) and torch.equal(column, getattr(again, name))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 12))
def test_lots_are_all_tiles_and_as_small_as_asked(numbers: list[int], most: int) -> None:
    cells = torch.tensor([0, *numbers]).cumsum(0).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "MAX_CELLS", most)
        lots = list(kernels._lots(cells))
    assert [tile for first, end, _ in lots for tile in range(first, end)] == list(range(len(numbers)))
    for first, end, number in lots:
        assert number == sum(numbers[first:end]) and (number <= most or end == first + 1)


def test_all_labels_together_are_the_light_that_is_stopped() -> None:
    view, scene = random_view(7, 60, SIZE, walls=1)
    found = found_in(view, random_labels(SIZE, 5, 6))
    alpha = room.rasterization(**scene, width=SIZE[0], height=SIZE[1])[1]
    torch.testing.assert_close(found.weights.double().sum(), alpha.double().sum(), atol=0, rtol=1e-5)


def test_permuting_labels_permutes_columns() -> None:
    view, _ = random_view(8, 30, SIZE)
    labels = random_labels(SIZE, 12, 5)
    order = torch.randperm(13, generator=torch.Generator().manual_seed(1))
    permuted = dense(found_in(view, order[labels]), (30, 13))
    assert torch.equal(permuted[:, order], dense(found_in(view, labels), (30, 13)))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 300), st.integers(0, 99))
@settings(max_examples=30)
def test_labels_of_tiles_and_their_places(width: int, height: int, count: int, seed: int) -> None:
    label_map = random_labels((width, height), count, seed=seed).int() * (HUGE // max(count, 1))
    starts, labels, places = kernels.labels_of_tiles(label_map)
    tiles = [part for row in label_map.split(16) for part in row.split(16, dim=1)]
    assert len(starts) == len(tiles) + 1 and len(places) == len(tiles)
    for number, tile in enumerate(tiles):
        own = labels[starts[number] : starts[number + 1]]
        assert torch.equal(own, tile.unique())
        blocks = places[number].view(4, 4, 4, 4).permute(0, 2, 1, 3).reshape(16, 16)
        rows, columns = tile.shape
        assert torch.equal(own[blocks[:rows, :columns].long()], tile)
        assert int((blocks == -1).sum()) == 256 - rows * columns


@pytest.mark.usefixtures("unchecked_shapes")
def test_what_does_not_fit_is_refused() -> None:
    view, _ = random_view(9, 3, (5, 5))
    with pytest.raises(ValueError, match="contributions: label_map"):
        on_device(kernels.sum_of_tiles, *view.given, torch.zeros(5, 5))
    with pytest.raises(ValueError, match="contributions: offsets"):
        on_device(kernels.sum_of_tiles, *view.given, torch.zeros(5, 50, dtype=torch.int32))
