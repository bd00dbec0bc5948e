"""One browser, and one ns-viewer on a copy of the tiny run, for all tests; skipped where there is no browser."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.browser.driver import PATIENCE, Viewer, chromium, launch
from tests.commands import Started
from tests.conftest import TrainedRun


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser():
    """Chromium under Playwright."""
    program = chromium()
    if program is None:
        pytest.skip("needs Chromium on the PATH or in PROTO_SAGA_CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright").sync_playwright().start()
    browser = launch(playwright, program)
    yield browser
    browser.close()
    playwright.stop()


READY = "disabled local writer"
"""Nerfstudio says so once its viewer is complete."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def wait_for_port(process: Started, port: int) -> None:
    end = time.monotonic() + PATIENCE
    # It listens long before all widgets are there.
    while not (listens(port) and READY in process.stdout + process.stderr):
        assert process.is_running and time.monotonic() < end, process.stdout + process.stderr
        time.sleep(0.05)


class Server:
    """A running ns-viewer."""

    def __init__(self, process: Started, port: int, run: TrainedRun) -> None:
        self.process, self.port, self.run = process, port, run

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def server(browser: object, trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ns-viewer; its pictures come without loss, so that colours can be compared."""
    output = tmp_path_factory.mktemp("viewer")
    folder = output / Path(*trained_run.folder.parts[-3:])
    shutil.copytree(trained_run.folder, folder)
    config = yaml.load((folder / "config.yml").read_text(), Loader=yaml.Loader)
    config.output_dir = output  # where ns-viewer looks for the checkpoint
    (folder / "config.yml").write_text(yaml.dump(config))
    port = free_port()
    process = Started(
        *("ns-viewer", "--load-config", folder / "config.yml", "--viewer.websocket-port", port),
        *("--viewer.image-format", "png"),
    )
    wait_for_port(process, port)
    yield Server(process, port, TrainedRun(trained_run.scene, folder / "config.yml", ""))
    process.kill()


@pytest.fixture(scope="module")
def viewer(browser, server: Server) -> Iterator[Viewer]:
    """The page that all tests of a file use; gone before the next file, since it draws all the time."""
    viewer = Viewer(browser, server.url)
    viewer.until(lambda: "instances" in viewer.status, "a status")
    viewer.press("Hide Train Cams")
    yield viewer
    viewer.page.close()


@pytest.fixture
def panel(viewer: Viewer) -> Viewer:
    """The tab with everything shown, nothing selected, the mouse on Click and instances in their colours."""
    viewer.press("Show all")
    viewer.until_said("Everything is shown.")
    viewer.press("None")
    viewer.until_said("Nothing is selected.")
    viewer.tick("Add to selection", False)
    viewer.choose("Mouse", "Move")
    viewer.choose("Mouse", "Click")
    viewer.until_said("Click on an instance")
    viewer.press("Instances")
    viewer.until_sharp()
    return viewer
