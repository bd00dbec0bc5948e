"""The widgets of the tab "Objects", and how they show a scene. What they do is the panel's business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import viser
from viser._gui_handles import GuiFolderHandle, GuiTabHandle

from proto_saga_ns.recognition.granularity import OBJECTS
from proto_saga_ns.scene import Background, Display, SegmentedScene

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer


OUTPUTS = {
    "Colours": "rgb",
    "Instances": "segmentation",
    "Overlay": "segmentation_overlay",
    "Object": "object",
    "Confidence": "confidence",
    "Embedding": "embedding",
}
SHOWING_SELECTION = ("segmentation", "segmentation_overlay", "object")
TOOLS = ("Move", "Click", "Box", "Split")
NO_INSTANCE: str = "0: none"
NO_LEVELS = "No parts and groups: only the association strategy *consensus*, with votes, finds them."


class Widgets:
    """All handles. Built inside the tab.

    What the tab says first is given at once: of two texts that follow each other while a page loads, viser may show
    the older one.
    """

    def __init__(self, gui: viser.GuiApi, status: str, table: str) -> None:
        self.status = gui.add_markdown(status)
        self.message = gui.add_markdown("")
        self.find = gui.add_button("Find instances now", icon=viser.Icon.SEARCH, visible=False)
        names = tuple(OUTPUTS)
        # Three words side by side would be cut off in the narrow panel.
        self.outputs = tuple(
            _buttons(gui, "" if first else "Show", *names[first : first + 2]) for first in range(0, len(names), 2)
        )
        self._add_levels(gui)
        self._add_selecting(gui)
        self._add_correcting(gui)
        self._add_look(gui)
        with gui.add_folder("Instances"):
            self.table = gui.add_markdown(table)
        self._name_shown: str | None = None
        self._correcting = (self.search, self.rename, self.merge, self.absorb, self.save)

    def _add_levels(self, gui: viser.GuiApi) -> None:
        self.granularity = gui.add_slider(
            *("Granularity", 0.0, 1.0, 0.05, OBJECTS),
            hint="what has a colour of its own: groups on the left, objects in the middle, parts on the right",
        )
        self.join = gui.add_button(
            "Join as shown",
            icon=viser.Icon.ARROWS_JOIN_2,
            hint="makes one object of each group, in one step that can be undone",
        )
        self.no_levels = gui.add_markdown(NO_LEVELS, visible=False)

    def _add_selecting(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Select"):
            self.tool = gui.add_dropdown("Mouse", TOOLS, hint="what the mouse does in the picture")
            self.add = gui.add_checkbox("Add to selection", False, hint="also takes away what is selected already")
            self.instance: viser.GuiDropdownHandle[str] = gui.add_dropdown("Instance", (NO_INSTANCE,))
            self.phrase = gui.add_text("Phrase", "", hint='such as "red chair"')
            self.search = gui.add_button("Find by phrase", icon=viser.Icon.MESSAGE_SEARCH)
            self.step = _buttons(gui, "By size", "Previous", "Next")
            self.select = _buttons(gui, "Select", "All", "None")
            self.visibility = _buttons(gui, "Selected", "Hide", "Isolate")
            self.show_all = _buttons(gui, "Hidden", "Show all")

    def _add_correcting(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Correct"):
            self.name = gui.add_text("Name", "")
            self.rename = gui.add_button("Rename", icon=viser.Icon.PENCIL)
            self.merge = gui.add_button("Merge selected", icon=viser.Icon.ARROWS_JOIN)
            self.fragment_percent = gui.add_slider(
                *("Fragment, %", 1, 25, 1, 2), hint="largest size of a fragment, in percent of what it lies at"
            )
            self.absorb = gui.add_button(
                "Absorb fragments",
                icon=viser.Icon.ARROWS_MINIMIZE,
                hint="merges small instances into the selected one that they lie at; into any if none is selected",
            )
            self.history = _buttons(gui, "Changes", "Undo", "Redo")
            self.save = gui.add_button("Save into checkpoint", icon=viser.Icon.DEVICE_FLOPPY)

    def _add_look(self, gui: viser.GuiApi) -> None:
        with gui.add_folder("Look"):
            self.overlay_opacity = gui.add_slider("Overlay", 0.0, 1.0, 0.05, 0.6)
            self.min_confidence = gui.add_slider(
                "Confidence", 0.0, 1.0, 0.05, 0.0, hint="pixels recognised with less are left unlabelled"
            )
            self.outline = gui.add_slider("Outline", 0, 8, 1, 2, hint="around what is selected, in pixels")
            self.background = gui.add_dropdown(
                "Background", get_args(Background), hint="of the output 'object'; a checkerboard is transparent"
            )

    def show_texts(self, status: str, table: str) -> None:
        """The first line, and the list of instances."""
        _set(self.status, "content", status)
        _set(self.table, "content", table)

    def set_usable(self, usable: bool) -> None:
        """Whether there are instances to work with; without, there is a button that finds them."""
        self.find.visible = not usable
        for handle in self._correcting:
            handle.disabled = not usable

    def show_levels(self, known: bool) -> None:
        """Whether there are parts and groups to look at."""
        self.granularity.disabled = self.join.disabled = not known
        _set(self.no_levels, "visible", not known)

    def show_scene(self, choices: Sequence[str], scene: SegmentedScene) -> None:
        """Bring the choice of an instance up to a scene."""
        _set(self.instance, "options", (NO_INSTANCE, *choices))
        self._show_selected(scene, choices)

    def _show_selected(self, scene: SegmentedScene, choices: Sequence[str]) -> None:
        selected = scene.display.selected
        one = selected[0] if len(selected) == 1 else None
        prefix = f"{one}: "
        entry = next((entry for entry in choices if entry.startswith(prefix)), NO_INSTANCE)
        _set(self.instance, "value", entry)
        if entry != self._name_shown:  # else somebody may be typing
            self._name_shown = entry
            _set(self.name, "value", scene.instance(one).name if one else "")

    def show_look(self, display: Display) -> None:
        """Bring sliders and background up to a display."""
        _set(self.granularity, "value", display.granularity)
        _set(self.overlay_opacity, "value", display.overlay_opacity)
        _set(self.min_confidence, "value", display.min_confidence)
        _set(self.outline, "value", display.outline)
        _set(self.background, "value", display.background)


def _buttons(gui: viser.GuiApi, label: str, *titles: str) -> viser.GuiButtonGroupHandle[str]:
    """Buttons side by side. Viser 0.2.7 takes a group for a value, and would report no second press of one button."""
    group = gui.add_button_group(label, titles)
    group._impl.is_button = True
    return group


def _set(handle: object, field: str, value: object) -> None:
    """Set what has changed only: every setting is a message to all browsers."""
    if getattr(handle, field) != value:
        setattr(handle, field, value)


def add_tab(viewer: Viewer, label: str, icon: viser.IconName) -> GuiTabHandle:
    """A new tab after Control, Render and Export.

    Nerfstudio 1.1.5 keeps no handle of its tab group, but its widgets know where they are.
    """
    handle = viewer.control_panel._output_render.gui_handle
    assert handle is not None
    containers = viewer.viser_server.gui._container_handle_from_id
    container = containers[handle._impl.parent_container_id]
    while isinstance(container, GuiFolderHandle):
        container = containers[container._parent_container_id]
    assert isinstance(container, GuiTabHandle)
    return container._parent.add_tab(label, icon)
