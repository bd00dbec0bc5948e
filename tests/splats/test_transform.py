"""A splat that is moved, turned and scaled looks the same from a camera that is moved along."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.rasterize.spherical_harmonics import spherical_harmonics
from proto_saga_ns.splats.transform import Similarity, harmonics_rotation, rotate_harmonics, transform_splat
from tests.rasterize.scenes import random_scene
from tests.splats.splats import picture, random_splat, rotations, similarities

MIRROR = np.diag([1.0, -1.0, 1.0])


def moved_camera(viewmat: torch.Tensor, similarity: Similarity) -> torch.Tensor:
    """A camera that sees transformed points as ``viewmat`` sees the original ones, only ``scale`` times as far."""
    whole = viewmat.double().numpy() @ similarity.inverse().matrix()
    return torch.from_numpy(np.diag([*[similarity.scale] * 3, 1.0]) @ whole).float()


@given(similarities(), st.integers(0, 4), st.booleans())
@settings(max_examples=30)
def test_the_picture_stays(similarity: Similarity, degree: int, mirrored: bool) -> None:
    if mirrored:
        similarity = Similarity(similarity.scale, similarity.rotation @ MIRROR, similarity.translation)
    splat = random_splat(degree=degree)
    viewmat = random_scene(1)["viewmats"][0]
    before = picture(splat, viewmat)
    after = picture(transform_splat(splat, similarity), moved_camera(viewmat, similarity))
    assert float(before[..., 3].max()) > 0.5
    torch.testing.assert_close(after, before, rtol=1e-3, atol=2e-3)


@given(rotations(), st.integers(0, 4), st.booleans())
def test_colours_turn_with_the_directions(rotation: np.ndarray, degree: int, mirrored: bool) -> None:
    turned = torch.from_numpy(rotation @ MIRROR if mirrored else rotation)
    splat = random_splat(degree=degree)
    harmonics = splat.harmonics.double()
    directions = splat.means.double()
    before = spherical_harmonics(degree, directions, harmonics)
    after = spherical_harmonics(degree, directions @ turned.T, rotate_harmonics(harmonics, turned.numpy()))
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9)


@given(rotations(), rotations(), st.integers(0, 4))
def test_turning_harmonics_composes_and_keeps_lengths(first: np.ndarray, then: np.ndarray, degree: int) -> None:
    product = harmonics_rotation(then, degree) @ harmonics_rotation(first, degree)
    np.testing.assert_allclose(harmonics_rotation(then @ first, degree), product, atol=1e-10)
    np.testing.assert_allclose(product @ product.T, np.eye(2 * degree + 1), atol=1e-10)


def test_the_identity_changes_nothing() -> None:
    splat = random_splat()
    same = transform_splat(splat, Similarity.identity())
    assert torch.equal(same.means, splat.means) and torch.equal(same.log_scales, splat.log_scales)
    torch.testing.assert_close(same.harmonics, splat.harmonics)
    torch.testing.assert_close(same.quats, splat.unit_quats())


@given(similarities(), similarities())
def test_similarities_compose_as_their_matrices(first: Similarity, then: Similarity) -> None:
    both = first.then(then)
    np.testing.assert_allclose(both.matrix(), then.matrix() @ first.matrix(), atol=1e-9)
    np.testing.assert_allclose(first.then(first.inverse()).matrix(), np.eye(4), atol=1e-9)
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(both.apply(points), then.apply(first.apply(points)), atol=1e-9)
    again = Similarity.from_matrix(both.matrix())
    np.testing.assert_allclose(again.matrix(), both.matrix(), atol=1e-9)


@given(similarities(), similarities())
@settings(max_examples=10)
def test_transforming_twice_is_transforming_once(first: Similarity, then: Similarity) -> None:
    splat = random_splat()
    twice = transform_splat(transform_splat(splat, first), then)
    once = transform_splat(splat, first.then(then))
    torch.testing.assert_close(twice.means, once.means, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(twice.harmonics, once.harmonics, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close((twice.quats * once.quats).sum(1).abs(), torch.ones(40), atol=1e-5, rtol=0)


def test_nerfstudio_applies_its_transform_before_its_scale() -> None:
    quarter_turn = np.array([[0.0, -1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 0]])
    similarity = Similarity.from_dataparser(quarter_turn, 2.0)
    np.testing.assert_allclose(similarity.apply(np.array([[1.0, 0, 0]])), [[10, 2, 0]])


@pytest.mark.parametrize("wrong", [np.diag([1.0, 2, 1, 1])[:3], np.zeros((3, 4)), np.full((3, 4), np.nan)])
def test_what_distorts_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"similarity|finite"):
        Similarity.from_matrix(wrong)
