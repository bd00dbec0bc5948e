"""The weight-free segmenter: laws that hold for any image, and scenes whose regions are known."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.masks.segmenters import SuperpixelSegmenter, SuperpixelSettings
from tests.scenes import Lens, camera_pose, ray_cast


def blobs(seed, size=(60, 80)):
    """Random rectangles with noise."""
    rng = np.random.default_rng(seed)
    image = np.full((*size, 3), rng.integers(0, 255, 3), np.int64)
    for _ in range(12):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        image[y : y + 20, x : x + 25] = rng.integers(0, 255, 3)
    return np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_every_pixel_has_one_of_the_labels_1_to_l_and_again_the_same(seed):
    image = blobs(seed)
    labels = SuperpixelSegmenter()(image)
    assert labels.shape == image.shape[:2] and labels.dtype == np.int32
    assert sorted(set(labels.flat)) == list(range(1, labels.max() + 1))
    np.testing.assert_array_equal(labels, SuperpixelSegmenter()(image))


def test_limits_are_kept():
    limits = SuperpixelSettings(max_regions=5, min_area=0.02)
    labels = SuperpixelSegmenter(limits)(blobs(3))
    areas = np.bincount(labels.flat)[1:] / labels.size
    assert len(areas) <= 5 and areas.min() >= 0.02


def test_objects_of_one_colour_each_are_found():
    rgb, instances, _ = ray_cast(Lens(320, 240), camera_pose(0, 12))
    labels = SuperpixelSegmenter()(rgb)
    for instance in np.unique(instances)[2:]:
        mask = instances == instance
        region = labels == np.bincount(labels[mask]).argmax()
        assert (mask & region).sum() / (mask | region).sum() > 0.8


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (700, 40)])
def test_odd_sizes(shape):
    image = np.zeros((*shape, 3), np.uint8)
    assert (SuperpixelSegmenter()(image) == 1).all()


def test_settings_are_json_and_tell_segmenters_apart():
    first, second = (SuperpixelSegmenter(SuperpixelSettings(max_regions=n)).settings for n in (5, 6))
    assert first != second and {**second, "max_regions": 5} == first


def test_importing_is_light_and_needs_no_nerfstudio():
    script = (
        "import sys; sys.modules['nerfstudio'] = sys.modules['skimage'] = None\n"
        "import proto_saga_ns.labels, proto_saga_ns.masks.segmenters; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
