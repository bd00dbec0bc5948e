"""Atoms: what k-means promises, and that both position and embedding part Gaussians."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus import atoms as atoms_module
from proto_saga_ns.association.consensus.atoms import (
    EMBEDDING_WEIGHT,
    NO_ATOM,
    find_atoms,
    joint_features,
    nearest_centers,
)
from proto_saga_ns.association.consensus.consensus import suggested_atoms
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL

SEEDS = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 12), SEEDS)
def test_the_nearest_centre_is_found(count: int, num_centers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, centers = rng.normal(size=(count, 5)).astype(np.float32), rng.normal(size=(num_centers, 5))
    found = nearest_centers(points, centers.astype(np.float32))
    distances = np.linalg.norm(points[:, None] - centers, axis=2)
    np.testing.assert_allclose(distances[np.arange(count), found], distances.min(axis=1), atol=1e-5)


@settings(max_examples=40, deadline=None)
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


def test_the_number_of_atoms_follows_small_masks_and_not_the_resolution() -> None:
    def areas(*pixels: int) -> list[np.ndarray]:
        return [np.array([0, *pixels], np.int64) * UNITS_PER_PIXEL] * 3

    small = suggested_atoms(areas(*[100] * 5, *[10_000] * 5))
    assert small == round(2 * 50_500 / 100)
    assert suggested_atoms(areas(*[400] * 5, *[40_000] * 5)) == small
    assert suggested_atoms(areas(*[1] * 5, *[10_000_000] * 5)) == 6000
    assert suggested_atoms([]) == suggested_atoms(areas()) == 1
