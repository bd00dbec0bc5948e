"""The panel while a scene is being trained."""

from __future__ import annotations

from pathlib import Path

from tests.browser.conftest import free_port, wait_for_port
from tests.browser.driver import Viewer
from tests.commands import Started
from tests.conftest import train_arguments
from tests.scenes import TinyScene


def test_instances_can_be_found_and_picked_while_training(browser, tiny_scene: TinyScene, tmp_path: Path) -> None:
    """Pressing buttons holds neither training nor the association at its end, which has the last word."""
    port = free_port()
    arguments = train_arguments(tiny_scene.folder, tmp_path, steps=1000)  # still training when the page is there
    arguments[arguments.index("--vis") + 1] = "viewer"
    process = Started(
        *("ns-train", *arguments, "--viewer.websocket-port", port, "--viewer.quit-on-train-completion", "True")
    )
    wait_for_port(process, port)
    viewer = Viewer(browser, f"http://127.0.0.1:{port}")
    assert "No instances yet" in viewer.status
    viewer.press("Find instances now")
    viewer.until_said("as they are now")
    viewer.press("Next")
    viewer.until(lambda: "1 selected" in viewer.status, "a selection")
    viewer.press("Hide")
    viewer.until(lambda: "1 hidden" in viewer.status, "something hidden")
    finished = process.wait(300)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Training is done and saved" in finished.stdout and "Traceback" not in finished.stderr
    viewer.page.close()
