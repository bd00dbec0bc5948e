"""Run-length encoding: both directions, and against pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from proto_saga_ns.labels.flatten import cut_patch
from proto_saga_ns.labels.formats.rle import (
    _decompress,
    decode_label_map,
    encode_label_map,
    from_rle,
    patch_to_rle,
    to_rle,
)

shapes = array_shapes(min_dims=2, max_dims=2, max_side=40)


@settings(max_examples=80)
@given(arrays(np.int32, shapes, elements=st.sampled_from([0, 0, 1, 2, 7, 300, 65535])))
def test_label_maps_survive_rle(labels: np.ndarray) -> None:
    masks = encode_label_map(labels)
    assert set(masks) == set(labels.flat) - {0}
    np.testing.assert_array_equal(decode_label_map(masks, *labels.shape), labels)


@settings(max_examples=80)
@given(arrays(bool, shapes))
def test_compressed_and_uncompressed_runs_mean_the_same(mask: np.ndarray) -> None:
    height, width = mask.shape
    compressed = to_rle(mask)
    runs = _decompress(compressed["counts"].encode())
    again: Any = coco.frPyObjects({"size": [height, width], "counts": runs}, height, width)  # type: ignore[arg-type]
    assert again["counts"].decode() == compressed["counts"]
    np.testing.assert_array_equal(from_rle(compressed, height, width), mask)
    np.testing.assert_array_equal(from_rle({"size": [height, width], "counts": runs}, height, width), mask)


@settings(max_examples=150)
@given(arrays(bool, shapes), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_patch_gives_the_rle_of_the_whole_mask(
    mask: np.ndarray, top: int, bottom: int, left: int, right: int
) -> None:
    mask = np.pad(mask, ((top, bottom), (left, right)))
    patch = cut_patch(mask, 1.0)
    assert patch is None or patch_to_rle(patch, *mask.shape) == to_rle(mask)


def test_polygons() -> None:
    mask = from_rle([[1, 1, 5, 1, 5, 4, 1, 4], [6, 6, 8, 6, 8, 8, 6, 8]], 10, 12)
    assert mask.shape == (10, 12) and mask.sum() == 4 * 3 + 2 * 2
    assert mask[2, 2] and mask[7, 7] and not mask[5, 5]
    assert not from_rle([], 3, 4).any()


def test_polygons_without_area_are_left_out() -> None:
    """As annotation tools leave them behind at a stray click."""
    square = [1, 1, 5, 1, 5, 4, 1, 4]
    assert (from_rle([square, [5, 5], [5, 5, 9, 9]], 10, 12) == from_rle([square], 10, 12)).all()
    assert not from_rle([[5, 5]], 10, 12).any()


@given(arrays(bool, shapes), st.booleans())
def test_rows_of_pixels_are_a_mask(mask: np.ndarray, as_numbers: bool) -> None:
    """What ``numpy.ndarray.tolist`` makes of a mask."""
    rows = mask.astype(int).tolist() if as_numbers else mask.tolist()
    np.testing.assert_array_equal(from_rle(rows, *mask.shape), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 4], "counts": [3, 90]},
        {"size": [4, 4], "counts": [20, -4]},
        {"size": [4, 4], "counts": "zzzz"},
        {"size": [4, 4], "counts": "0"},
        {"size": [4], "counts": [16]},
        {"counts": [16]},
        {"size": [4, 4]},
        [[1, 2, 3]],
        [3],
        "text",
        None,
    ],
)
def test_what_is_no_mask_is_refused(segmentation: Any) -> None:
    with pytest.raises(ValueError):
        from_rle(segmentation, 4, 4)
