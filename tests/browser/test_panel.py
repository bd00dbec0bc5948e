"""The panel in a browser: real clicks in the picture, real buttons, and what comes of them on the screen."""

from __future__ import annotations

import re
import socket

import numpy as np
import pytest

from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.scene.shown import at_granularity, group_heads
from tests.browser.conftest import Server, listens
from tests.browser.driver import PATIENCE, Spot, Viewer, mask_of, spot_of

NASTY = "<b>{1+1}</b> `a|b` export"


def shown(panel: Viewer, ids: tuple[int, ...]) -> dict[int, Spot]:
    """Instances in the picture, the largest first, each with a place to click on."""
    picture = panel.picture()
    spots = {number: spot for number in ids if (spot := spot_of(picture, number, margin=12)) is not None}
    return dict(sorted(spots.items(), key=lambda item: -mask_of(picture, item[0]).sum()))


def said_id(message: str) -> int:
    return int(message.split(":")[0])


@pytest.fixture
def ids(panel: Viewer) -> tuple[int, ...]:
    """All instances, as the table lists them."""
    rows = panel.page.get_by_role("row").all_inner_texts()
    return tuple(int(found[1]) for row in rows if (found := re.search(r"(\d+): ", row)))


def test_a_click_selects_what_is_under_the_mouse(panel: Viewer, ids: tuple[int, ...]) -> None:
    spots = shown(panel, ids)
    assert len(spots) >= 3
    for number, (x, y) in spots.items():
        assert np.abs(panel.picture()[y, x].astype(int) - instance_colors(np.array([number]))[0]).max() <= 2
        panel.click((x, y))
        panel.until(lambda number=number: panel.message.startswith(f"{number}:"), f"a click finds {number}")
        assert panel.chosen("Instance") == f"{number}: instance {number}"
        panel.until(lambda: bool((panel.picture() > 190).all(axis=2).sum() > 20), "a white outline")


def test_a_drag_does_not_turn_the_view_while_a_tool_is_on(panel: Viewer) -> None:
    before = panel.picture()
    panel.choose("Mouse", "Box")
    panel.until_said("Drag a box")
    panel.drag((400, 300), (402, 301))
    panel.until(lambda: "inside that box" in panel.message or "pixels in" in panel.message, "an answer")
    panel.press("None")
    panel.until_said("Nothing is selected.")
    panel.until(lambda: bool((panel.picture() != before).any(axis=2).mean() < 0.01), "the picture of before")


@pytest.mark.parametrize("backwards", [False, True])
def test_a_box_selects_what_is_inside(panel: Viewer, ids: tuple[int, ...], backwards: bool) -> None:
    number = list(shown(panel, ids))[-1]
    rows, columns = np.nonzero(mask_of(panel.picture(), number))
    low = (max(int(columns.min()) - 3, 1), max(int(rows.min()) - 3, 1))
    height, width = panel.picture().shape[:2]
    high = (min(int(columns.max()) + 3, width - 2), min(int(rows.max()) + 3, height - 2))
    panel.choose("Mouse", "Box")
    panel.until_said("Drag a box")
    panel.drag(*((high, low) if backwards else (low, high)))
    panel.until(lambda: "selected" in panel.message or "pixels in" in panel.message, "a selection")
    panel.press("Isolate")
    panel.until_said("Only the selection is left")
    panel.press("Instances")
    panel.until_shown(number)


def test_hide_isolate_and_show_all(panel: Viewer, ids: tuple[int, ...]) -> None:
    (first, spot), (second, _) = list(shown(panel, ids).items())[:2]
    panel.click(spot)
    panel.until_said(f"{first}: ")
    panel.press("Hide")
    panel.until_said("Hid 1")
    panel.until_shown(first, False)
    assert "1 hidden" in panel.status
    panel.press("Show all")
    panel.until_shown(first)
    panel.choose("Instance", re.compile(f"^{second}: "))
    panel.until_said(f"{second}: ")
    panel.press("Isolate")
    panel.until_said("Only the selection is left")
    panel.press("Instances")
    panel.until_shown(first, False)
    panel.until_shown(second)
    assert f"{len(ids) - 1} hidden" in panel.status


def test_merge_split_undo_redo(panel: Viewer, ids: tuple[int, ...]) -> None:
    (one, spot), (two, other) = list(shown(panel, ids).items())[:2]
    panel.click(spot)
    panel.until_said(f"{one}: ")
    panel.tick("Add to selection", True)
    panel.click(other)
    panel.until_said("2 instances selected.")
    panel.press("Merge selected")
    kept = int(re.findall(r"into (\d+):", panel.until_said("Merged "))[0])
    gone = two if kept == one else one
    assert f"{len(ids) - 1} instances" in panel.status
    panel.press("None")
    panel.until_shown(gone, False)
    panel.press("Undo")
    panel.until_said("Undo done.")
    panel.until_shown(gone)
    panel.press("Redo")
    panel.until_said("Redo done.")
    panel.until_shown(gone, False)
    panel.choose("Mouse", "Split")
    panel.until_said("Click on one part")
    panel.click(spot)
    panel.until_said("now click on its other part")
    panel.click(other)
    panel.until_said("Split ")
    panel.press("None")
    panel.until_shown(gone)
    assert f"{len(ids)} instances" in panel.status
    for left in (len(ids) - 1, len(ids)):
        panel.press("Undo")
        panel.until(lambda left=left: f"{left} instances" in panel.status, f"{left} instances again")


