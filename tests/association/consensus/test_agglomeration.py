"""Agglomeration against the textbook's loop, in fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.association.consensus import agreement
from proto_saga_ns.association.consensus.agreement import agglomerate


def random_evidence(count: int, largest: int, seed: int) -> np.ndarray:
    """Symmetric whole numbers; few different ones, so that there are ties."""
    half = np.triu(np.random.default_rng(seed).integers(-largest, largest + 1, (count, count)), 1)
    return (half + half.T).astype(np.float64)


def slow_agglomerate(evidence: np.ndarray) -> list[tuple[int, int, Fraction]]:
    clusters = {leaf: [leaf] for leaf in range(len(evidence))}
    merges = []
    while len(clusters) > 1:
        links = {
            (a, b): Fraction(int(sum(evidence[i, j] for i in clusters[a] for j in clusters[b])))
            / (len(clusters[a]) * len(clusters[b]))
            for a in clusters
            for b in clusters
            if a < b
        }
        (a, b), linkage = max(links.items(), key=lambda link: (link[1], -link[0][0], -link[0][1]))
        clusters[a] += clusters.pop(b)
        merges.append((a, b, linkage))
    return merges


@settings(max_examples=80)
@given(st.integers(0, 14), st.sampled_from([1, 3, 100]), st.integers(0, 10**6))
def test_merges_are_those_of_the_textbook(count: int, largest: int, seed: int) -> None:
    evidence = random_evidence(count, largest, seed)
    expected = slow_agglomerate(evidence)
    tree = agglomerate(evidence.copy())
    assert list(zip(tree.kept.tolist(), tree.gone.tolist(), strict=True)) == [merge[:2] for merge in expected]
    assert tree.linkage.tolist() == [float(merge[2]) for merge in expected]


@settings(max_examples=30)
@given(st.integers(1, 40), st.sampled_from([1, 5, 100]), st.integers(0, 10**6))
def test_links_never_rise_and_cuts_are_nested(count: int, largest: int, seed: int) -> None:
    tree = agglomerate(random_evidence(count, largest, seed))
    assert (np.diff(tree.linkage) <= 0).all()
    levels = [*np.unique(tree.linkage)[::-1].tolist(), -np.inf]
    cuts = [tree.cut(level) for level in levels]
    for fine, coarse in pairwise(cuts):
        assert len(set(zip(fine.tolist(), coarse.tolist(), strict=True))) == fine.max() + 1
    assert cuts[0].max() == count - 1
    assert (cuts[-1] == 0).all()


@given(st.integers(0, 30), st.integers(0, 10**6))
@settings(max_examples=20)
def test_stopping_gives_the_same_clusters_as_cutting(count: int, seed: int) -> None:
    evidence = random_evidence(count, 4, seed)
    stopped, whole = agglomerate(evidence.copy(), above=0.0), agglomerate(evidence)
    assert len(stopped.kept) == (whole.linkage > 0).sum()
    assert stopped.cut().tolist() == whole.cut().tolist()


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 64])
def test_closing_up_the_matrix_changes_nothing(rows_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = random_evidence(150, 3, seed=1)
    monkeypatch.setattr(agreement, "LEAST_FULL", 0.0)
    never = agglomerate(evidence.copy())
    monkeypatch.setattr(agreement, "LEAST_FULL", 0.9)
    monkeypatch.setattr(agreement, "ROWS_COPIED_AT_A_TIME", rows_at_a_time)
    often = agglomerate(evidence.copy())
    assert (often.kept == never.kept).all() and (often.gone == never.gone).all()
    assert (often.linkage == never.linkage).all()


def test_clusters_are_numbered_in_the_order_of_their_first_leaves() -> None:
    evidence = np.full((5, 5), -1.0)
    for a, b in ((0, 3), (1, 4)):
        evidence[a, b] = evidence[b, a] = 1.0
    assert agglomerate(evidence).cut().tolist() == [0, 1, 2, 0, 1]
