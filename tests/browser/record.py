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
from tests.browser.driver import PATIENCE, Viewer, chromium, launch, spot_of

SIZE = (1100, 800)
GIF_SIZE = (800, 582)
COLORS = 96
FRAME_MS = 1300


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
            viewer.page.screenshot(path=output / f"{name}.png")
            frames.append(Image.open(output / f"{name}.png").convert("RGB").resize(GIF_SIZE, Image.Resampling.LANCZOS))

        _reset(viewer)
        scene(viewer, take)
        small = [frame.quantize(COLORS, dither=Image.Dither.NONE) for frame in frames]
        small[0].save(output / f"{name}.gif", save_all=True, append_images=small[1:], duration=FRAME_MS, loop=0)


def _reset(viewer: Viewer) -> None:
    viewer.press("Show all")
    viewer.press("None")
    viewer.until_said("Nothing is selected.")
    viewer.tick("Add to selection", False)
    viewer.choose("Mouse", "Click")


def _spots(viewer: Viewer) -> list[tuple[int, int]]:
    """Places on instances in the middle of the picture, the largest first; leaves the output Instances."""
    viewer.press("Instances")
    viewer.until_sharp()
    picture = viewer.picture()
    spots = [spot for number in range(1, 64) if (spot := spot_of(picture, number, margin=14, tolerance=14))]
    middle = (picture.shape[1] / 2, picture.shape[0] * 0.75)
    return sorted(spots, key=lambda spot: (spot[0] - middle[0]) ** 2 + (spot[1] - middle[1]) ** 2)


def _click(viewer: Viewer, take: Callable[[], None]) -> None:
    spots = _spots(viewer)
    viewer.press("Overlay")
    take()
    for spot in spots[:3]:
        viewer.click(spot)
        viewer.until_said("pixels in")
        take()


def _isolate(viewer: Viewer, take: Callable[[], None]) -> None:
    spot = _spots(viewer)[0]
    viewer.press("Overlay")
    viewer.click(spot)
    viewer.until_said("pixels in")
    take()
    viewer.press("Isolate")
    viewer.until_said("Only the selection is left")
    take()


def _merge(viewer: Viewer, take: Callable[[], None]) -> None:
    first, second = _spots(viewer)[:2]
    viewer.click(first)
    viewer.until_said("pixels in")
    take()
    viewer.tick("Add to selection", True)
    viewer.click(second)
    viewer.until_said("2 instances selected.")
    take()
    viewer.press("Merge selected")
    viewer.until_said("Merged ")
    take()
    viewer.press("Undo")
    viewer.until_said("Undo done.")


if __name__ == "__main__":
    tyro.cli(main)
