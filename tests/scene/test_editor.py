"""Whatever a person does in whatever order, a scene can be saved, loaded and brought back to the start."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor

from proto_saga_ns.scene import SegmentedScene
from proto_saga_ns.scene import editor as editor_module
from proto_saga_ns.scene.corrections import absorbed, fragments, merged, renamed, split
from proto_saga_ns.scene.editor import Editor
from proto_saga_ns.scene.state import scene_from_state, scene_to_state
from tests.scene.scenes import random_features, random_scene, same_segmentation

EMBEDDINGS = random_features(5, 1, 60)[0]
MEANS = torch.randn(60, 3, generator=torch.Generator().manual_seed(6))
FEATURES = random_features(7)
ALPHA = torch.ones(FEATURES.shape[:2])


def through_a_checkpoint(scene: SegmentedScene) -> SegmentedScene:
    file = io.BytesIO()
    torch.save(scene_to_state(scene), file)
    file.seek(0)
    return scene_from_state(torch.load(file, weights_only=True))


def check_scene(scene: SegmentedScene) -> None:
    """Save, load and look at a scene in all ways."""
    loaded = through_a_checkpoint(scene)
    assert same_segmentation(loaded, scene) and loaded.display == scene.display
    owner = {member: number for number in scene.ids for member in scene.members(number)}
    assert sorted(owner) == [*scene.member_ids] and all(owner[number] == number for number in scene.ids)
    assert {*scene.names} <= {*scene.ids} and all(scene.names.values())
    display = scene.display
    assert {*display.selected} <= {*scene.ids} and {*display.hidden} <= {0, *scene.ids}
    assert not {*display.selected} & {*display.hidden}
    members = scene.cut_masks.member_of_mask()
    assert scene.mask_instances == {name: [owner.get(int(member), 0) for member in members[name]] for name in members}
    labels, _ = scene.segment(FEATURES, ALPHA)
    nearest = torch.cosine_similarity(FEATURES[..., None, :], scene.prototypes, dim=-1).argmax(dim=-1)
    found = [
        [slow_member(scene, row, FEATURES[y, x]) for x, row in enumerate(line)]
        for y, line in enumerate(nearest.tolist())
    ]
    assert labels.tolist() == [[owner[member] for member in line] for line in found]


def slow_member(scene: SegmentedScene, row: int, feature: Tensor) -> int:
    """The member that a prototype stands for, or what was cut off it, whichever direction is nearer."""
    member = scene.masks.ids[row]
    for cut in scene.cuts:
        if cut.member == member and float(feature @ cut.directions[1]) > float(feature @ cut.directions[0]):
            member = cut.new_member
    return member


@dataclass
class Node:
    """A state of the segmentation that the editor was in: a model of the history as a tree."""

    scene: SegmentedScene
    before: Node | None

    def line(self) -> list[Node]:
        return [self] if self.before is None else [*self.before.line(), self]


def steps_between(first: Node, second: Node) -> int:
    """Corrections to take back and to apply on the way from one to the other."""
    shared = sum(mine is theirs for mine, theirs in zip(first.line(), second.line(), strict=False))
    return len(first.line()) + len(second.line()) - 2 * shared


class Session:
    """An editor and a model of it, at the buttons of a panel."""

    def __init__(self, scene: SegmentedScene) -> None:
        self.editor = Editor(scene)
        self.node = self.saved = self.start = Node(scene, None)
        self.undone: list[Node] = []

    @property
    def scene(self) -> SegmentedScene:
        return self.editor.scene

    def pick(self, draw: random.Random, most: int) -> list[int]:
        return draw.sample([*self.scene.ids], min(len(self.scene.ids), draw.randint(1, most)))

    def select(self, draw: random.Random) -> None:
        self._show(lambda: self.scene.display.selecting(self.pick(draw, 3) if draw.random() < 0.8 else ()))

    def hide(self, draw: random.Random) -> None:
        self._show(lambda: self.scene.display.hiding([*self.pick(draw, 2), *draw.choice([(), (0,)])]))

    def isolate(self, draw: random.Random) -> None:
        self._show(lambda: self.scene.display.isolating(self.pick(draw, 2), self.scene.ids))

    def show_all(self, _: random.Random) -> None:
        self.editor.show(hidden=())

    def look(self, draw: random.Random) -> None:
        self.editor.show(
            background=draw.choice(["dimmed", "black", "white", "transparent"]), outline=draw.randint(0, 5)
        )

    def _show(self, display: Callable[[], object]) -> None:
        wanted = display()
        self.editor.show(**vars(wanted))
        assert self.scene.display == wanted

    def rename(self, draw: random.Random) -> None:
        number = draw.choice(self.scene.ids)
        self._correct(lambda scene: renamed(scene, number, draw.choice(["", "lamp", "red chair", f"{number}"])))

    def merge(self, draw: random.Random) -> None:
        chosen = self.pick(draw, 3)
        if len(chosen) > 1:
            self._correct(lambda scene: merged(scene, chosen))

    def split(self, draw: random.Random) -> None:
        """Between two masks of an instance, as two clicked points would be."""
        number = draw.choice(self.scene.ids)
        mine = torch.isin(self.scene.cut_masks.member, torch.tensor(self.scene.members(number)))
        seeds = draw.choices([*self.scene.masks.features[mine]], k=2)
        shown = self.scene.recognise(torch.stack(seeds), torch.ones(2))[0].tolist()
        if not {*shown} <= {*self.scene.members(number)}:
            with pytest.raises(ValueError, match="something else"):
                self._correct(lambda scene: split(scene, number, torch.stack(seeds), EMBEDDINGS)[0])
        elif torch.equal(*seeds):
            with pytest.raises(ValueError, match="same"):
                self._correct(lambda scene: split(scene, number, torch.stack(seeds), EMBEDDINGS)[0])
        elif torch.cosine_similarity(*seeds, dim=0) < 0.999:
            self._correct(lambda scene: split(scene, number, torch.stack(seeds), EMBEDDINGS)[0])

    def absorb(self, draw: random.Random) -> None:
        targets = self.pick(draw, 2) if draw.random() < 0.5 else ()
        found = fragments(self.scene, MEANS, self.scene.instances_of(EMBEDDINGS), draw.choice([0.3, 1.0]), targets)
        self._correct(lambda scene: absorbed(scene, found))

    def _correct(self, correction: Callable[[SegmentedScene], SegmentedScene]) -> None:
        before = self.scene
        self.editor.correct(correction)
        if self.scene is not before:
            self.node, self.undone = Node(self.scene, self.node), []

    def undo(self, _: random.Random) -> None:
        assert self.editor.can_undo == (self.node.before is not None)
        self.editor.undo()
        if self.node.before is not None:
            self.undone.append(self.node)
            self.node = self.node.before

    def redo(self, _: random.Random) -> None:
        assert self.editor.can_redo == bool(self.undone)
        self.editor.redo()
        if self.undone:
            self.node = self.undone.pop()

    def save(self, _: random.Random) -> None:
        self.editor.mark_saved()
        self.saved = self.node

    def reload(self, _: random.Random) -> None:
        """Save, leave, and open the checkpoint in a new session."""
        self.__init__(through_a_checkpoint(self.scene))

    def check(self) -> None:
        assert same_segmentation(self.scene, self.node.scene)
        distance = steps_between(self.node, self.saved)
        assert self.editor.unsaved == distance
        assert (self.editor.unsaved == 0) == (self.node is self.saved)
        if distance == 0:
            assert same_segmentation(self.scene, self.saved.scene)

    def undo_everything(self) -> None:
        display = self.scene.display
        while self.editor.can_undo:
            self.undo(random.Random(0))
        assert self.node is self.start and same_segmentation(self.scene, self.start.scene)
        shown = self.scene.display
        assert {*shown.selected} <= {*display.selected} and {*shown.hidden} <= {*display.hidden}
        assert replace(shown, selected=(), hidden=()) == replace(display, selected=(), hidden=())
        self.check()


CORRECTIONS = ("rename", "merge", "split", "absorb")
ACTIONS = ("select", "hide", "isolate", "show_all", "look", *CORRECTIONS, "undo", "redo", "save", "reload")
draws = st.randoms(use_true_random=False)


class EditorMachine(RuleBasedStateMachine):
    """Hypothesis presses the buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(random_scene(3, members=6))

    @rule(name=st.sampled_from(ACTIONS), draw=draws)
    def press(self, name: str, draw: random.Random) -> None:
        getattr(self.session, name)(draw)

    @precondition(lambda self: self.session.editor.can_undo)
    @rule()
    def undo_and_redo(self) -> None:
        before = self.session.scene
        self.session.undo(random.Random(0))
        self.session.redo(random.Random(0))
        assert same_segmentation(self.session.scene, before)

    @rule()
    def undo_everything(self) -> None:
        self.session.undo_everything()

    @invariant()
    def holds(self) -> None:
        self.session.check()
        check_scene(self.session.scene)


