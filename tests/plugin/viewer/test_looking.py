"""What lies under the mouse is what the picture shows there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.plugin.model.outputs import shown_labels
from proto_saga_ns.plugin.model.render import Gaussians
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.looking import BOX_SHARE, instances_in_box, look_at, mostly_inside
from tests.plugin.viewer.conftest import shown_ids, spot_of, spot_showing, viewer_camera, viewer_view


def test_a_click_finds_what_the_picture_shows_there(run: Run) -> None:
    labels = segment_view(run.model, run.scene, viewer_camera(run)).labels
    view, generator = viewer_view(run), np.random.default_rng(0)
    for _ in range(100):
        column, row = int(generator.integers(view.width)), int(generator.integers(view.height))
        point = look_at(run.model, run.scene, view, spot_of(view, column, row))
        assert point.instance == labels[row, column]
        votes = None if point.votes is None else point.votes[None, None]
        alone, _ = run.scene.segment(point.feature[None, None], torch.ones(1, 1), votes)
        assert point.instance in (0, int(alone))


def test_places_on_the_rim_are_inside(run: Run) -> None:
    labels = segment_view(run.model, run.scene, viewer_camera(run)).labels
    for spot, (row, column) in {(0.0, 0.0): (0, 0), (1.0, 1.0): (-1, -1), (1.0, -0.1): (0, -1)}.items():
        assert look_at(run.model, run.scene, viewer_view(run), spot).instance == labels[row, column]


def test_hidden_instances_are_looked_through(run: Run) -> None:
    in_front = shown_ids(run)[-1]
    place = viewer_view(run), spot_showing(run, in_front)
    assert look_at(run.model, run.scene, *place).instance == in_front
    behind = look_at(run.model, run.scene.with_display(hidden=(in_front,)), *place).instance
    assert behind != in_front
    everything = run.scene.with_display(hidden=(0, *run.scene.ids))
    assert look_at(run.model, everything, *place).instance == 0


def test_where_nothing_is_hidden_a_click_copies_no_gaussians(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr(Gaussians, "of", lambda self, keep: chosen.append(keep) or self)
    assert not run.scene.display.hidden
    look_at(run.model, run.scene, viewer_view(run), (0.5, 0.5))
    assert not chosen
    look_at(run.model, run.scene.with_display(hidden=run.scene.ids[:1]), viewer_view(run), (0.5, 0.5))
    assert len(chosen) == 1


def test_what_is_not_confident_enough_to_be_shown_is_not_found(run: Run) -> None:
    place = viewer_view(run), spot_showing(run, shown_ids(run)[0])
    assert look_at(run.model, run.scene, *place).instance
    assert look_at(run.model, run.scene.with_display(min_confidence=1.0), *place).instance == 0


corners = st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2))


@given(st.integers(0, 2**31), corners, corners)
def test_a_box_selects_what_lies_mostly_inside(seed: int, a: tuple, b: tuple) -> None:
    low, high = tuple(map(min, a, b)), tuple(map(max, a, b))
    labels = np.random.default_rng(seed).integers(0, 5, (7, 9)).astype(np.int32)
    x = [round(min(max(value, 0.0), 1.0) * 9) for value in (low[0], high[0])]
    y = [round(min(max(value, 0.0), 1.0) * 7) for value in (low[1], high[1])]
    inside: dict[int, int] = {}
    for row in range(y[0], y[1]):
        for column in range(x[0], x[1]):
            inside[labels[row, column]] = inside.get(labels[row, column], 0) + 1
    expected = [n for n in range(1, 5) if inside.get(n, 0) > BOX_SHARE * (labels == n).sum()]
    assert mostly_inside(labels, low, high) == tuple(expected)


def test_a_box_around_the_whole_picture_holds_all_that_it_shows(run: Run) -> None:
    view = viewer_view(run)
    scene = run.scene
    labels, _ = shown_labels(scene, run.model.render_some(view, torch.ones(len(run.model.means), dtype=torch.bool)))
    whole = instances_in_box(run.model, scene, view, (0.0, 0.0), (1.0, 1.0))
    assert whole == tuple(n for n in labels.unique().tolist() if n)
    gone = whole[0]
    assert gone not in instances_in_box(run.model, scene.with_display(hidden=(gone,)), view, (0.0, 0.0), (1.0, 1.0))
    assert instances_in_box(run.model, scene, view, (0.5, 0.5), (0.5, 0.5)) == ()


def test_a_view_without_pixels_holds_nothing() -> None:
    assert mostly_inside(np.zeros((0, 0), np.int32), (0.0, 0.0), (1.0, 1.0)) == ()


@pytest.mark.parametrize("background", ["dimmed", "black"])
def test_looking_does_not_depend_on_what_is_selected(run: Run, background: str) -> None:
    number = shown_ids(run)[0]
    place = viewer_view(run), spot_showing(run, number)
    others = tuple(n for n in run.scene.ids if n != number)
    scene = run.scene.with_display(selected=others, background=background)
    assert look_at(run.model, scene, *place).instance == number
