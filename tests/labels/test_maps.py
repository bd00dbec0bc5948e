"""Laws of resizing and renumbering."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from proto_saga_ns.labels import compact_labels, label_ids, renumber, resize_label_map

label_maps = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 400))
sides = st.integers(1, 30)


@settings(max_examples=80)
@given(label_maps, sides, sides)
def test_resizing_takes_the_pixel_under_each_centre(labels, height, width):
    resized = resize_label_map(labels, height, width)
    assert resized.shape == (height, width)
    for y in range(height):
        for x in range(width):
            source_y = int((y + 0.5) * labels.shape[0] / height + 1e-9)
            source_x = int((x + 0.5) * labels.shape[1] / width + 1e-9)
            assert resized[y, x] == labels[source_y, source_x]


@settings(max_examples=50)
@given(label_maps, st.integers(1, 5))
def test_enlarging_and_shrinking_back_is_the_identity(labels, factor):
    height, width = labels.shape
    large = resize_label_map(labels, height * factor, width * factor)
    np.testing.assert_array_equal(large, np.kron(labels, np.ones((factor, factor), int)))
    np.testing.assert_array_equal(resize_label_map(large, height, width), labels)


@settings(max_examples=80)
@given(label_maps)
def test_compact_labels_are_gapless_and_can_be_undone(labels):
    compact, ids = compact_labels(labels)
    assert sorted(set(compact.flat) - {0}) == list(range(1, len(ids) + 1))
    np.testing.assert_array_equal(compact == 0, labels == 0)
    np.testing.assert_array_equal(np.concatenate([[0], ids])[compact], labels)
    assert list(ids) == sorted(set(labels.flat) - {0})


def test_ids_that_are_not_listed_become_unlabelled():
    labels = np.array([[0, 5, 9, 700]], np.int32)
    np.testing.assert_array_equal(renumber(labels, np.array([5, 700], np.int32)), [[0, 1, 0, 2]])
    assert label_ids(np.zeros((2, 2), np.int32)).size == 0
