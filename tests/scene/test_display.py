"""What is selected is not hidden, and what is hidden is not selected."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.recognition.gaussian_instances import GaussianInstances
from proto_saga_ns.scene import Display
from proto_saga_ns.scene.display import REST

KNOWN = tuple(range(1, 9))
some_ids = st.frozensets(st.sampled_from((REST, *KNOWN)))
seeds = st.integers(0, 10**6)
steps = st.lists(st.tuples(st.sampled_from(("selecting", "hiding", "isolating", "limited_to")), some_ids), max_size=6)


def after(taken: list[tuple[str, frozenset[int]]]) -> Display:
    display = Display()
    for name, ids in taken:
        display = getattr(display, name)(ids, *([KNOWN] if name == "isolating" else []))
    return display


@given(steps)
def test_nothing_is_both_selected_and_hidden_and_the_rest_is_never_selected(
    taken: list[tuple[str, frozenset[int]]],
) -> None:
    display = after(taken)
    assert not {*display.selected} & {*display.hidden}
    assert REST not in display.selected
    for ids in (display.selected, display.hidden):
        assert list(ids) == sorted({*ids})


@given(steps, some_ids)
def test_each_change_does_what_it_says(taken: list[tuple[str, frozenset[int]]], ids: frozenset[int]) -> None:
    before = after(taken)
    selecting, hiding, isolating = before.selecting(ids), before.hiding(ids), before.isolating(ids, KNOWN)
    assert {*selecting.selected} == ids - {REST}
    assert {*selecting.hidden} == {*before.hidden} - (ids - {REST})
    assert {*hiding.hidden} == {*before.hidden} | ids
    assert {*hiding.selected} == {*before.selected} - ids - {*before.hidden}
    assert {*isolating.hidden} == {REST, *KNOWN} - ids
    assert before.selecting(ids).selecting(ids) == selecting and hiding.hiding(ids) == hiding
    assert isolating.isolating(ids, KNOWN) == isolating


@given(steps, some_ids)
def test_only_what_there_is_can_be_selected_or_hidden(
    taken: list[tuple[str, frozenset[int]]], known: frozenset[int]
) -> None:
    before = after(taken)
    limited = before.limited_to(known)
    assert {*limited.selected} == {*before.selected} & known
    assert {*limited.hidden} == {*before.hidden} & (known | {REST})
    assert before.limited_to(KNOWN) == before
    assert limited.limited_to(known) == limited


@given(steps)
def test_a_map_says_the_same_as_each_of_its_ids(taken: list[tuple[str, frozenset[int]]]) -> None:
    display = after(taken)
    ids = torch.tensor([[REST, *KNOWN, 400]], dtype=torch.int32)
    for number, hidden, shown in zip(ids[0].tolist(), display.is_hidden(ids)[0], display.is_shown(ids)[0], strict=True):
        assert bool(hidden) == (number in display.hidden)
        assert bool(shown) == (number not in display.hidden and (not display.selected or number in display.selected))


@given(steps, seeds)
def test_what_is_hardly_seen_goes_with_its_instance_and_with_the_rest(
    taken: list[tuple[str, frozenset[int]]], seed: int
) -> None:
    display = after(taken)
    draw = torch.Generator().manual_seed(seed)
    ids = torch.tensor([REST, *KNOWN], dtype=torch.int32).repeat(2)
    gaussians = GaussianInstances(ids, (torch.rand(len(ids), generator=draw) > 0.5) * (ids > 0).float())
    columns = (ids, gaussians.confidence, display.hides(gaussians), display.shows(gaussians))
    for number, confidence, hidden, shown in zip(*(column.tolist() for column in columns), strict=True):
        belongs_to = {number} if confidence else {number, REST}
        assert hidden == bool(belongs_to & {*display.hidden})
        assert shown == (not hidden and (not display.selected or belongs_to <= {*display.selected}))


def test_nothing_selected_means_everything() -> None:
    ids = torch.tensor([REST, *KNOWN])
    assert Display().is_shown(ids).all()
    assert Display().selecting([3]).is_shown(ids).nonzero().tolist() == [[3]]
    assert Display().isolating([3], KNOWN).is_shown(ids).nonzero().tolist() == [[3]]
    assert not Display(selected=(3,), hidden=(3,)).is_shown(ids).any()
    assert Display().hiding([REST]).is_shown(ids).nonzero()[:, 0].tolist() == [*KNOWN]


@pytest.mark.parametrize(
    "bad",
    [
        {"background": "pink"},
        {"outline": -1},
        *({"overlay_opacity": value} for value in (-0.1, 1.1, float("nan"))),
        *({"min_confidence": value} for value in (-0.1, 1.1, float("nan"))),
    ],
)
def test_what_cannot_be_displayed_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Display(**bad)
