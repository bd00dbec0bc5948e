"""Atoms: what k-means promises, and that both position and embedding part Gaussians."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus import atoms as atoms_module
from proto_saga_ns.association.consensus.agreement import ANY_SHARE, MIN_SHOWN_SHARE
from proto_saga_ns.association.consensus.atoms import (
    EMBEDDING_WEIGHT,
    NO_ATOM,
    atom_places,
    blocks,
    find_atoms,
    joint_features,
    nearest_centers,
)
from proto_saga_ns.association.consensus.consensus import suggested_atoms
from proto_saga_ns.association.consensus.survey import Survey
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL

SEEDS = st.integers(0, 10**6)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 12), SEEDS)
def test_the_nearest_centre_is_found(count: int, num_centers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, centers = rng.normal(size=(count, 5)).astype(np.float32), rng.normal(size=(num_centers, 5))
    found = nearest_centers(points, centers.astype(np.float32))
    distances = np.linalg.norm(points[:, None] - centers, axis=2)
    np.testing.assert_allclose(distances[np.arange(count), found], distances.min(axis=1), atol=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 60), st.integers(1, 12), SEEDS)
def test_what_no_view_shows_has_no_atom_and_all_else_has_one(count: int, wanted: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, embeddings, weights = rng.normal(size=(count, 3)), rng.normal(size=(count, 4)), rng.integers(0, 3, count)
    found = find_atoms(means, embeddings, weights, wanted, seed)
    assert ((found.of_gaussian == NO_ATOM) == (weights == 0)).all()
    assert found.count <= wanted
    assert np.unique(found.of_gaussian[weights > 0]).tolist() == list(range(found.count))
    again = find_atoms(means, embeddings, weights, wanted, seed)
    assert (again.of_gaussian == found.of_gaussian).all()


def test_both_places_and_embeddings_part_gaussians() -> None:
    rng = np.random.default_rng(0)
    place, kind = np.divmod(np.arange(400) % 4, 2)
    means = place[:, None] + 0.01 * rng.normal(size=(400, 3))
    embeddings = np.eye(4)[kind] * rng.uniform(0.1, 10, (400, 1)) + 1e-3 * rng.normal(size=(400, 4))
    found = find_atoms(means, embeddings, np.ones(400, np.int64), 40, seed=1).of_gaussian
    for atom in np.unique(found):
        assert len(set(zip(place[found == atom], kind[found == atom], strict=True))) == 1


def test_positions_and_embeddings_have_their_weights_and_a_far_background_does_not_change_that() -> None:
    rng = np.random.default_rng(0)
    means, embeddings, weights = rng.normal(size=(500, 3)), rng.normal(size=(500, 8)), rng.uniform(1, 2, 500)
    for scale in (1.0, 1e-3, 1e4):
        features = joint_features(scale * means, scale * embeddings, weights)
        variances = np.average(features**2, axis=0, weights=weights)
        expected = [1.0, EMBEDDING_WEIGHT**2]
        np.testing.assert_allclose([variances[:3].sum(), variances[3:].sum()], expected, rtol=1e-4)
    means[:50] *= 1e5
    near = joint_features(means, embeddings, weights)[50:, :3]
    assert np.average(near**2, axis=0).sum() > 0.3


def test_a_sample_of_many_gaussians_serves(monkeypatch) -> None:
    monkeypatch.setattr(atoms_module, "SAMPLES_PER_ATOM", 2)
    rng = np.random.default_rng(0)
    place = np.arange(3000) % 30
    means = np.stack([place, 0 * place, 0 * place], axis=1) + 0.001 * rng.normal(size=(3000, 3))
    found = find_atoms(means, np.ones((3000, 2)), np.ones(3000, np.int64), 200).of_gaussian
    pure = [len(np.unique(place[found == atom])) == 1 for atom in np.unique(found)]
    assert np.mean(pure) > 0.9


@settings(max_examples=40)
@given(st.integers(0, 60), st.integers(1, 70), st.integers(1, 5), SEEDS)
def test_blocks_share_gaussians_and_atoms(count: int, wanted: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, shares = rng.integers(0, 4, (count, 3)).astype(float), rng.integers(0, 3, count).astype(float)
    with patch.multiple(atoms_module, MOST_IN_BLOCK=most, MOST_AT_ONCE=2 * most):
        found = blocks(means, shares, min(wanted, count))
    members = np.concatenate([np.zeros(0, int), *(block for block, _ in found)])
    assert np.sort(members).tolist() == list(range(count))
    assert sum(number for _, number in found) == min(wanted, count)
    limit = min(wanted, count) if min(wanted, count) <= 2 * most else most
    assert all(1 <= number <= min(limit, len(block)) for block, number in found)
    assert all((np.diff(block) > 0).all() for block, _ in found)


def test_blocks_get_atoms_by_what_they_weigh_and_lie_apart() -> None:
    rng = np.random.default_rng(0)
    room = np.arange(4000) % 4
    means = rng.uniform(-1, 1, (4000, 3)) + 9 * np.stack([room % 2, room // 2, 0 * room], axis=1)
    shares = np.where(room == 0, 3.0, 1.0)
    with patch.multiple(atoms_module, MOST_IN_BLOCK=60, MOST_AT_ONCE=60):
        found = blocks(means, shares, 180)
    for block, number in found:
        assert abs(number - 180 * shares[block].sum() / shares.sum()) <= 2
        assert np.ptp(means[block], axis=0).max() < 12


def test_atoms_in_blocks_are_numbered_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atoms_module, "MOST_IN_BLOCK", 20)
    monkeypatch.setattr(atoms_module, "MOST_AT_ONCE", 20)
    rng = np.random.default_rng(0)
    means, embeddings, weights = rng.normal(size=(500, 3)), rng.normal(size=(500, 4)), rng.integers(0, 3, 500)
    found = find_atoms(means, embeddings, weights, 150)
    assert 100 < found.count <= 150
    assert np.unique(found.of_gaussian).tolist() == list(range(-1, found.count))
    places = atom_places(means, weights, found)
    for atom in range(found.count):
        own = found.of_gaussian == atom
        np.testing.assert_allclose(places[atom], np.average(means[own], axis=0, weights=weights[own]))


def survey_of(areas: list[list[int]], once: list[float] | None = None) -> Survey:
    """Views with masks of so many pixels, and what their Gaussians weigh in a view."""
    labels = [np.array([0, *view], np.int64) * UNITS_PER_PIXEL for view in areas]
    weights = np.array(once or []) * UNITS_PER_PIXEL
    return Survey(weights.astype(np.int64), weights, labels)


def test_the_number_of_atoms_follows_small_masks_and_not_the_resolution() -> None:
    areas = [[100] * 5 + [10_000] * 5] * 3
    small = suggested_atoms(survey_of(areas))
    assert small == round(2 * 50_500 / 100)
    assert suggested_atoms(survey_of([[4 * area for area in view] for view in areas])) == small
    assert suggested_atoms(survey_of([])) == suggested_atoms(survey_of([[]] * 3)) == 1


def test_the_number_of_atoms_grows_with_what_is_seen_in_all() -> None:
    """Views that show enough of a scene count as the scene; where they show less, it is the scene that counts."""
    areas = [[100] * 5 + [10_000] * 5] * 3
    one = suggested_atoms(survey_of(areas))
    assert suggested_atoms(survey_of(areas, [50_500.0, 50_500.0])) == one
    assert suggested_atoms(survey_of(areas, [50_500.0] * 40)) == 6 * one


def test_a_glimpse_counts_unless_views_show_little_of_the_scene() -> None:
    areas = [[100] * 5 + [10_000] * 5] * 3
    assert survey_of(areas, [50_500.0] * 2).least_shown == ANY_SHARE
    assert survey_of(areas, [50_500.0] * 10).least_shown == MIN_SHOWN_SHARE
