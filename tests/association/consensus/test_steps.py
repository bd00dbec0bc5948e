"""The steps of consensus, each against loops over dense matrices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from proto_saga_ns.association.consensus.agreement import (
    MIN_SHOWN_SHARE,
    count_agreement,
    mask_of_atoms,
    masks_of_atoms,
    signed_evidence,
)
from proto_saga_ns.association.consensus.atoms import NO_ATOM, Atoms
from proto_saga_ns.association.consensus.blended_views import BlendedView, atom_units
from proto_saga_ns.association.consensus.instances import Instances, count_votes, find_instances
from proto_saga_ns.association.consensus.survey import survey
from proto_saga_ns.association.options import ConsensusOptions
from proto_saga_ns.rasterize.contributions import UNITS_PER_PIXEL
from tests.association.consensus.worlds import random_blended_view

SEEDS = st.integers(0, 10**6)


def random_weights(atoms: int, labels: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of atoms in labels, many of them at the limits that decide."""
    values = np.array([0, 0, 0, UNITS_PER_PIXEL // 2, UNITS_PER_PIXEL, 2 * UNITS_PER_PIXEL, 7 * UNITS_PER_PIXEL])
    return rng.choice(values, (atoms, labels))


@settings(max_examples=40)
@given(st.integers(1, 20), st.integers(1, 6), SEEDS)
def test_sums_over_gaussians_are_exact(num_gaussians: int, num_labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = [random_blended_view(num_gaussians, num_labels, rng) for _ in range(3)]
    found = survey(views, rng.normal(size=(num_gaussians, 3)))
    atoms = rng.integers(0, 4, num_gaussians)
    expected = np.zeros(num_gaussians, dtype=np.int64)
    for view, per_label in zip(views, found.of_labels, strict=True):
        by_atom, by_label = np.zeros((4, num_labels), np.int64), np.zeros(num_labels, np.int64)
        for gaussian, label, units in zip(view.gaussians, view.labels, view.units, strict=True):
            expected[gaussian] += units
            by_label[label] += units
            by_atom[atoms[gaussian], label] += units
        assert (atom_units(view, atoms, 4).toarray() == by_atom).all()
        assert (per_label == by_label).all()
    assert (found.total == expected).all()


def slow_mask_of_atom(weights: list[int]) -> int:
    labelled = sum(weights[1:])
    best = max(range(len(weights)), key=lambda label: (weights[label] if label else -1, -label))
    if best == 0 or labelled < UNITS_PER_PIXEL or Fraction(labelled, sum(weights)) < Fraction(3, 10):
        return 0
    return best if Fraction(weights[best], labelled) > Fraction(1, 2) else 0


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 6), SEEDS)
def test_agreement_is_counted_as_in_loops(num_atoms: int, num_labels: int, num_views: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = [random_weights(num_atoms, num_labels, rng) for _ in range(num_views)]
    masks = [mask_of_atoms(csr_array(view)) for view in views]
    expected = [[slow_mask_of_atom(row) for row in view.tolist()] for view in views]
    assert [view.tolist() for view in masks] == expected
    same, both = count_agreement(masks, num_atoms)
    evidence, scale = signed_evidence(same, both, 0.4)
    for a in range(num_atoms):
        for b in range(num_atoms):
            seen = [view for view in expected if view[a] and view[b]]
            together = sum(view[a] == view[b] for view in seen)
            assert (same[a, b], both[a, b]) == (together, len(seen))
            assert Fraction(int(evidence[a, b]), scale) == together - Fraction(2, 5) * len(seen)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 6), SEEDS)
