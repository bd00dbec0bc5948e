"""The simulated segmenter: without rates the truth, with rates about as often as they say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.standins.options import PRESETS, SegmenterOptions
from proto_saga_ns.evaluation.standins.segmenter import segment
from proto_saga_ns.labels import MAX_ID

CELLS, SIDE, NAMES = 9, 8, [f"view {index}" for index in range(40)]
NOTHING = PRESETS["perfect"]
label_maps = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 6))
rates = st.floats(0, 1)
options_of_any_kind = st.builds(SegmenterOptions, rates, rates, rates, rates, st.floats(0, 3), rates, st.integers(0, 5))


def checkerboard() -> tuple[np.ndarray, np.ndarray]:
    """81 objects of 8 x 8 pixels; each has a left and a right part."""
    rows, columns = np.indices((CELLS * SIDE, CELLS * SIDE))
    instances = rows // SIDE * CELLS + columns // SIDE + 1
    return instances, 2 * instances + columns % SIDE // (SIDE // 2)


INSTANCES, PARTS = checkerboard()
COUNT = CELLS**2 * len(NAMES)


def labels_of(options: SegmenterOptions, name: str, seed: int = 0) -> np.ndarray:
    return segment(INSTANCES, PARTS, options, seed, name).labels


def near(measured: int, total: int, rate: float) -> bool:
    """Within four standard deviations of what chance does."""
    return abs(measured / total - rate) < 4 * np.sqrt(rate * (1 - rate) / total)


def ids_by_object(labels: np.ndarray) -> list[set[int]]:
    return [set(labels[index == INSTANCES].tolist()) for index in range(1, CELLS**2 + 1)]


@given(label_maps, st.integers(0, 2**32), st.text(max_size=5))
def test_without_rates_it_is_the_truth_renumbered(truth: np.ndarray, seed: int, name: str) -> None:
    labels = segment(truth, truth, NOTHING, seed, name).labels
    pairs = set(zip(truth.ravel().tolist(), labels.ravel().tolist(), strict=True))
    assert len(pairs) == len({t for t, _ in pairs}) == len({label for _, label in pairs})
    assert all((t == 0) == (label == 0) for t, label in pairs)


@given(label_maps, options_of_any_kind, st.integers(0, 99))
def test_ids_are_1_to_l_without_gaps(truth: np.ndarray, options: SegmenterOptions, seed: int) -> None:
    labels = segment(truth, truth * 2 + (np.indices(truth.shape)[0] % 2), options, seed, "view").labels
    ids = np.unique(labels[labels > 0])
    assert labels.dtype == np.int32 and labels.shape == truth.shape
    assert ids.tolist() == list(range(1, len(ids) + 1)) and len(ids) <= MAX_ID


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("along_parts", [0.0, 1.0])
def test_as_many_objects_are_split_as_the_rate_says(rate: float, along_parts: float) -> None:
    options = replace(NOTHING, split=rate, along_parts=along_parts)
    split = sum(len(ids) > 1 for name in NAMES for ids in ids_by_object(labels_of(options, name)))
    assert near(split, COUNT, rate)


def test_splits_go_along_parts_or_along_lines() -> None:
    options = replace(NOTHING, split=1.0, along_parts=1.0)
    labels = labels_of(options, "view")
    for part in np.unique(PARTS):
        assert len(np.unique(labels[part == PARTS])) == 1
    crossing = labels_of(replace(options, along_parts=0.0), "view")
    assert sum(len(np.unique(crossing[part == PARTS])) > 1 for part in np.unique(PARTS)) > CELLS**2 / 2
    # Both pieces of an object that a line cuts are worth the name.
    sizes = np.bincount(crossing.ravel())[1:]
    assert sizes.min() > 0.1 * SIDE**2 and len(sizes) == 2 * CELLS**2


@pytest.mark.parametrize("rate", [0.04, 0.12, 0.3])
def test_as_many_masks_are_merged_as_the_rate_says(rate: float) -> None:
    options = replace(NOTHING, merge=rate)
    gone = sum(CELLS**2 - int(labels_of(options, name).max()) for name in NAMES)
    assert near(gone, COUNT, rate)


def test_only_neighbours_are_merged() -> None:
    instances = np.zeros((6, 15), np.int32)
    instances[1:5, 1:5], instances[1:5, 5:9], instances[1:5, 11:14] = 1, 2, 3
    for name in NAMES:
        labels = segment(instances, instances, replace(NOTHING, merge=1.0), 0, name).labels
        assert labels[2, 2] == labels[2, 6] != labels[2, 12] and labels[2, 12] > 0


def test_as_many_masks_are_missing_as_the_rate_says() -> None:
    options = replace(NOTHING, drop=0.2)
    missing = sum(ids == {0} for name in NAMES for ids in ids_by_object(labels_of(options, name)))
    assert near(missing, COUNT, 0.2)


@pytest.mark.parametrize("preset", ["light", "default", "heavy-split", "heavy-merge"])
def test_what_it_says_that_it_did_fits_the_preset(preset: str) -> None:
    options = PRESETS[preset]  # type: ignore[index]
    found = [segment(INSTANCES, PARTS, options, 0, name) for name in NAMES]
    total = {
        what: sum(getattr(one, what) for one in found) for what in ("objects", "splits", "masks", "merges", "drops")
    }
    assert total["objects"] == COUNT and near(total["splits"], COUNT, options.split)
    assert near(total["merges"], total["masks"], options.merge)
    assert near(total["drops"], total["masks"] - total["merges"], options.drop)


def test_ragged_borders_stay_borders() -> None:
    """Far from borders nothing changes, at borders much does, and the gaps are as many as asked for."""
    instances = (np.indices((120, 120)) // 40 * np.array([[[3]], [[1]]])).sum(0) + 1
    labels = segment(instances, instances, replace(NOTHING, jitter=1.0), 0, "view").labels
    # What a square is called in its middle, it would be called all over without waves.
    moved = labels[20::40, 20::40].repeat(40, 0).repeat(40, 1) != labels
    middle = (np.abs(np.indices((120, 120)) % 40 - 19.5) < 12).all(0)
    assert not moved[middle].any() and 0.02 < moved.mean() < 0.12
    gaps = segment(instances, instances, replace(NOTHING, gaps=0.5), 0, "view").labels == 0
    border = 4 * 2 * 120 - 4 * 4
    assert gaps.sum() == pytest.approx(0.5 * border, rel=0.1) and not gaps[middle].any()


def test_small_masks_are_left_out() -> None:
    instances = np.ones((10, 10), np.int32)
    instances[:2, :3] = 2
    assert set(np.unique(segment(instances, instances, replace(NOTHING, min_pixels=7), 0, "v").labels)) == {0, 1}
    assert set(np.unique(segment(instances, instances, replace(NOTHING, min_pixels=6), 0, "v").labels)) == {1, 2}


def test_chance_depends_on_seed_and_name_alone() -> None:
    options = PRESETS["default"]
    first = labels_of(options, "a")
    labels_of(options, "b")
    np.testing.assert_array_equal(first, labels_of(options, "a"))
    assert (first != labels_of(options, "b")).any() and (first != labels_of(options, "a", seed=1)).any()


def test_ids_mean_nothing_across_views() -> None:
    ids = [tuple(labels_of(NOTHING, name)[::SIDE, ::SIDE].ravel()) for name in NAMES]
    assert len(set(ids)) == len(NAMES)
    # Of 81 ids in random order, one stays at its place on average.
    assert np.mean([np.mean(np.array(a) == np.array(b)) for a, b in pairwise(ids)]) < 0.05


@pytest.mark.usefixtures("unchecked_shapes")
def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="one size"):
        segment(INSTANCES, PARTS[1:], NOTHING, 0, "view")


@pytest.mark.parametrize(
    "change", [{"split": 1.2}, {"drop": -0.1}, {"jitter": -1.0}, {"min_pixels": -1}, {"gaps": float("nan")}]
)
def test_rates_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ProtoSagaError, match="--rates"):
        replace(NOTHING, **change).check()
