"""What a person does with the instances of a scene, without any widget: the panel calls it, tests call it.

Every action returns a line that says what happened. Actions are not safe to run at the same time; the panel holds
nerfstudio's train lock around them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import torch

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.viewer.listing import by_size
from proto_saga_ns.plugin.viewer.looking import Point, Spot, instances_in_box, look_at, picture_and_labels
from proto_saga_ns.recognition.agreement import DOUBT
from proto_saga_ns.recognition.granularity import OBJECTS, told_apart
from proto_saga_ns.scene import corrections
from proto_saga_ns.scene.editor import Editor
from proto_saga_ns.scene.shown import at_granularity, count_shown, group_of, joined_as_shown

if TYPE_CHECKING:
    from proto_saga_ns.masks.phrases.find import Finder
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.render import CameraView
    from proto_saga_ns.scene import SegmentedScene

Correction = Callable[["SegmentedScene"], "SegmentedScene"]


class Session:
    """Selecting, correcting and saving the segmented scene of a model, which always shows the current state."""

    def __init__(self, model: ProtoSagaModel) -> None:
        self._model = model
        self._editor: Editor | None = None
        self._split_start: Point | None = None
        self.corrections_lost = False
        """Whether the scene that was replaced last had been corrected."""

    @property
    def has_scene(self) -> bool:
        """Whether masks were associated: without that there is nothing to select."""
        return self._model.scene is not None

    @property
    def editor(self) -> Editor:
        """Of the model's scene; a new one once that was replaced by another (association ran again).

        Raises:
            ProtoSagaError: there is no scene yet.
        """
        if self._model.scene is None:
            raise ProtoSagaError("There are no instances yet: they are found when training ends, or by the button.")
        if self._editor is None or self._editor.scene is not self._model.scene:
            self.corrections_lost = self._editor is not None and self._editor.can_undo
            self._editor = Editor(self._model.scene)
            self._split_start = None
        return self._editor

    @property
    def scene(self) -> SegmentedScene:
        """As it is now."""
        return self.editor.scene

    def show(self, **changes: Any) -> str:
        """Change fields of the display."""
        editor = self.editor
        editor.show(**changes)
        self._model.scene = editor.scene
        return ""

    def look_at_level(self, granularity: float) -> str:
        """Give each group, object or part a colour of its own; what is selected, hidden or corrected stays.

        Raises:
            ProtoSagaError: the scene has no groups and parts.
        """
        at_granularity(self.scene, granularity)
        self.show(granularity=granularity)
        count, objects = count_shown(self.scene), len(self.scene.ids)
        if granularity == OBJECTS:
            return f"{objects} objects."
        return f"{objects} objects, shown as {count} {told_apart(granularity)}."

    def select(self, ids: Collection[int], add: bool = False) -> str:
        """Select instances; with ``add``, turn the selection of each of them over.

        Raises:
            ProtoSagaError: one of them is no more (merged in another browser).
        """
        gone = {*ids} - {0, *self.scene.ids}
        if gone:
            raise ProtoSagaError(f"There is no instance {', '.join(map(str, sorted(gone)))} any more.")
        before = set(self.scene.display.selected) if add else set()
        display = self.scene.display.selecting(before ^ set(ids))
        self.show(selected=display.selected, hidden=display.hidden)
        return self._say_selected()

    def select_next(self, step: int) -> str:
        """The next smaller (1) or larger (-1) instance; around at the ends."""
        order = [instance.id for instance in by_size(self.scene)]
        selected = self.scene.display.selected
        position = order.index(selected[0]) + step if selected else 0
        return self.select([order[position % len(order)]])

    def click(self, view: CameraView, spot: Spot, add: bool = False) -> str:
        """Select what a view shows in one place, a group as a whole; (x, y) from 0 to 1, y down."""
        found = look_at(self._model, self.scene, view, spot).instance
        if not found:
            return "Nothing was recognised there."
        return self.select(group_of(self.scene, [found]), add)

    def box(self, view: CameraView, low: Spot, high: Spot, add: bool = False) -> str:
        """Select what lies mostly inside a box on the screen; corners (x, y) from 0 to 1, y down."""
        found = instances_in_box(self._model, self.scene, view, low, high)
        if not found:
            return "No instance lies mostly inside that box."
        return self.select(group_of(self.scene, found), add)

    def find(self, view: CameraView, phrase: str, finder: Finder, add: bool = False) -> str:
        """Select what a phrase means among what a view shows, by the rule of the LERF-Mask protocol."""
        from proto_saga_ns.masks.phrases.find import find_instances  # every ns-* process imports this module

        rgb, labels = picture_and_labels(self._model, self.scene, view)
        found = find_instances(rgb, labels, phrase, finder)
        if not found:
            return f"No instance in this view is {phrase!r} for the most part."
        return self.select([instance.id for instance in found], add)

    def hide_selected(self) -> str:
        """Take what is selected out of the scene."""
        gone = self._selected()
        display = self.scene.display.hiding(gone)
        self.show(selected=display.selected, hidden=display.hidden)
        return f"Hid {len(gone)}; 'Show all' brings everything back."

    def isolate_selected(self) -> str:
        """Take everything out of the scene but what is selected."""
        display = self.scene.display.isolating(self._selected(), self.scene.ids)
        self.show(selected=display.selected, hidden=display.hidden)
        return "Only the selection is left; 'Show all' brings everything back."

    def show_all(self) -> str:
        """Hide nothing."""
        self.show(hidden=())
        return "Everything is shown."

    def rename_selected(self, name: str) -> str:
        """Name the one instance that is selected; an empty name brings the default back."""
        (instance_id,) = self._selected(at_most=1)
        self._correct(lambda scene: corrections.renamed(scene, instance_id, name))
        return f"{instance_id} is called {self.scene.instance(instance_id).name!r} now."

    def merge_selected(self) -> str:
        """Make one instance of those that are selected."""
        ids = self._selected(at_least=2)
        self._correct(lambda scene: corrections.merged(scene, ids))
        return f"Merged {', '.join(map(str, ids))} into {self._say_selected()}"

    def join_as_shown(self) -> str:
        """Make one object of each group that is shown now, all of them in one step.

        Raises:
            ProtoSagaError: nothing is shown as a group.
        """
        before = len(self.scene.ids)
        self._correct(joined_as_shown)
        if len(self.scene.ids) == before:
            raise ProtoSagaError("No objects are shown as one: move Granularity to the left, to groups.")
        return f"Joined {before} objects to {len(self.scene.ids)}, as they were shown."

    def split_at(self, view: CameraView, spot: Spot) -> str:
        """The first and the second click on an instance that shall become two."""
        point = look_at(self._model, self.scene, view, spot)
        if not point.instance:
            return "Nothing was recognised there; click on the instance to split."
        start, self._split_start = self._split_start, None
        if start is None or start.instance != point.instance:
            self._split_start = point
            self.select([point.instance])
            return f"Splitting {point.instance}: now click on its other part."
        seeds = torch.stack([start.feature, point.feature])
        votes = None if start.votes is None or point.votes is None else torch.stack([start.votes, point.votes])
        new_ids = []

        def split(scene: SegmentedScene) -> SegmentedScene:
            found, new_id = corrections.split(scene, point.instance, seeds, self._model.embeddings, votes)
            new_ids.append(new_id)
            return found

        self._correct(split)
        self.select([point.instance, *new_ids])
        return f"Split {point.instance}: the other part is {new_ids[0]}."

    def forget_split(self) -> None:
        """The next click of ``split_at`` is the first."""
        self._split_start = None

    def absorb(self, max_share: float) -> str:
        """Merge small instances around the selected ones (or all) into them; shares of their pixels."""
        scene = self.scene
        gaussians = scene.instances_of(self._model.embeddings)
        found = corrections.fragments(scene, self._model.means, gaussians, max_share, scene.display.selected)
        if not found:
            return "There are no fragments of that size."
        self._correct(lambda scene: corrections.absorbed(scene, found))
        return f"Absorbed {len(found)}: {', '.join(f'{small} into {large}' for small, large in found.items())}."

    def undo(self) -> str:
        """Take the last correction back."""
        editor = self.editor
        return self._step(editor, editor.can_undo, editor.undo, "undo")

    def redo(self) -> str:
        """Apply the correction again that was undone last."""
        editor = self.editor
        return self._step(editor, editor.can_redo, editor.redo, "redo")

    def save(self, write: Callable[[], Any]) -> str:
        """Save the scene by ``write``, which puts the model's state into the checkpoint."""
        count = self.editor.unsaved
        write()
        self.editor.mark_saved()
        return f"Saved {count} change{'' if count == 1 else 's'} and the look of the scene."

    def _step(self, editor: Editor, possible: bool, step: Callable[[], None], word: str) -> str:
        if not possible:
            return f"There is nothing to {word}."
        step()
        self._model.scene = editor.scene
        return f"{word.capitalize()} done."

    def _correct(self, correction: Correction) -> None:
        editor = self.editor
        try:
            editor.correct(correction)
        except ValueError as error:
            raise ProtoSagaError(f"That cannot be done: {error}.") from error
        self._model.scene = editor.scene

    def _selected(self, at_least: int = 1, at_most: int | None = None) -> tuple[int, ...]:
        selected = self.scene.display.selected
        if len(selected) < at_least:
            raise ProtoSagaError(f"Select {'an instance' if at_least == 1 else 'two instances or more'} first.")
        if at_most is not None and len(selected) > at_most:
            raise ProtoSagaError("Select one instance only.")
        return selected

    def _say_selected(self) -> str:
        selected = self.scene.display.selected
        if len(selected) == 1:
            instance = self.scene.instance(selected[0])
            doubt = f" Doubtful: {DOUBT}." if instance.is_doubtful else ""
            return f"{instance.id}: {instance.name}, {instance.pixels:,} pixels in {instance.n_views} views.{doubt}"
        return f"{len(selected)} instances selected." if selected else "Nothing is selected."