def test_an_atom_is_not_observed_where_hardly_any_of_it_is_shown(
    num_atoms: int, num_labels: int, num_views: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    views = [random_weights(num_atoms, num_labels, rng) * rng.choice([1, 5, 20]) for _ in range(num_views)]
    largest = [max(int(view[atom].sum()) for view in views) for atom in range(num_atoms if views else 0)]
    found = list(masks_of_atoms([csr_array(view) for view in views], MIN_SHOWN_SHARE))
    for view, masks in zip(views, found, strict=True):
        shown = [20 * int(row.sum()) >= most for row, most in zip(view, largest, strict=True)]
        expected = [
            slow_mask_of_atom(row) if is_shown else 0 for row, is_shown in zip(view.tolist(), shown, strict=True)
        ]
        assert masks.tolist() == expected


@settings(max_examples=20)
@given(st.integers(1, 40), st.sampled_from([0.3, 0.35, 1 / 3, 0.123]), SEEDS)
def test_evidence_is_of_whole_numbers_and_fills_old_memory(num_atoms: int, theta: float, seed: int) -> None:
    both = np.random.default_rng(seed).integers(0, 256, (num_atoms, num_atoms)).astype(np.uint8)
    same = both // 2
    used = np.full((num_atoms, num_atoms), np.nan)
    evidence, scale = signed_evidence(same, both, theta, used)
    expected = scale * same.astype(int) - round(theta * scale) * both.astype(int)
    assert evidence is used and (evidence == expected).all()
    assert abs(round(theta * scale) / scale - theta) < 1e-3
    assert (signed_evidence(same, both, theta)[0] == expected).all()


def test_more_views_than_a_byte_holds_are_counted() -> None:
    same, both = count_agreement([np.array([1, 1, 2])] * 300, 3)
    assert same[0, 1] == both[0, 2] == 300
    assert signed_evidence(same, both, 0.4)[0][0, 2] == -600


def slow_instances(
    views: list[np.ndarray], cluster: np.ndarray, options: ConsensusOptions
) -> tuple[list[list[int]], list[list[float]], dict[int, int]]:
    """The cluster of each mask (-1 for none), its purity, and the support of the clusters that are kept."""
    clusters = sorted(set(cluster.tolist()))
    weights = [{c: view[cluster == c].sum(axis=0).tolist() for c in clusters} for view in views]

    def own(view: dict[int, list[int]], label: int, allowed: list[int]) -> tuple[int, float]:
        total = sum(view[c][label] for c in clusters)
        best = max(allowed, key=lambda c: (view[c][label], -c), default=-1)
        return (best, view[best][label] / total) if label and best >= 0 and view[best][label] else (-1, 0.0)

    def all_owners(allowed: list[int]) -> list[list[tuple[int, float]]]:
        return [[own(view, label, allowed) for label in range(len(view[0]))] for view in weights]

    first = all_owners(clusters)
    support = {c: sum(any(o == c and p > options.pure for o, p in view) for view in first) for c in clusters}
    visible = {
        c: sum(sum(v[c]) >= max(options.visible_share * sum(map(sum, v.values())), 1) for v in weights)
        for c in clusters
    }
    least = options.required_support(len(views))
    kept = [c for c in clusters if support[c] >= max(least, Fraction(1, 3) * visible[c])]
    found = all_owners(kept)
    return [[o for o, _ in v] for v in found], [[p for _, p in v] for v in found], {c: support[c] for c in kept}


@settings(max_examples=60)
@given(st.integers(1, 10), st.integers(1, 5), st.integers(1, 8), SEEDS)
def test_instances_of_masks_agree_with_loops(num_atoms: int, num_labels: int, num_views: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = [random_weights(num_atoms, num_labels, rng) for _ in range(num_views)]
    cluster = np.unique(rng.integers(0, 4, num_atoms), return_inverse=True)[1]
    options = ConsensusOptions(visible_share=0.25)
    found = find_instances([csr_array(view) for view in views], cluster, options)
    clusters, purity, support = slow_instances(views, cluster, options)
    number = [*found.of_cluster.tolist(), 0]
    assert [view.tolist() for view in found.of_mask] == [[number[c] for c in view] for view in clusters]
    assert all(np.allclose(mine, slow) for mine, slow in zip(found.purity, purity, strict=True))
    kept = [c for c in range(cluster.max() + 1) if number[c]]
    assert {c: found.support[number[c] - 1] for c in kept} == {c: support[c] for c in kept}
    totals = [sum(view[cluster == c].sum() for view in views) for c in sorted(kept, key=lambda c: number[c])]
    assert totals == sorted(totals, reverse=True)


def random_atoms(views: list[BlendedView], num_gaussians: int, rng: np.random.Generator) -> Atoms:
    """Three atoms; Gaussians that no view shows have none."""
    shown = np.isin(np.arange(num_gaussians), np.concatenate([view.gaussians for view in views]))
    return Atoms(np.where(shown, rng.integers(0, 3, num_gaussians), NO_ATOM), 3)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), SEEDS)
def test_votes_agree_with_loops(num_gaussians: int, num_labels: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = [random_blended_view(num_gaussians, num_labels, rng) for _ in range(3)]
    of_mask = [np.concatenate([[0], rng.integers(0, 4, num_labels - 1)]).astype(np.int32) for _ in views]
    purity = [rng.random(num_labels) for _ in views]
    instances = Instances(np.zeros(0, np.int32), of_mask, purity, np.ones(3, int), np.ones(3, int))
    atoms = random_atoms(views, num_gaussians, rng)
    atom_views = [atom_units(view, atoms.of_gaussian, atoms.count) for view in views]
    expected = np.zeros((num_gaussians, 4))
    for view, ids, shares in zip(views, of_mask, purity, strict=True):
        for gaussian, label, units in zip(view.gaussians, view.labels, view.units, strict=True):
            if shares[label] > 0.5 and ids[label]:
                expected[gaussian, ids[label]] += units * shares[label]
    expected /= np.maximum(expected.sum(axis=1, keepdims=True), 1)
    votes = count_votes(views, atom_views, atoms, instances, 0.5, top)
    assert votes.labels.shape == votes.shares.shape == (num_gaussians, top)
    kept = np.where(expected >= np.sort(expected, axis=1)[:, -top, None], expected, 0)
    np.testing.assert_allclose(votes.of((1, 2, 3)).dense(), kept[:, 1:], atol=1e-5)
    assert (np.diff(votes.shares, axis=1) <= 0).all() and ((votes.labels == 0) == (votes.shares == 0)).all()