TestEditorMachine = EditorMachine.TestCase
TestEditorMachine.settings = settings(max_examples=12, stateful_step_count=30)


def test_a_thousand_random_actions_leave_a_scene_that_saves_loads_and_undoes_to_the_start() -> None:
    draw, session = random.Random(0), Session(random_scene(1, members=12))
    corrections = 0
    for step in range(1000):
        name = draw.choice([action for action in ACTIONS if action != "reload"])
        before = session.scene
        getattr(session, name)(draw)
        corrections += name in CORRECTIONS and session.scene is not before
        session.check()
        if step % 20 == 0:
            check_scene(session.scene)
    assert corrections > 100
    check_scene(session.scene)
    session.undo_everything()
    check_scene(session.scene)


def test_the_oldest_corrections_are_forgotten_and_still_count_as_unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor_module, "MAX_UNDO", 3)
    editor = Editor(random_scene())
    for name in "abcde":
        editor.correct(lambda scene, name=name: renamed(scene, 1, name))
    assert editor.unsaved == 5
    for left in (4, 3, 2):
        editor.undo()
        assert editor.unsaved == left
    assert not editor.can_undo and editor.scene.names == {1: "b"}
    editor.mark_saved()
    assert editor.unsaved == 0
    editor.redo()
    assert editor.unsaved == 1


