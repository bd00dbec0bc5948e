"""Pictures of the viewer for the docs: ``python -m tests.browser.record --load-config CONFIG``.

Starts ns-viewer on a trained run, drives it as a person would, and writes docs/images/viewer_*.png and .gif.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tyro
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import free_port, listens
from tests.browser.driver import PATIENCE, Viewer, chromium, launch

SIZE = (1100, 800)
BARREL, MACHINE, CHAIR, WALLS = (0.535, 0.41), (0.66, 0.71), (0.735, 0.515), ((0.35, 0.3), (0.75, 0.3))
"""Places in the picture that ns-viewer opens with on the demo scene."""
GIF_SIZE = (800, 582)
COLORS = 255
FRAME_MS = 1300
SETTLED_MS = 2500


def main(load_config: Path, output: Path = Path("docs/images")) -> None:
    """Record.

    Args:
        load_config: config.yml of a trained run; nothing is saved into it.
        output: folder for the pictures.
    """
    port = free_port()
    words = ["--load-config", load_config, "--viewer.websocket-port", port, "--viewer.jpeg-quality", 95]
    entry = "from nerfstudio.scripts.viewer.run_viewer import entrypoint; entrypoint()"
    process = subprocess.Popen([sys.executable, "-c", entry, *map(str, words)], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not listens(port) and time.monotonic() < end:
            time.sleep(0.1)
        with sync_playwright() as playwright:
            browser = launch(playwright, chromium() or "chromium")
            _record(Viewer(browser, f"http://127.0.0.1:{port}", SIZE), output)
            browser.close()
    finally:
        process.terminate()


def _record(viewer: Viewer, output: Path) -> None:
    viewer.press("Hide Train Cams")
    for name, scene in {"viewer_click": _click, "viewer_isolate": _isolate, "viewer_merge": _merge}.items():
        frames: list[Image.Image] = []

        def take(frames: list[Image.Image] = frames, name: str = name) -> None:
            viewer.until_sharp()
            viewer.page.wait_for_timeout(SETTLED_MS)
            viewer.page.screenshot(path=output / f"{name}.png")
            frames.append(Image.open(output / f"{name}.png").convert("RGB").resize(GIF_SIZE, Image.Resampling.LANCZOS))

        _reset(viewer)
        scene(viewer, take)
        small = [frame.quantize(COLORS, kmeans=2, dither=Image.Dither.NONE) for frame in frames]
        small[0].save(output / f"{name}.gif", save_all=True, append_images=small[1:], duration=FRAME_MS, loop=0)


def _reset(viewer: Viewer) -> None:
    viewer.press("Show all")
    viewer.press("None")
    viewer.until_said("Nothing is selected.")
    viewer.tick("Add to selection", False)
    viewer.choose("Mouse", "Click")


def _spot(viewer: Viewer, place: tuple[float, float]) -> tuple[int, int]:
    height, width = viewer.picture().shape[:2]
    return round(place[0] * width), round(place[1] * height)


def _click(viewer: Viewer, take: Callable[[], None]) -> None:
    viewer.press("Overlay")
    take()
    for place in (BARREL, MACHINE, CHAIR):
        before = viewer.message
        viewer.click(_spot(viewer, place))
        viewer.until(lambda before=before: viewer.message != before, "another selection")
        take()


def _isolate(viewer: Viewer, take: Callable[[], None]) -> None:
    viewer.press("Overlay")
    viewer.click(_spot(viewer, BARREL))
    viewer.until_said("pixels in")
    take()
    viewer.press("Isolate")
    viewer.until_said("Only the selection is left")
    take()


def _merge(viewer: Viewer, take: Callable[[], None]) -> None:
    viewer.press("Instances")
    viewer.click(_spot(viewer, WALLS[0]))
    viewer.until_said("pixels in")
    take()
    viewer.tick("Add to selection", True)
    viewer.click(_spot(viewer, WALLS[1]))
    viewer.until_said("2 instances selected.")
    take()
    viewer.press("Merge selected")
    viewer.until_said("Merged ")
    take()
    viewer.press("Undo")
    viewer.until_said("Undo done.")


if __name__ == "__main__":
    tyro.cli(main)
