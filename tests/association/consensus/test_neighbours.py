"""Joining neighbours: rounds against loops in fractions, sums against dense counts, and one tree of all merges."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus import consensus, neighbours
from proto_saga_ns.association.consensus.agreement import agglomerate, count_agreement, signed_evidence
from proto_saga_ns.association.consensus.consensus import find_consensus
from proto_saga_ns.association.consensus.neighbours import Joined, Sightings, join_neighbours, near_pairs
from proto_saga_ns.association.options import ConsensusOptions
from tests.association.consensus.worlds import object_views, renamed

SEEDS = st.integers(0, 10**6)


def random_masks(atoms: int, views: int, seed: int) -> list[np.ndarray]:
    """Of half as many objects as atoms; half of the masks are those of the object, others are taken at random."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, max(atoms // 2, 1) + 1, atoms)
    return [np.where(rng.random(atoms) < 0.5, truth, rng.integers(0, 4, atoms)) for _ in range(views)]


def random_pairs(atoms: int, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pairs = [pair for pair in combinations(range(atoms), 2) if rng.random() < share]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def slow_clusters(masks: list[np.ndarray], pairs: np.ndarray, theta: Fraction, most: int) -> list[list[int]]:
    """Rounds of merges, every link anew; sorted by their first atoms."""

    def link(one: list[int], other: list[int]) -> Fraction:
        seen = [(view[a], view[b]) for view in masks for a in one for b in other if view[a] and view[b]]
        return (sum(a == b for a, b in seen) - theta * len(seen)) / (len(one) * len(other))

    def seen_together(a: int, b: int) -> bool:
        return any(view[a] and view[b] for view in masks)

    near = {frozenset(pair) for pair in pairs.tolist() if seen_together(*pair)}
    clusters = [[atom] for atom in range(len(masks[0]))]
    while len(clusters) > most:
        links: dict[tuple[int, int], Fraction] = {}
        for i, j in combinations(range(len(clusters)), 2):
            if any(frozenset((a, b)) in near for a in clusters[i] for b in clusters[j]):
                links[i, j] = link(clusters[i], clusters[j])
        partner = {}
        for i in range(len(clusters)):
            mine = [(-value, sum(pair) - i) for pair, value in links.items() if i in pair and value > 0]
            partner[i] = min(mine, default=(0, None))[1]
        mutual = [(i, j) for i, j in links if partner[i] == j and partner[j] == i]
        mutual = sorted(mutual, key=lambda pair: -links[pair])[: min((len(mutual) + 1) // 2, len(clusters) - most)]
        if not mutual:
            break
        for i, j in mutual:
            clusters[i] = sorted(clusters[i] + clusters[j])
        gone = {j for _, j in mutual}
        clusters = [cluster for i, cluster in enumerate(clusters) if i not in gone]
    return clusters


def members(joined: Joined) -> list[list[int]]:
    found = {atom: [atom] for atom in range(joined.num_atoms)}
    for kept, gone in zip(joined.kept.tolist(), joined.gone.tolist(), strict=True):
        found[kept] += found.pop(gone)
    return [sorted(cluster) for cluster in found.values()]


@settings(max_examples=60)
@example(atoms=6, views=1, theta=0.3, most=4, share=1.0, seed=18937)
@given(st.integers(1, 10), st.integers(1, 12), st.sampled_from([0.3, 0.6]), st.integers(1, 6), st.floats(0, 1), SEEDS)
def test_rounds_are_those_of_loops(atoms: int, views: int, theta: float, most: int, share: float, seed: int) -> None:
    masks, pairs = random_masks(atoms, views, seed), random_pairs(atoms, share, seed)
    joined, sightings = join_neighbours(Sightings.of_atoms(masks, atoms), pairs, theta, most)
    assert members(joined) == slow_clusters(masks, pairs, Fraction(theta).limit_denominator(1000), most)
    assert [min(cluster) for cluster in members(joined)] == joined.names.tolist()
    assert joined.sizes.tolist() == [len(cluster) for cluster in members(joined)] == sightings.sizes.tolist()
    assert (joined.then(agglomerate(np.zeros((0, 0))), theta).linkage > 0).all()


@settings(max_examples=40)
@given(st.integers(1, 10), st.integers(0, 12), st.integers(1, 4), SEEDS)
def test_links_of_clusters_are_sums_over_their_atoms(atoms: int, views: int, clusters: int, seed: int) -> None:
    masks, rng = random_masks(atoms, views, seed), np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, atoms)
    sightings = Sightings.of_atoms(masks, atoms).merged(cluster, clusters)
    inside = np.eye(clusters, dtype=np.int64)[cluster]
    expected = [inside.T @ counts.astype(np.int64) @ inside for counts in count_agreement(masks, atoms)]
    one, other = (column.reshape(-1) for column in np.mgrid[:clusters, :clusters])
    for found, matrix, dense in zip(sightings.links(one, other), expected, sightings.all_links(), strict=True):
        assert (found.reshape(clusters, clusters) == matrix).all() and (dense == matrix).all()


@settings(max_examples=30)
@given(st.integers(2, 12), st.integers(1, 12), st.integers(1, 6), SEEDS)
def test_merges_of_neighbours_and_of_clusters_make_one_tree(atoms: int, views: int, most: int, seed: int) -> None:
    masks = random_masks(atoms, views, seed)
    joined, sightings = join_neighbours(Sightings.of_atoms(masks, atoms), random_pairs(atoms, 0.5, seed), 0.6, most)
    for theta in (0.3, 0.6):
        evidence, scale = signed_evidence(*sightings.all_links(), theta)
        later = agglomerate(evidence, sizes=joined.sizes)
        tree = joined.then(later, theta)
        assert len(tree.kept) == atoms - 1 and (np.diff(tree.linkage) <= 0).all() and (tree.kept < tree.gone).all()
        assert sorted(tree.gone.tolist()) == list(range(1, atoms))
        for fine, coarse in pairwise(tree.cut(level) for level in [*np.unique(tree.linkage)[::-1], -np.inf]):
            assert len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == fine.max() + 1
        clusters = [set(np.flatnonzero(tree.cut() == number).tolist()) for number in range(tree.cut().max() + 1)]
        assert all(any(set(found) <= cluster for cluster in clusters) for found in members(joined))
        assert scale > 0


def test_nothing_joined_leaves_the_tree_as_it_is() -> None:
    masks = random_masks(9, 7, 0)
    evidence, _ = signed_evidence(*count_agreement(masks, 9), 0.4)
    tree = agglomerate(evidence.copy())
    again = Joined.nothing(9).then(agglomerate(evidence, sizes=Joined.nothing(9).sizes), 0.4)
    assert all((getattr(tree, name) == getattr(again, name)).all() for name in ("kept", "gone", "linkage"))


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 8), SEEDS)
def test_neighbours_are_the_nearest(atoms: int, count: int, seed: int) -> None:
    places = np.random.default_rng(seed).normal(size=(atoms, 3))
    order = np.linalg.norm(places[:, None] - places, axis=2).argsort(axis=1)[:, 1 : count + 1]
    expected = {(min(a, b), max(a, b)) for a in range(atoms) for b in order[a].tolist()}
    assert [tuple(pair) for pair in near_pairs(places, count).tolist()] == sorted(expected)