def test_a_correction_that_fails_or_changes_nothing_leaves_everything_as_it_is() -> None:
    editor = Editor(random_scene())
    editor.correct(lambda scene: renamed(scene, 1, "lamp"))
    editor.undo()
    before = editor.scene
    with pytest.raises(KeyError):
        editor.correct(lambda scene: merged(scene, (1, 99)))
    editor.correct(lambda scene: renamed(scene, 1, "instance 1"))
    editor.correct(lambda scene: absorbed(scene, {}))
    assert editor.scene is before and editor.can_redo and not editor.can_undo and editor.unsaved == 0


def test_what_is_displayed_is_no_correction() -> None:
    editor = Editor(random_scene())
    editor.correct(lambda scene: merged(scene, (1, 2)))
    (gone,) = {1, 2} - {*editor.scene.ids}
    editor.show(selected=(3,), outline=5)
    assert editor.unsaved == 1 and editor.display_changed
    editor.undo()
    assert editor.scene.display.selected == (3,) and editor.scene.display.outline == 5
    editor.show(selected=(gone,))
    editor.redo()
    assert editor.scene.display.selected == ()
    editor.mark_saved()
    assert not editor.display_changed and editor.unsaved == 0
    editor.show(outline=4)
    assert editor.display_changed and editor.unsaved == 0 and editor.can_undo
