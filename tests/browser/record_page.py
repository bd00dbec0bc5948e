"""Pictures of an exported page for the docs: ``python -m tests.browser.record_page --page OUT/scene.html``.

Drives the page as a person would, and writes docs/images/web.gif and web_phone.png.
"""

from __future__ import annotations

import io
from pathlib import Path

import tyro
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.driver import PATIENCE, chromium, launch

SIZE, PHONE = (1000, 640), (390, 844)
GIF_SIZE = (750, 480)
COLORS = 128
FRAME_MS, PAUSE_MS = 110, 1300
TURN = 26
"""CSS pixels of the drag between two frames."""


def main(page: Path, spot: tuple[float, float] = (0.4, 0.8), output: Path = Path("docs/images")) -> None:
    """Record.

    Args:
        page: that `proto-saga export --what web` wrote.
        spot: of the object that is taken out, in the first view; shares of width and height.
        output: folder for the pictures.
    """
    with sync_playwright() as playwright:
        browser = launch(playwright, chromium() or "chromium")
        frames = _record(_opened(browser, page, SIZE, "light"), (spot[0] * SIZE[0], spot[1] * SIZE[1]))
        _save(frames, output / "web.gif")
        phone = Image.open(io.BytesIO(_opened(browser, page, PHONE, "dark").screenshot())).convert("RGB")
        phone.quantize(COLORS, kmeans=2).save(output / "web_phone.png", optimize=True)
        browser.close()


def _opened(browser, file: Path, size: tuple[int, int], theme: str) -> Page:
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    page.goto(file.resolve().as_uri())
    page.locator("#opening").wait_for(state="hidden", timeout=1000 * PATIENCE)
    page.evaluate("scene.setColors(0.45), scene.settled()")
    return page


def _record(page: Page, spot: tuple[float, float]) -> list[tuple[Image.Image, int]]:
    """Frames, and how long each is shown."""
    frames: list[tuple[Image.Image, int]] = []

    def take(milliseconds: int) -> None:
        page.evaluate("scene.settled()")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        frames.append((picture.resize(GIF_SIZE, Image.Resampling.LANCZOS), milliseconds))

    def turn(steps: int) -> None:
        page.mouse.move(*spot)
        page.mouse.down()
        for step in range(1, steps + 1):
            page.mouse.move(spot[0] + TURN * step, spot[1])
            take(FRAME_MS)
        page.mouse.up()

    take(PAUSE_MS)
    page.mouse.move(*spot)
    page.locator("#tip").wait_for(state="visible")
    take(PAUSE_MS)
    page.mouse.click(*spot)
    take(PAUSE_MS)
    page.click("#isolate")
    page.evaluate("scene.setColors(0)")
    page.click("#frame")
    take(PAUSE_MS)
    turn(14)
    page.click("#show-all")
    page.keyboard.press("Escape")
    take(PAUSE_MS)
    return frames


def _save(frames: list[tuple[Image.Image, int]], path: Path) -> None:
    small = [frame.quantize(COLORS, kmeans=2, dither=Image.Dither.NONE) for frame, _ in frames]
    small[0].save(path, save_all=True, append_images=small[1:], duration=[shown for _, shown in frames], loop=0)


if __name__ == "__main__":
    tyro.cli(main)
