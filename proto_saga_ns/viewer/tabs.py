"""A tab beside nerfstudio's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import viser
from viser._gui_handles import GuiFolderHandle, GuiTabHandle

if TYPE_CHECKING:
    from nerfstudio.viewer.viewer import Viewer


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
