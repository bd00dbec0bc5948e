"""What became of true instances, against plain loops over pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto_saga_ns.evaluation.instance import InstanceProtocol
from proto_saga_ns.evaluation.report.figures import Confidences, Overlaps, TrueInstance

View = tuple[np.ndarray, np.ndarray]
maps = st.lists(st.integers(0, 3), min_size=12, max_size=12).map(lambda ids: np.array(ids).reshape(3, 4))
some_views = st.lists(st.tuples(maps, maps), min_size=1, max_size=3)


def look(views: list[View]) -> list[TrueInstance]:
    protocol, overlaps = InstanceProtocol(), Overlaps()
    for truth, prediction in views:
        protocol.add(truth, prediction)
        overlaps.add(truth, prediction)
    result = protocol.result().without_void
    return [] if result is None else overlaps.true_instances(result)


def pixels(views: list[View]) -> list[tuple[int, int]]:
    """True and predicted id of every pixel that is not void."""
    pairs = [pair for truth, prediction in views for pair in zip(truth.flat, prediction.flat, strict=True)]
    return [(int(truth), int(predicted)) for truth, predicted in pairs if truth]


@settings(max_examples=60)
@given(some_views)
def test_counts_are_those_of_a_loop_over_pixels(views: list[View]) -> None:
    found, pairs = {instance.id: instance for instance in look(views)}, pixels(views)
    assert found.keys() == {truth for truth, _ in pairs}
    match_of = {instance.match: instance.id for instance in found.values() if instance.match is not None}
    for id, instance in found.items():
        mine = [predicted for truth, predicted in pairs if truth == id]
        assert instance.pixels == len(mine)
        assert instance.views == sum(bool((truth == id).any()) for truth, _ in views)
        assert {label.id for label in instance.labels} == set(mine)
        for label in instance.labels:
            assert label.share == pytest.approx(mine.count(label.id) / len(mine))
            assert label.match == match_of.get(label.id)
        assert instance.unlabelled == pytest.approx(mine.count(0) / len(mine))


@settings(max_examples=60)
@given(some_views)
def test_what_the_holder_shows_is_that_of_a_loop(views: list[View]) -> None:
    pairs = pixels(views)
    for instance in look(views):
        holders = [label for label in instance.labels if label.id]
        if not holders:
            assert instance.holder_shows == () and instance.own_share == 0
            continue
        held = [truth for truth, predicted in pairs if predicted == holders[0].id]
        assert {content.id for content in instance.holder_shows} == set(held)
        for content in instance.holder_shows:
            both = held.count(content.id)
            assert content.share == pytest.approx(both / len(held))
            assert content.covered == pytest.approx(both / sum(truth == content.id for truth, _ in pairs))


@settings(max_examples=60)
@given(some_views)
def test_order_matches_and_shares(views: list[View]) -> None:
    found = look(views)
    assert [(it.iou, it.id) for it in found] == sorted((it.iou, it.id) for it in found)
    matches = [it.match for it in found if it.match is not None]
    assert len(matches) == len(set(matches)) and 0 not in matches
    for it in found:
        assert sum(label.share for label in it.labels) == pytest.approx(1)
        shares = [label.share for label in it.labels]
        assert shares == sorted(shares, reverse=True)
        assert {*it.pieces, *it.lost} == {*it.parts} and not {*it.pieces} & {*it.lost}


def test_the_mean_iou_is_that_of_the_protocol() -> None:
    rng = np.random.default_rng(0)
    views = [(rng.integers(0, 5, (6, 8)), rng.integers(0, 5, (6, 8))) for _ in range(3)]
    protocol = InstanceProtocol()
    for view in views:
        protocol.add(*view)
    inner = protocol.result().without_void
    assert inner is not None and inner.miou == pytest.approx(np.mean([it.iou for it in look(views)]))


@settings(max_examples=30)
@given(st.lists(maps, min_size=1, max_size=3), st.integers(0, 99))
def test_confidence_is_the_mean_over_all_pixels_of_an_instance(views: list[np.ndarray], seed: int) -> None:
    rng, confidences = np.random.default_rng(seed), Confidences()
    values = [rng.random(labels.shape) for labels in views]
    for labels, confidence in zip(views, values, strict=True):
        confidences.add(labels, confidence)
    for id in range(5):
        mine = [c[labels == id] for labels, c in zip(views, values, strict=True)]
        mean = np.concatenate(mine).mean() if any(map(len, mine)) else None
        assert confidences.mean(id) == (None if mean is None else pytest.approx(mean))
