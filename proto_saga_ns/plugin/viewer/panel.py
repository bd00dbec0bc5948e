"""The tab "Objects" in nerfstudio's viewer.

Nerfstudio looks through the pipeline for a ``ViewerControl`` and hands it the viewer; so the model knows no widget. All
browsers share one scene and one panel. Callbacks come from a pool of threads: each holds the panel's lock from start to
end, and nerfstudio's train lock while it touches the model, so that it waits for the picture or the training step that
is being computed. Always in this order.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import viser
from nerfstudio.viewer.render_state_machine import RenderAction
from nerfstudio.viewer.utils import get_camera
from nerfstudio.viewer.viewer_elements import ViewerControl

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.viewer.listing import (
    by_size,
    choice,
    chosen_id,
    escape_markdown,
    explain_empty_panel,
    summary,
    table,
)
from proto_saga_ns.plugin.viewer.looking import Spot
from proto_saga_ns.plugin.viewer.session import Session
from proto_saga_ns.plugin.viewer.widgets import OUTPUTS, SHOWING_SELECTION, Widgets, add_tab
from proto_saga_ns.scene import Background

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from nerfstudio.viewer.viewer import Viewer

    from proto_saga_ns.masks.phrases.find import TextFinder
    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.plugin.model.render import CameraView
    from proto_saga_ns.scene.editor import Editor

SECOND_REQUEST_SECONDS = 0.5
FAILED = "That failed. The terminal says why; please report it."


class ShownPipeline(Protocol):
    """What the panel needs of the pipeline whose scene it shows."""

    @property
    def model(self) -> ProtoSagaModel: ...

    def associate(self) -> None:
        """Find instances anew, and put the scene into the model."""

    def save_scene(self, viewer: Viewer) -> None:
        """Save the model's scene into the checkpoint of the run that a viewer shows."""