def test_outputs(panel: Viewer) -> None:
    pictures = []
    for name in ("Colours", "Instances", "Overlay", "Confidence", "Embedding"):
        panel.press(name)
        panel.until(lambda: all((panel.picture() != old).mean() > 0.05 for old in pictures), f"another picture: {name}")
        panel.until_sharp()
        pictures.append(panel.picture())


def test_a_nasty_name_is_shown_as_it_is(panel: Viewer, ids: tuple[int, ...]) -> None:
    panel.choose("Instance", re.compile(f"^{ids[0]}: "))
    panel.until_said(f"{ids[0]}: ")
    panel.write("Name", NASTY)
    panel.press("Rename")
    panel.until_said(f"is called '{NASTY}' now.")
    assert f"{ids[0]}: {NASTY}" in panel.page.get_by_role("row").nth(1).inner_text()
    assert panel.chosen("Instance") == f"{ids[0]}: {NASTY}" and panel.chosen("Name") == NASTY
    panel.press("Undo")
    panel.until_said("Undo done.")


def test_what_cannot_be_done_is_said(panel: Viewer) -> None:
    panel.press("Merge selected")
    panel.until_said("Select two instances or more first.")


CLICK_MANY = """(names) => {
    const buttons = [...document.querySelectorAll("button")];
    const press = (name) => buttons.find((button) => button.innerText.trim() === name).click();
    window.pressed = 0;
    for (let i = 0; i < 40; i++)
        setTimeout(() => { press(names[i % names.length]); window.pressed++; }, 25 * i);
}"""


def test_two_browsers_at_once(browser: object, server: Server, panel: Viewer) -> None:
    """Both press at the same time; in the end both show the same, and the server lives."""
    other = Viewer(browser, server.url)  # type: ignore[arg-type]
    assert other.status == panel.status
    panel.press("Next")
    other.until(lambda: "1 selected" in other.status and other.message == panel.message, "the other sees it")
    names = ["Next", "Hide", "Isolate", "Merge selected", "Undo", "Show all", "All", "None"]
    panel.page.evaluate(CLICK_MANY, names)
    other.page.evaluate(CLICK_MANY, list(reversed(names)))
    for page in (panel, other):
        page.page.wait_for_function("window.pressed === 40")
    panel.until_silent()
    while "unsaved" in panel.status:
        before = panel.status
        panel.press("Undo")
        panel.until(lambda before=before: panel.status != before, "one change less")
    panel.press("All")
    panel.until_said("instances selected.")
    other.press("None")
    for page in (panel, other):
        page.until(lambda page=page: page.message == "Nothing is selected.", "the last word")
        page.until(lambda: panel.status == other.status, "the same status")
    assert server.process.is_running and "Traceback" not in server.process.stderr + server.process.stdout
    other.page.close()


def test_saving(panel: Viewer, server: Server, ids: tuple[int, ...]) -> None:
    """The checkpoint on disk has what the panel showed."""
    one, two = ids[:2]
    panel.choose("Instance", re.compile(f"^{one}: "))
    panel.until_said(f"{one}: ")
    panel.tick("Add to selection", True)
    panel.choose("Instance", re.compile(f"^{two}: "))
    panel.until_said("2 instances selected.")
    panel.press("Merge selected")
    panel.until_said(f"into {one}: ")
    panel.write("Name", NASTY)
    panel.press("Rename")
    panel.until_said("is called")
    assert "2 unsaved changes" in panel.status
    panel.press("Save into checkpoint")
    panel.until_said("Saved 2 changes and the look of the scene.")
    assert "unsaved" not in panel.status
    scene = load_run(server.run.config).scene
    assert scene.owners == {two: one} and scene.names == {one: NASTY} and scene.display.selected == (one,)


def test_it_listens_on_this_machine_only(server: Server) -> None:
    assert listens(server.port)
    for _, _, _, _, address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
        if not str(address[0]).startswith("127."):
            assert not listens(server.port, str(address[0]))


def test_granularity_colours_groups_or_says_why_not(panel: Viewer, ids: tuple[int, ...], server: Server) -> None:
    scene = load_run(server.run.config).scene
    slider = panel.page.locator("xpath=//label[text()='Granularity']/following::*[@role='slider'][1]")
    if scene.levels is None:
        panel.page.get_by_text("No parts and groups").wait_for(timeout=1000 * PATIENCE)
        assert slider.evaluate("thumb => thumb.closest('[data-disabled]') !== null")
        return
    heads = group_heads(at_granularity(scene, 0.0))
    members = [number for number in shown(panel, ids) if heads[number] != number]
    slider.focus()
    for _ in range(10):
        slider.press("ArrowLeft")
    panel.until_said(f"{len(ids)} objects, shown as {len({*heads.values()})} groups.")
    for number in members:
        panel.until_shown(number, False)
    panel.press("Join as shown")
    if len({*heads.values()}) < len(ids):
        panel.until_said(f"Joined {len(ids)} objects to {len({*heads.values()})}, as they were shown.")
        panel.press("Undo")
        panel.until_said("Undo done.")
    else:
        panel.until_said("No objects are shown as one: move Granularity to the left, to groups.")
    for _ in range(10):
        slider.press("ArrowRight")
    panel.until_said(f"{len(ids)} objects.")
    for number in members:
        panel.until_shown(number)
