"""What people do with instances, on a trained scene; and a thousand random actions of a person who reads nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.listing import by_size
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.scene.state import scene_from_state, scene_to_state
from tests.plugin.viewer.conftest import selected, shown_ids, spot_showing, viewer_camera, viewer_view
from tests.scene.scenes import corrected_state

ACTIONS = 1000


def test_a_click_selects_and_says_what_it_met(run: Run, session: Session) -> None:
    view = viewer_view(run)
    first, second = shown_ids(run)[:2]
    said = session.click(view, spot_showing(run, first))
    assert selected(session) == (first,) and said.startswith(f"{first}: instance {first}, ")
    session.click(view, spot_showing(run, second))
    assert selected(session) == (second,)
    assert session.click(view, spot_showing(run, first), add=True) == "2 instances selected."
    assert selected(session) == tuple(sorted((first, second)))
    session.click(view, spot_showing(run, first), add=True)
    assert selected(session) == (second,)
    assert run.model.scene is session.scene


def test_a_click_on_nothing_changes_nothing(run: Run, session: Session) -> None:
    spot = spot_showing(run, shown_ids(run)[0])
    session.show(min_confidence=1.0)
    before = session.scene
    assert "Nothing was recognised" in session.click(viewer_view(run), spot)
    assert "Nothing was recognised" in session.split_at(viewer_view(run), spot)
    assert session.scene is before


def test_a_box_selects_and_adds(run: Run, session: Session) -> None:
    view = viewer_view(run)
    session.box(view, (0.0, 0.0), (1.0, 1.0))
    assert list(selected(session)) == sorted(shown_ids(run))
    session.box(view, (0.0, 0.0), (1.0, 1.0), add=True)
    assert selected(session) == ()
    assert "No instance" in session.box(view, (0.5, 0.5), (0.5, 0.5))


def test_stepping_by_size_goes_around(session: Session) -> None:
    order = [instance.id for instance in by_size(session.scene)]
    seen = []
    for _ in range(len(order) + 1):
        session.select_next(1)
        seen += selected(session)
    assert seen == [*order, order[0]]
    session.select_next(-1)
    assert selected(session) == (order[-1],)


def test_hidden_instances_leave_the_picture_and_come_back(run: Run, session: Session) -> None:
    first, second = shown_ids(run)[:2]

    def in_picture() -> set[int]:
        outputs = run.model.get_outputs_for_camera(viewer_camera(run))["segmentation"]
        colors = (outputs * 255).round().to(torch.uint8).reshape(-1, 3).unique(dim=0).tolist()
        return {n for n in session.scene.ids if instance_colors(torch.tensor([n]).numpy())[0].tolist() in colors}

    session.show(outline=0)
    assert {first, second} <= in_picture()
    session.select([first])
    assert "Hid 1" in session.hide_selected() and selected(session) == ()
    assert first not in in_picture() and second in in_picture()
    session.select([second])
    session.isolate_selected()
    assert in_picture() == {second}
    session.select([first])  # what is selected is not hidden
    assert {first, second} <= in_picture()
    session.show_all()
    assert session.scene.display.hidden == ()


def test_merging_recolours_and_undo_brings_everything_back(run: Run, session: Session) -> None:
    before, start = corrected_state(session.scene), segment_view(run.model, session.scene, viewer_camera(run)).labels
    large, small = sorted(shown_ids(run)[:2], key=lambda n: -session.scene.instance(n).pixels)
    session.select([small, large])
    said = session.merge_selected()
    assert said.startswith(f"Merged {min(small, large)}, {max(small, large)} into {large}: ")
    assert selected(session) == (large,)
    labels = segment_view(run.model, session.scene, viewer_camera(run)).labels
    assert (labels == torch.from_numpy(start).masked_fill(torch.from_numpy(start) == small, large).numpy()).all()
    assert session.editor.unsaved == 1
    assert session.undo() == "Undo done." and corrected_state(session.scene) == before
    assert session.redo() == "Redo done." and small not in session.scene.ids
    assert session.redo() == "There is nothing to redo."


def test_two_clicks_split_what_was_merged(run: Run, session: Session) -> None:
    first, second = shown_ids(run)[:2]
    spots = [spot_showing(run, number) for number in (first, second)]
    session.select([first, second])
    session.merge_selected()
    assert "now click on its other part" in session.split_at(viewer_view(run), spots[0])
    session.split_at(viewer_view(run), spots[1])
    assert {first, second} <= {*session.scene.ids} and selected(session) == tuple(sorted((first, second)))


def test_two_clicks_split_one_part(run: Run, session: Session) -> None:
    number = shown_ids(run)[0]
    x, y = spot_showing(run, number)
    session.split_at(viewer_view(run), (x, y))
    said = session.split_at(viewer_view(run), (x + 0.04, y))
    assert said.startswith(f"Split {number}: the other part is ")
    assert len(selected(session)) == 2 and sum(i.pixels for i in session.scene.instances if i.id in selected(session))
    session.undo()
    assert number in session.scene.ids


def test_clicks_on_two_instances_or_one_after_another_tool_start_a_split_anew(run: Run, session: Session) -> None:
    first, second = (spot_showing(run, number) for number in shown_ids(run)[:2])
    session.split_at(viewer_view(run), first)
    assert "now click" in session.split_at(viewer_view(run), second)
    session.forget_split()
    assert "now click" in session.split_at(viewer_view(run), second)
    assert not session.editor.can_undo


def test_the_same_point_twice_cannot_split(run: Run, session: Session) -> None:
    spot = spot_showing(run, shown_ids(run)[0])
    session.split_at(viewer_view(run), spot)
    with pytest.raises(ProtoSagaError, match=r"cannot be done: .*same feature"):
        session.split_at(viewer_view(run), spot)
    assert not session.editor.can_undo
    assert "now click" in session.split_at(viewer_view(run), spot)


def test_names(session: Session) -> None:
    number = session.scene.ids[0]
    session.select([number])
    name = "<b>{1+1}</b> ünï | `x`"
    assert name in session.rename_selected(f"  {name} ")
    assert session.scene.instance(number).name == name
    session.rename_selected("")
    assert session.scene.instance(number).name == f"instance {number}"


def test_fragments_are_absorbed_and_their_colour_goes(run: Run, session: Session) -> None:
    before = len(session.scene.ids)
    assert "no fragments" in session.absorb(0.0)
    said = session.absorb(1.0)
    assert said.startswith("Absorbed ") and len(session.scene.ids) < before
    session.undo()
    assert len(session.scene.ids) == before


def test_saving_counts_and_a_failure_saves_nothing(session: Session) -> None:
    session.select(session.scene.ids[:2])
    session.merge_selected()

    def full() -> None:
        raise ProtoSagaError("no room")

    with pytest.raises(ProtoSagaError, match="no room"):
        session.save(full)
    assert session.editor.unsaved == 1
    assert session.save(lambda: None) == "Saved 1 change and the look of the scene."
    assert session.editor.unsaved == 0 and not session.editor.display_changed


@pytest.mark.parametrize(
    ("count", "act"),
    [
        (0, lambda session: session.hide_selected()),
        (0, lambda session: session.isolate_selected()),
        (0, lambda session: session.rename_selected("x")),
        (2, lambda session: session.rename_selected("x")),
        (0, lambda session: session.merge_selected()),
        (1, lambda session: session.merge_selected()),
        (1, lambda session: session.select([10**6])),
    ],
)
def test_impossible_actions_say_so_and_change_nothing(
    session: Session, count: int, act: Callable[[Session], str]
) -> None:
    session.select(session.scene.ids[:count])
    before = session.scene
    with pytest.raises(ProtoSagaError, match=r"^(Select|There is no instance 1000000)"):
        act(session)
    assert session.scene is before


def test_without_a_scene_everything_says_what_to_do(run: Run) -> None:
    run.model.scene = None
    session = Session(run.model)
    assert not session.has_scene
    for act in (session.undo, session.show_all, session.merge_selected, lambda: session.show(outline=1)):
        with pytest.raises(ProtoSagaError, match="no instances yet"):
            act()


def test_a_scene_that_is_replaced_from_outside_is_noticed(run: Run, session: Session) -> None:
    start = session.scene
    assert not session.corrections_lost
    session.select(start.ids[:2])
    session.merge_selected()
    run.model.scene = start.with_display(outline=5)  # association ran again
    assert session.scene is run.model.scene and session.scene.ids == start.ids
    assert not session.editor.can_undo and session.editor.unsaved == 0 and session.corrections_lost
    run.model.scene = start
    assert session.undo() == "There is nothing to undo." and not session.corrections_lost


def test_a_thousand_random_actions_leave_a_whole_scene(run: Run, session: Session) -> None:
    """Whatever they were, the scene saves and loads as it is, and undoing all leads back to the start."""
    before, dice, view = corrected_state(session.scene), random.Random(0), viewer_view(run)
    some = [(dice.random(), dice.random()) for _ in range(40)]
    actions: list[Callable[[], object]] = [
        lambda: session.select(dice.sample(session.scene.ids, min(2, len(session.scene.ids))), dice.random() < 0.3),
        lambda: session.select([dice.randrange(30)], add=True),
        lambda: session.select_next(dice.choice((-1, 1))),
        lambda: session.click(view, dice.choice(some), dice.random() < 0.5),
        lambda: session.box(view, (0.2, 0.2), dice.choice(some)),
        session.hide_selected,
        session.isolate_selected,
        session.show_all,
        session.merge_selected,
        lambda: session.split_at(view, dice.choice(some)),
        lambda: session.split_at(view, dice.choice(some)),
        lambda: session.rename_selected(dice.choice(("", "a", "<b>{1}</b>"))),
        lambda: session.absorb(dice.choice((0.01, 0.2))),
        session.undo,
        session.undo,
        session.redo,
        session.forget_split,
        lambda: session.save(lambda: None),
        lambda: session.show(min_confidence=dice.choice((0.0, 0.5)), outline=dice.randrange(4)),
    ]
    done = 0
    for _ in range(ACTIONS):
        try:
            dice.choice(actions)()
            done += 1
        except ProtoSagaError as error:
            assert str(error).startswith(("Select ", "That cannot be done", "There is no instance"))
        display, ids = session.scene.display, {*session.scene.ids}
        assert {*display.selected} <= ids and {*display.hidden} <= ids | {0}
        assert not {*display.selected} & {*display.hidden} and run.model.scene is session.scene
        assert session.editor.unsaved >= 0
    assert done > ACTIONS / 2
    again = scene_from_state(scene_to_state(session.scene))
    assert again.display == session.scene.display and again.instances == session.scene.instances
    assert corrected_state(again) == corrected_state(session.scene)
    while session.editor.can_undo:
        session.undo()
    assert corrected_state(session.scene) == before