class ObjectsPanel(ViewerControl):
    """Widgets on one side, a ``Session`` on the other."""

    def __init__(self, pipeline: ShownPipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._widgets: Widgets | None = None
        self._editor_shown: Editor | None = None
        self._finder: TextFinder | None = None
        self._second_request: threading.Timer | None = None

    def _setup(self, viewer: Viewer) -> None:
        super()._setup(viewer)
        self._session = Session(self._pipeline.model)
        with add_tab(viewer, "Objects", viser.Icon.CUBE):
            self._widgets = Widgets(viewer.viser_server.gui, *self._texts())
        self._connect(self._widgets)
        self._refresh("")

    def scene_changed(self) -> None:
        """To be called when association has put another scene into the model; there may be no viewer at all."""
        if self._widgets is not None:
            with self._lock:
                self._refresh("")
                lost = " What was corrected before is gone." if self._session.corrections_lost else ""
                self._say(f"Instances were found by all that was learned.{lost}")
            self._render_again()

    def _connect(self, widgets: Widgets) -> None:
        """Give every widget what it does."""
        session = self._session
        for group in widgets.outputs:
            self._on_press(group, lambda title: self._show_output(OUTPUTS[title]))
        self._on_setting(widgets.granularity, lambda value: self._lit_up(session.look_at_level(float(value))))
        self._on_click(widgets.join, session.join_as_shown)
        self._on_setting(widgets.tool, self._use_tool)
        self._on_choice(widgets.instance, self._choose)
        self._on_press(widgets.step, lambda title: session.select_next(-1 if title == "Previous" else 1))
        self._on_press(widgets.select, lambda title: session.select(session.scene.ids if title == "All" else ()))
        self._on_press(
            widgets.visibility, lambda title: session.hide_selected() if title == "Hide" else self._isolate()
        )
        self._on_press(widgets.show_all, lambda _: session.show_all())
        widgets.search.on_click(self._on_search)
        self._on_click(widgets.rename, lambda: session.rename_selected(widgets.name.value))
        self._on_click(widgets.merge, session.merge_selected)
        self._on_click(widgets.absorb, lambda: session.absorb(widgets.fragment_percent.value / 100))
        self._on_press(widgets.history, lambda title: session.undo() if title == "Undo" else session.redo())
        self._on_click(widgets.save, lambda: session.save(lambda: self._pipeline.save_scene(self.viewer)))
        self._on_click(widgets.find, self._find_instances)
        self._on_setting(widgets.overlay_opacity, lambda value: session.show(overlay_opacity=float(value)))
        self._on_setting(widgets.min_confidence, lambda value: session.show(min_confidence=float(value)))
        self._on_setting(widgets.outline, lambda value: session.show(outline=int(value)))
        self._on_setting(widgets.background, lambda value: session.show(background=cast(Background, value)))

    def _on_click(self, button: viser.GuiButtonHandle, action: Callable[[], str]) -> None:
        button.on_click(lambda _: self._act(action))

    def _on_press(self, group: viser.GuiButtonGroupHandle, action: Callable[[str], str]) -> None:
        def pressed(event: viser.GuiEvent) -> None:
            title = event.target.value
            self._act(lambda: action(title))

        group.on_click(pressed)

    def _on_choice(self, handle: viser.GuiInputHandle, action: Callable[[Any], str]) -> None:
        def chosen(event: viser.GuiEvent) -> None:
            value = event.target.value
            if event.client is not None:  # else the panel itself has set the value
                self._act(lambda: action(value))

        handle.on_update(chosen)

    def _on_setting(self, handle: viser.GuiInputHandle, action: Callable[[Any], str]) -> None:
        """The last value wins, though callbacks of values that follow each other closely come in any order."""

        def moved(event: viser.GuiEvent) -> None:
            if event.client is not None:
                self._act(lambda: action(handle.value))

        handle.on_update(moved)

    def _act(self, action: Callable[[], str]) -> None:
        """Run an action of a person, say what came of it, and show the result."""
        said = FAILED
        with self._lock:
            try:
                with self.viewer.train_lock or contextlib.nullcontext():
                    said = action()
            except ProtoSagaError as error:
                said = str(error)
            finally:  # viser prints any other error in the terminal
                self._refresh(said)
        self._render_again()

    def _render_again(self) -> None:
        """Ask for new pictures, and a moment later once more: nerfstudio loses a request that comes while it takes up
        another, and the picture would stay as it was until somebody moves.
        """
        self._render_sharp()
        if self._second_request is not None:
            self._second_request.cancel()
        self._second_request = threading.Timer(SECOND_REQUEST_SECONDS, self._render_sharp)
        self._second_request.daemon = True
        self._second_request.start()

    def _render_sharp(self) -> None:
        """Without the coarse picture that goes before one for a moving camera; a page that gets both at once may show
        the coarse one and keep it.
        """
        for machine in list(self.viewer.render_statemachines.values()):
            machine.action(RenderAction("step", self.viewer.get_camera_state(machine.client)))

    def _say(self, said: str) -> None:
        assert self._widgets is not None
        self._widgets.message.content = escape_markdown(said)

    def _refresh(self, said: str) -> None:
        """Bring all widgets up to the scene."""
        assert self._widgets is not None
        self._say(said)
        self._widgets.show_texts(*self._texts())
        self._widgets.set_usable(self._session.has_scene)
        if not self._session.has_scene:
            self._widgets.show_levels(False)
            return
        editor = self._session.editor
        scene = editor.scene
        self._widgets.show_levels(scene.levels is not None)
        self._widgets.show_scene([choice(instance) for instance in by_size(scene)], scene)
        if editor is not self._editor_shown:  # else the sliders are where people put them
            self._editor_shown = editor
            self._widgets.show_look(scene.display)

    def _texts(self) -> tuple[str, str]:
        """The first line, and the list of instances."""
        if not self._session.has_scene:
            return explain_empty_panel(self.viewer.trainer is not None), ""
        editor = self._session.editor
        return summary(editor.scene, editor.unsaved, editor.display_changed), table(editor.scene)

    def _use_tool(self, tool: str) -> str:
        """What the mouse does in the picture; viser knows one such use at a time."""
        scene = self.viser_server.scene
        if scene._scene_pointer_cb is not None:
            scene.remove_pointer_callback()
        self._session.forget_split()
        if tool == "Box":
            scene.on_pointer_event("rect-select")(self._on_box)
            return "Drag a box around instances."
        if tool == "Click":
            scene.on_pointer_event("click")(self._on_spot(self._select_at))
            return "Click on an instance; 'Move' turns the view again."
        if tool == "Split":
            scene.on_pointer_event("click")(self._on_spot(self._session.split_at))
            return "Click on one part of an instance, then on the other."
        return ""

    def _choose(self, entry: str) -> str:
        """An entry of the list; of several in a row the last, unless each adds or takes away."""
        assert self._widgets is not None
        adds = self._adds()
        return self._session.select([chosen_id(entry if adds else self._widgets.instance.value)], adds)

    def _select_at(self, view: CameraView, spot: Spot) -> str:
        return self._lit_up(self._session.click(view, spot, self._adds()))

    def _lit_up(self, said: str) -> str:
        """Show an output in which a selection can be seen, if the present one is none."""
        if self.viewer.control_panel.output_render not in SHOWING_SELECTION:
            self._show_output("segmentation_overlay")
        return said

    def _adds(self) -> bool:
        assert self._widgets is not None
        return self._widgets.add.value

    def _on_spot(self, action: Callable[[CameraView, Spot], str]) -> Callable[[viser.ScenePointerEvent], None]:
        def clicked(event: viser.ScenePointerEvent) -> None:
            (spot,) = event.screen_pos
            camera = self._camera_of(event.client)
            self._act(lambda: action(self._pipeline.model.view_of(camera, corrected=False), spot))

        return clicked

    def _on_box(self, event: viser.ScenePointerEvent) -> None:
        low, high = event.screen_pos
        camera = self._camera_of(event.client)

        def select() -> str:
            view = self._pipeline.model.view_of(camera, corrected=False)
            return self._lit_up(self._session.box(view, low, high, self._adds()))

        self._act(select)

    def _on_search(self, event: viser.GuiEvent) -> None:
        if event.client is None or self._widgets is None:
            return
        camera, phrase = self._camera_of(event.client), self._widgets.phrase.value

        def search() -> str:
            from proto_saga_ns.masks.phrases.find import TextFinder  # every ns-* process imports this module

            self._finder = self._finder or TextFinder()
            view = self._pipeline.model.view_of(camera, corrected=False)
            return self._lit_up(self._session.find(view, phrase, self._finder, self._adds()))

        self._act(search)

    def _camera_of(self, client: viser.ClientHandle) -> Cameras:
        """What a browser looks through, with as many pixels as nerfstudio gives a view that rests."""
        state = self.viewer.get_camera_state(client)
        longest = max(self.viewer.control_panel.max_res, 1)
        height = max(int(longest / max(state.aspect, 1.0)), 1)
        return get_camera(state, height, max(int(height * state.aspect), 1)).to(self._pipeline.model.device)

    def _isolate(self) -> str:
        said = self._session.isolate_selected()
        self._show_output("object")
        return said

    def _show_output(self, name: str) -> str:
        """Choose the output in nerfstudio's own list, so that there is one truth about what is shown."""
        control = self.viewer.control_panel._output_render
        handle = control.gui_handle
        if handle is None or name not in handle.options:  # type: ignore[union-attr]
            return f"The output {name} is not there yet."
        control.value = name
        return ""

    def _find_instances(self) -> str:
        self._pipeline.associate()
        found = f"Found {len(self._session.scene.ids)} instances"
        if self.viewer.trainer is None:
            return f"{found}; 'Save into checkpoint' keeps them."
        return f"{found}, as they are now. They are found anew when training ends; corrections are best made then."
