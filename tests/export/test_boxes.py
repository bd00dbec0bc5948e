"""Boxes surround objects, and stray Gaussians do not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.boxes import Box, largest_part, object_boxes, opaque_cloud
from proto_saga_ns.splats.splat import Splat
from proto_saga_ns.splats.transform import Similarity, transform_splat
from tests.splats.splats import random_splat, similarities

UP = np.array([0.0, 0.0, 1.0])
SIZE = np.array([2.0, 1.0, 0.5])
CENTER = np.array([4.0, -3.0, 1.0])


def crate(yaw: float = 0.0, strays: int = 0, count: int = 1500, seed: int = 0) -> Splat:
    """Small Gaussians on the faces of a box, and strays far around it that are larger than the others."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.5, 0.5, (count, 3))
    axis = rng.integers(0, 3, count)
    points[np.arange(count), axis] = np.where(rng.random(count) < 0.5, -0.5, 0.5)
    turned = (points * SIZE) @ Rotation.from_euler("z", yaw).as_matrix().T + CENTER
    everywhere = CENTER + rng.uniform(-8, 8, (strays, 3))
    splat = random_splat(count + strays, degree=0)
    sizes = torch.full((count + strays, 3), np.log(0.01))
    sizes[count:] = np.log(0.5)
    means = torch.from_numpy(np.concatenate([turned, everywhere])).float()
    return replace(splat, means=means, log_scales=sizes, opacity_logits=torch.full((count + strays,), 2.0))


def volume_overlap(box: Box, low: np.ndarray, high: np.ndarray) -> float:
    """Intersection over union of boxes along the axes."""
    ends = box.center - box.size / 2, box.center + box.size / 2
    both = np.prod(np.clip(np.minimum(ends[1], high) - np.maximum(ends[0], low), 0, None))
    return both / (np.prod(box.size) + np.prod(high - low) - both)


@pytest.mark.parametrize("strays", [0, 60])
def test_a_crate_is_measured_even_among_strays(strays: int) -> None:
    found = object_boxes(crate(strays=strays), UP)
    assert volume_overlap(found.aligned, CENTER - SIZE / 2, CENTER + SIZE / 2) > 0.9
    assert found.share > 0.999 if strays == 0 else 0.9 < found.share < 0.99


@given(st.floats(0, np.pi), st.integers(0, 5))
@settings(max_examples=15)
def test_an_upright_box_has_the_size_of_a_turned_crate(yaw: float, seed: int) -> None:
    box = object_boxes(crate(yaw, seed=seed), UP).upright
    np.testing.assert_allclose(sorted(box.size[:2]), sorted(SIZE[:2]), rtol=0.06)
    np.testing.assert_allclose(box.size[2], SIZE[2], rtol=0.06)
    np.testing.assert_allclose(box.center, CENTER, atol=0.04)
    np.testing.assert_allclose(box.rotation.T @ box.rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(box.rotation) > 0
    np.testing.assert_allclose(box.rotation[:, 2], UP, atol=1e-12)


@given(similarities())
@settings(max_examples=15)
def test_the_upright_box_moves_with_the_scene(similarity: Similarity) -> None:
    splat = crate(0.4)
    before = object_boxes(splat, UP).upright
    after = object_boxes(transform_splat(splat, similarity), similarity.rotation @ UP).upright
    scale = similarity.scale
    np.testing.assert_allclose(after.center, similarity.apply(before.center[None])[0], atol=0.04 * scale)
    np.testing.assert_allclose(after.size[2], scale * before.size[2], rtol=0.01)
    np.testing.assert_allclose(sorted(after.size[:2]), scale * np.sort(before.size[:2]), rtol=0.06)


def test_one_gaussian_has_a_box_of_one_standard_deviation_to_either_side() -> None:
    splat = replace(
        random_splat(1), quats=torch.tensor([[1.0, 0, 0, 0]]), log_scales=torch.tensor([[1.0, 2.0, 3.0]]).log()
    )
    found = object_boxes(splat, UP)
    np.testing.assert_allclose(found.aligned.size, [2, 4, 6], rtol=1e-5)
    np.testing.assert_allclose(found.aligned.center, splat.means[0], atol=1e-5)
    assert found.share == 1


@pytest.mark.parametrize("count", [2, 3, 20])
def test_few_gaussians_have_boxes(count: int) -> None:
    found = object_boxes(random_splat(count), UP)
    assert (found.aligned.size > 0).all() and (found.upright.size > 0).all() and found.share > 0.5


def test_nothing_has_no_box() -> None:
    with pytest.raises(ValueError, match="no Gaussians"):
        object_boxes(random_splat(0), UP)


def test_transparent_gaussians_hardly_count() -> None:
    splat = crate(strays=60)
    splat.opacity_logits[1500:] = -20.0
    assert object_boxes(splat, UP).share > 0.999
    cloud = opaque_cloud(splat)
    assert np.array_equal(cloud, opaque_cloud(splat)) and np.abs(cloud - CENTER).max() < 1.2


def test_the_largest_part_is_kept() -> None:
    rng = np.random.default_rng(0)
    cloud = np.concatenate([rng.uniform(0, 1, (300, 3)), rng.uniform(5, 6, (200, 3))])
    assert np.array_equal(np.flatnonzero(largest_part(cloud)), np.arange(300))
