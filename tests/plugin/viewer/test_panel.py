"""What only many callbacks at once can show; all else about the panel is tested in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import viser
from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.viewer.viewer import Viewer

from proto_saga_ns.plugin.run import Run
from proto_saga_ns.plugin.viewer.panel import ObjectsPanel

PATIENCE = 60


@pytest.fixture
def panel(loaded: Run, tmp_path: Path) -> Iterator[ObjectsPanel]:
    """In nerfstudio's own viewer, that nobody looks at."""
    config = ViewerConfig(websocket_port=None, websocket_host="127.0.0.1", quit_on_train_completion=True)
    viewer = Viewer(config, tmp_path / "log" / "viewer.txt", tmp_path, loaded.pipeline, train_lock=threading.Lock())
    panel = loaded.pipeline.objects_panel
    lock = panel._lock
    yield panel
    panel._lock, panel._widgets = lock, None
    viewer.viser_server.stop()


class Overtaking:
    """A lock that whoever asks for it first gets last."""

    def __init__(self) -> None:
        self.waits, self.done = threading.Event(), threading.Event()
        self._first = threading.Semaphore(1)

    def __enter__(self) -> None:
        if self._first.acquire(blocking=False):
            self.waits.set()
            assert self.done.wait(PATIENCE)

    def __exit__(self, *_: object) -> None:
        self.done.set()


def test_the_tool_that_was_chosen_last_is_the_one_in_use(panel: ObjectsPanel) -> None:
    """Though the callback of the one before ends after it."""
    assert panel._widgets is not None
    tool: Any = panel._widgets.tool
    panel._lock = turns = Overtaking()  # type: ignore[assignment]

    def choose(name: str) -> None:
        """As viser does when a browser sends a choice."""
        tool._impl.value = name
        for callback in tool._impl.update_cb:
            callback(viser.GuiEvent(client=object(), client_id=0, target=tool))  # type: ignore[arg-type]

    with ThreadPoolExecutor() as pool:
        box = pool.submit(choose, "Box")
        assert turns.waits.wait(PATIENCE)
        pool.submit(choose, "Click").result(PATIENCE)
        box.result(PATIENCE)
    assert panel.viser_server.scene._scene_pointer_event_type == "click"
    assert panel._widgets.message.content.startswith("Click on an instance")