def house(objects: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Two rooms of objects, each view in one of them."""
    rng = np.random.default_rng(seed)
    truth = np.arange(30 * objects) % objects
    places, codes = 5 * rng.normal(size=(objects, 3)), 5 * rng.normal(size=(objects, 4))
    means = places[truth] + 0.05 * rng.normal(size=(len(truth), 3))
    embeddings = codes[truth] + 0.5 * rng.normal(size=(len(truth), 4))
    room = object_views(truth, num_views=60, split=0.25, merge=0.12, seed=seed)
    return {
        "means": np.concatenate([means, means + 100]),
        "embeddings": np.tile(embeddings, (2, 1)),
        "views": room,
    }, truth


@pytest.mark.parametrize("most", [5, 20, 40])
def test_objects_are_found_where_atoms_are_too_many_to_compare(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "MOST_COMPARED", most)
    monkeypatch.setattr(neighbours, "LINKS_AT_A_TIME", 7)
    rng = np.random.default_rng(most)
    given, truth = house(6, seed=3)
    views, size = given["views"], len(truth)
    there = [type(view)(view.gaussians + size, view.labels, view.units, view.num_labels) for view in views]
    options = ConsensusOptions(num_atoms=100)
    found = find_consensus(given["means"], given["embeddings"], [*views, *there], options)
    whole = np.concatenate([truth, truth + 6])
    assert found.atoms.count > most and len(found.tree.kept) == found.atoms.count - 1
    assert len(set(zip(whole.tolist(), found.votes.labels[:, 0].tolist(), strict=True))) == 12
    assert len(found.instances.support) == 12
    others = [renamed(view, rng)[0] for view in [*views, *there]]
    order = rng.permutation(len(others))
    again = find_consensus(given["means"], given["embeddings"], [others[index] for index in order], options)
    assert (again.votes.labels == found.votes.labels).all() and (again.votes.shares == found.votes.shares).all()
    assert (again.tree.kept == found.tree.kept).all() and (again.tree.linkage == found.tree.linkage).all()
