"""A person at the viewer: a real browser, with a real mouse, on the tab "Objects"."""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.ndimage import distance_transform_edt

from proto_saga_ns.labels.colors import instance_colors

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
PLAIN_PAGE = ("--disable-gpu-rasterization", "--disable-gpu-compositing")
"""The emulated GPU draws the scene alone: with the page around it, it takes four times as long."""
FEWER_FRAMES = """
const everyFrame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (callback) => setTimeout(() => everyFrame(callback), 150);
"""
"""Viser draws as often as it can, which without a GPU takes all of the processor that the viewer needs."""
SLOW_CLOCK = """
const now = performance.now.bind(performance);
performance.now = () => now() / 50;
"""
"""Viser draws in a fifth of the resolution where it measures few frames a second."""
IN_PLACE = """
document.addEventListener("scroll", (event) => {
  const scrolled = event.target === document ? document.scrollingElement : event.target;
  if (scrolled.scrollLeft) scrolled.scrollLeft = 0;
}, true);
"""
"""Playwright scrolls to what it presses, sideways too, where viser hides a button beyond the edge of the page."""
SIZES_OF_IMAGES = """
const source = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
Object.defineProperty(HTMLImageElement.prototype, "src", {...source, set(url) {
  this.addEventListener("load", () => {
    if (url.startsWith("blob:")) window.longestSide = Math.max(this.naturalWidth, this.naturalHeight);
  });
  source.set.call(this, url);
}});
"""
"""The longest side of the last image that the server sent, in pixels."""
FULL_RESOLUTION = 512
"""What nerfstudio's slider Max Res begins with: the longest side of a sharp image."""
PATIENCE = 60
"""Seconds; a test that waits so long fails. Nothing is measured by it."""

Spot = tuple[int, int]


def chromium() -> str | None:
    """The browser's program; ``PROTO_SAGA_CHROMIUM`` names one elsewhere."""
    named = os.environ.get("PROTO_SAGA_CHROMIUM")
    return named or next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def launch(playwright: Playwright, program: str) -> Browser:
    """A browser without a window, that draws by the CPU."""
    return playwright.chromium.launch(executable_path=program, args=["--no-sandbox", *SOFTWARE_WEBGL, *PLAIN_PAGE])


class Viewer:
    """The page of a viewer."""

    def __init__(self, browser: Browser, url: str, size: tuple[int, int] = (900, 640)) -> None:
        self.page: Page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        self.page.add_init_script(FEWER_FRAMES + SLOW_CLOCK + IN_PLACE + SIZES_OF_IMAGES)
        self.page.goto(url)
        self.page.get_by_role("tab", name="Objects").click(timeout=1000 * PATIENCE)
        self.page.get_by_text("instances", exact=False).first.wait_for(timeout=1000 * PATIENCE)

    @property
    def status(self) -> str:
        """The tab's first line."""
        return self._line(0)

    @property
    def message(self) -> str:
        """The tab's second line: what came of the last action."""
        return self._line(1)

    def press(self, name: str) -> None:
        """A button in any tab."""
        self._visible(self.page.get_by_role("button", name=name, exact=True)).click()

    def choose(self, label: str, option: str | re.Pattern[str]) -> None:
        """An entry of a list."""
        self._visible(self.page.get_by_label(label, exact=True)).click()
        self._visible(self.page.get_by_role("option", name=option, exact=isinstance(option, str))).click()

    def chosen(self, label: str) -> str:
        """What a list or a text field shows."""
        return self._field(label).input_value()

    def write(self, label: str, text: str) -> None:
        """Put text into a field."""
        self._field(label).fill(text)

    def _field(self, label: str) -> Locator:
        """The input beside a label, which viser does not tie to a text field."""
        return self._visible(self.page.locator(f"xpath=//label[text()='{label}']/following::input[1]"))

    def tick(self, label: str, on: bool) -> None:
        """A checkbox."""
        self._visible(self.page.get_by_label(label, exact=True)).set_checked(on)

    def click(self, spot: Spot) -> None:
        """Move the mouse into the picture, press, release."""
        self.drag(spot, spot)

    def drag(self, start: Spot, end: Spot) -> None:
        """Move, press, move, release."""
        left, top, _, _ = self._frame()
        self.page.mouse.move(left + start[0], top + start[1])
        self.page.mouse.down()
        if end != start:
            self.page.mouse.move(left + end[0], top + end[1], steps=5)
        self.page.mouse.up()

    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """What is on the screen where the scene is shown."""
        left, top, width, height = self._frame()
        clip = {"x": left, "y": top, "width": width, "height": height}
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB"))  # type: ignore[arg-type]

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition; ``what`` is said if it never holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"never happened: {what}; the panel says {self.status!r}, {self.message!r}"
            self.page.wait_for_timeout(50)

    def until_said(self, words: str) -> str:
        """Wait until the message holds some words."""
        self.until(lambda: words in self.message, f"the message {words!r}")
        return self.message

    def until_shown(self, instance: int, shown: bool = True) -> Spot:
        """Wait until the picture shows (or not) the colour of an instance; the middle of its largest part."""
        self.until(lambda: (spot_of(self.picture(), instance) is not None) == shown, f"instance {instance}: {shown}")
        return spot_of(self.picture(), instance) or (0, 0)

    def until_sharp(self) -> None:
        """Wait for the picture in full resolution: nerfstudio sharpens a view 0.2 s after the last action."""

        def is_settled() -> bool:
            return self._stays(lambda: self.picture().tobytes(), 500) and self._is_sharp()

        self.until(is_settled, "a sharp picture that stays")

    def until_silent(self) -> None:
        """Wait until the answers to all that was pressed have come."""
        self.until(lambda: self._stays(lambda: self.status + self.message, 2000), "the last answer")

    def _is_sharp(self) -> bool:
        return self.page.evaluate("window.longestSide") == FULL_RESOLUTION

    def _stays(self, look: Callable[[], object], milliseconds: int) -> bool:
        seen = look()
        self.page.wait_for_timeout(milliseconds)
        return look() == seen

    def _frame(self) -> tuple[float, float, float, float]:
        box = self.page.locator("canvas").last.bounding_box()
        assert box is not None
        return box["x"], box["y"], box["width"], box["height"]

    def _line(self, number: int) -> str:
        return (
            self.page.get_by_role("tabpanel")
            .filter(visible=True)
            .locator(":scope > div > div")
            .nth(number)
            .inner_text()
        )

    @staticmethod
    def _visible(found: Locator) -> Locator:
        return found.filter(visible=True).first


def mask_of(picture: UInt8[np.ndarray, "H W 3"], instance: int, tolerance: int = 2) -> Bool[np.ndarray, "H W"]:
    """Where a picture has the colour of an instance."""
    color = instance_colors(np.array([instance]))[0].astype(int)
    return np.abs(picture.astype(int) - color).max(axis=2) <= tolerance


def spot_of(picture: UInt8[np.ndarray, "H W 3"], instance: int, margin: int = 4, tolerance: int = 2) -> Spot | None:
    """The middle of the largest part in the colour of an instance; None if all are thin."""
    depth = distance_transform_edt(np.pad(mask_of(picture, instance, tolerance), 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return (int(column), int(row)) if depth[row, column] >= margin else None
