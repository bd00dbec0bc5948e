"""A segmented scene being corrected: what can be undone, redone and saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proto_saga_ns.scene.segmented_scene import SegmentedScene

MAX_UNDO = 1000


class Editor:
    """Holds the current scene and the corrections behind it and ahead of it.

    What is displayed (selection, hidden instances, opacities) is no correction: it survives undoing.
    """

    def __init__(self, scene: SegmentedScene) -> None:
        self._scene = scene
        self._past: list[SegmentedScene] = []
        self._future: list[SegmentedScene] = []
        self.mark_saved()

    @property
    def scene(self) -> SegmentedScene:
        """As it is now."""
        return self._scene

    @property
    def can_undo(self) -> bool:
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        return bool(self._future)

    @property
    def unsaved(self) -> int:
        """Corrections between the scene that was saved and the current one, undone ones included."""
        return self._lost + abs(len(self._past) - self._saved_depth)

    @property
    def display_changed(self) -> bool:
        """Whether something else is displayed than what was saved."""
        return self._scene.display != self._saved_display

    def mark_saved(self) -> None:
        """The current scene is what the checkpoint holds."""
        self._saved_depth, self._lost = len(self._past), 0
        self._saved_display = self._scene.display

    def show(self, **changes: object) -> None:
        """Change fields of the display."""
        self._scene = self._scene.with_display(**changes)

    def correct(self, correction: Callable[[SegmentedScene], SegmentedScene]) -> None:
        """Apply a correction, after which there is nothing to redo.

        If it raises, or gives back the scene that it got, nothing changes.
        """
        corrected = correction(self._scene)
        if corrected is self._scene:
            return
        depth = len(self._past)
        if depth < self._saved_depth:  # the way back to what was saved is lost
            self._lost += self._saved_depth - depth
            self._saved_depth = depth
        self._past.append(self._scene)
        self._future.clear()
        self._scene = corrected
        if len(self._past) > MAX_UNDO:
            del self._past[0]
            self._lost, self._saved_depth = self._lost + int(self._saved_depth == 0), max(self._saved_depth - 1, 0)

    def undo(self) -> None:
        """Take the last correction back; nothing if there is none."""
        self._step(self._past, self._future)

    def redo(self) -> None:
        """Apply the correction again that was undone last; nothing if there is none."""
        self._step(self._future, self._past)

    def _step(self, source: list[SegmentedScene], target: list[SegmentedScene]) -> None:
        if not source:
            return
        target.append(self._scene)
        found = source.pop()
        self._scene = replace(found, display=self._scene.display.limited_to(found.ids))
