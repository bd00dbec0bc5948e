"""The exported page in a browser, opened from the disk: pictures, picks, buttons, keys, links, and no request."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from proto_saga_ns.cli.export import Export
from proto_saga_ns.export.web.pack import PageGaussians, pack
from proto_saga_ns.export.web.page import StartView, render_page
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.rasterize import rasterization
from tests.browser.driver import PATIENCE
from tests.conftest import TrainedRun
from tests.export.web.scenes import (
    FOCAL,
    GROUPS,
    NASTY,
    OBJECTS,
    ROWS,
    SIZE,
    geometry_of,
    random_gaussians,
    unpacked,
    view_from,
    web_scene,
)

COUNT = 400
VIEW = view_from(0.0)
GRID = [(x + 0.5, y + 0.5) for y in range(10, SIZE[1], 40) for x in range(10, SIZE[0], 40)]
WATCH = "window.broken = []; addEventListener('securitypolicyviolation', e => broken.push(e.effectiveDirective));"


class WebPage:
    """A page that is open."""

    def __init__(self, browser, file: Path, size: tuple[int, int] = SIZE, link: str = "", script: str = "") -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, has_touch=True)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.add_init_script(WATCH + script)
        media = [{"name": "prefers-reduced-transparency", "value": "reduce"}]  # blur takes long without a GPU
        self.context.new_cdp_session(self.page).send("Emulation.setEmulatedMedia", {"features": media})
        self.page.goto(file.as_uri() + link)

    def opened(self) -> WebPage:
        """Wait for the first picture."""
        self.page.locator("#opening").wait_for(state="hidden", timeout=1000 * PATIENCE)
        return self

    def do(self, script: str, argument: object = None):
        """Call methods of ``window.scene``; the answer of the last."""
        return self.page.evaluate(f"(a) => {{ with (scene) return {script}; }}", argument)

    def settle(self) -> None:
        self.page.evaluate("scene.settled()")

    @property
    def state(self) -> dict:
        return self.do("state()")

    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """What is drawn, without the panel before it."""
        self.settle()
        png = base64.b64decode(self.do("picture()").partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def look_from(self, view: StartView) -> None:
        self.do(
            "setCenter([0.5, 0.5]), setWorldToCamera(a[0], a[1])",
            [view.viewmat.tolist(), 2 * math.atan(view.height / 2 / view.focal)],
        )

    def picks(self, spots: list[tuple[float, float]]) -> list[int]:
        return self.do("a.map(([x, y]) => pick(x, y) ?? 0)", spots)

    def press(self, name: str) -> None:
        self.page.keyboard.press(name)

    def item(self, number: int):
        """Of the list."""
        return self.page.locator(f"#things li[data-id='{number}']")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def gaussians() -> PageGaussians:
    return random_gaussians(COUNT)


@pytest.fixture(scope="module")
def opened(browser, folder: Path, gaussians: PageGaussians) -> Iterator[WebPage]:
    file = folder / "scene.html"
    file.write_text(render_page(web_scene(), gaussians), encoding="utf-8")
    web = WebPage(browser, file).opened()
    yield web
    web.context.close()


@pytest.fixture
def web(opened: WebPage) -> WebPage:
    """The page with everything shown in its own colours, from the first view."""
    opened.do("showAll(), setLevel('object'), select([]), setColors(0)")
    opened.look_from(VIEW)
    return opened


def rendered(
    gaussians: PageGaussians, view: StartView, colors: np.ndarray, antialiased: bool = False
) -> tuple[Float[np.ndarray, "H W C"], Float[np.ndarray, "H W"]]:
    """By our rasterizer: colours and opacity."""
    intrinsics = torch.tensor([[FOCAL, 0, view.width / 2], [0, FOCAL, view.height / 2], [0, 0, 1.0]])
    image, alpha, _ = rasterization(
        **geometry_of(gaussians, antialiased).arguments,
        colors=torch.from_numpy(colors).float(),
        viewmats=torch.from_numpy(view.viewmat).float()[None],
        Ks=intrinsics[None],
        width=view.width,
        height=view.height,
    )
    return image[0].numpy(), alpha[0, ..., 0].numpy()


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(((a - b) ** 2).mean())


def check_pictures(web: WebPage, gaussians: PageGaussians, antialiased: bool) -> None:
    background = np.array([0.2, 0.7, 0.4])
    web.do("setBackground(a)", background.tolist())
    for angle in (0.0, 2.5):
        view = view_from(angle)
        web.look_from(view)
        color, alpha = rendered(gaussians, view, gaussians.colors, antialiased)
        expected = (color + (1 - alpha[..., None]) * background).clip(0, 1)
        assert psnr(web.picture() / 255, expected) > 46


def test_pictures_are_those_of_our_rasterizer(web: WebPage, gaussians: PageGaussians) -> None:
    check_pictures(web, gaussians, antialiased=False)


def test_antialiased_scenes_too(browser, folder: Path, gaussians: PageGaussians) -> None:
    small = replace(gaussians, log_scales=gaussians.log_scales - 2.5)
    plain, compensated = (rendered(small, VIEW, small.colors, kind)[0] for kind in (False, True))
    assert psnr(plain, compensated) < 45
    file = folder / "antialiased.html"
    file.write_text(render_page(web_scene(antialiased=True), small), encoding="utf-8")
    web = WebPage(browser, file).opened()
    web.do("setColors(0)")
    check_pictures(web, small, antialiased=True)
    web.context.close()


def expected_labels(gaussians: PageGaussians, view: StartView, things: dict[int, tuple[int, ...]]) -> np.ndarray:
    """At the grid: the thing with the most weight, 0 where too little light is stopped."""
    unit = np.array([unit for unit, _ in ROWS])[gaussians.rows]
    channels = np.stack([np.isin(unit, own) for own in things.values()], axis=1)
    weights, alpha = rendered(gaussians, view, channels)
    labels = np.array(list(things))[weights.argmax(axis=2)] * ((alpha >= 0.5) & (weights.max(axis=2) > 0))
    return np.array([labels[int(y), int(x)] for x, y in GRID])


def quantised(gaussians: PageGaussians) -> PageGaussians:
    """As the page has them."""
    own = unpacked(pack(gaussians), len(gaussians))
    columns = (np.asarray(column, np.float32) for column in list(vars(own).values())[:-1])
    return PageGaussians(*columns, own.rows)


@pytest.mark.parametrize("angle", [0.0, 1.3])
def test_a_pick_is_the_object_with_the_most_weight(web: WebPage, gaussians: PageGaussians, angle: float) -> None:
    view = view_from(angle)
    web.look_from(view)
    expected = expected_labels(quantised(gaussians), view, OBJECTS)
    assert len({*expected.tolist()}) > 4
    assert (np.array(web.picks(GRID)) == expected).mean() > 0.99


def test_picks_of_other_levels_are_inside_the_object(web: WebPage) -> None:
    objects = web.picks(GRID)
    web.do("setLevel('part')")
    parts = web.picks(GRID)
    assert all(part in OBJECTS.get(o, (0,)) for part, o in zip(parts, objects, strict=True)) and 9 in parts
    web.do("setLevel('group')")
    groups = web.picks(GRID)
    assert all(o in GROUPS.get(group, (0,)) for group, o in zip(groups, objects, strict=True))


def spot_of(web: WebPage, number: int) -> tuple[float, float]:
    """A place of the picture that shows an object and lies beside the panel and the tools."""
    free = [(x, y) for x, y in GRID if x < SIZE[0] - 310 and y > 80]
    return next(spot for spot, found in zip(free, web.picks(free), strict=True) if found == number)


def test_a_click_selects_and_a_click_beside_selects_nothing(web: WebPage) -> None:
    for number in (2, 4):
        web.page.mouse.click(*spot_of(web, number))
        assert web.state["selected"] == [number]
        assert "is-selected" in (web.item(number).get_attribute("class") or "")
    web.page.keyboard.down("Control")
    web.page.mouse.click(*spot_of(web, 2))
    web.page.keyboard.up("Control")
    assert sorted(web.state["selected"]) == [2, 4]
    web.page.mouse.click(*spot_of(web, 0))
    assert web.state["selected"] == []


def test_what_is_selected_has_a_line_around_it(web: WebPage) -> None:
    web.do("isolate([2]), select([])")
    before = web.picture()
    web.do("select([2])")
    after = web.picture()
    changed = (before != after).any(axis=2)
    assert 0.001 < changed.mean() < 0.2
    white, dark = (after[changed] > 250).all(axis=1), (after[changed] < 60).all(axis=1)
    assert white.any() and dark.any()


def test_the_pointer_tells_the_name(web: WebPage) -> None:
    web.page.mouse.move(*spot_of(web, 2))
    web.page.locator("#tip").wait_for(state="visible")
    assert web.page.locator("#tip .text").text_content() == NASTY
    web.page.mouse.move(*spot_of(web, 0))
    web.page.locator("#tip").wait_for(state="hidden")


def test_names_are_never_markup(web: WebPage) -> None:
    assert web.item(2).locator(".text").text_content() == NASTY
    assert web.page.locator("#title").text_content() == NASTY and web.page.title().startswith("</script>")
    assert web.page.locator("img").count() == 0 and web.page.evaluate("window.hacked") is None


def test_hide_isolate_show_all(web: WebPage) -> None:
    spot = spot_of(web, 2)
    web.do("select([2])")
    web.page.click("#hide")
    assert web.state["hidden"] == [2] and web.picks([spot]) != [2] and web.state["selected"] == []
    assert 2 not in web.picks(GRID) and "4 of 5 objects" in (web.page.locator("#facts").text_content() or "")
    web.page.click("#show-all")
    assert web.state["hidden"] == [] and web.picks([spot]) == [2]
    web.do("select([2])")
    web.page.click("#isolate")
    assert sorted(web.state["hidden"]) == [1, 3, 4, 5] and {*web.picks(GRID)} == {0, 2}
    web.item(3).locator(".eye").click()
    assert sorted(web.state["hidden"]) == [1, 4, 5]
    web.item(3).locator(".eye").click()
    assert sorted(web.state["hidden"]) == [1, 3, 4, 5]


def test_what_is_hardly_seen_goes_with_the_rest(web: WebPage, gaussians: PageGaussians) -> None:
    web.do("isolate([3]), select([]), setBackground([0, 0, 0])")
    alone = gaussians.select(np.flatnonzero(gaussians.rows == ROWS.index((3, 1))))
    assert psnr(web.picture() / 255, rendered(alone, VIEW, alone.colors)[0].clip(0, 1)) > 40


def test_levels(web: WebPage) -> None:
    web.do("select([2])")
    web.page.click("#levels button[data-level=part]")
    assert web.state["level"] == "part" and sorted(web.state["selected"]) == [2, 9]
    web.do("select([9])")
    web.page.click("#levels button[data-level=object]")
    assert web.state["selected"] == [2]
    web.page.click("#levels button[data-level=group]")
    assert web.page.locator("#things li").count() == len(GROUPS)


def test_colors(web: WebPage, gaussians: PageGaussians) -> None:
    web.do("setBackground([0, 0, 0])")
    plain = web.picture()
    web.page.locator("#overlay").fill("100")
    painted = web.picture()
    unit = np.array([unit for unit, _ in ROWS])[gaussians.rows]
    colors = gaussians.colors.copy()
    for thing in web_scene().levels["object"]:
        colors[np.isin(unit, thing.units)] = np.array(thing.color) / 255
    assert psnr(painted / 255, rendered(gaussians, VIEW, colors)[0].clip(0, 1)) > 40
    web.page.locator("#paints").uncheck()
    assert np.array_equal(web.picture(), plain)


def test_the_list_can_be_searched(web: WebPage) -> None:
    def shown() -> list[str]:
        visible = web.page.locator("#things li:visible")
        return sorted(visible.nth(i).get_attribute("data-id") or "" for i in range(visible.count()))

    search = web.page.locator("#search")
    for text, found in {"THING": ["1", "3", "4", "5"], "img src": ["2"], "3": ["3"], "nothing like it": []}.items():
        search.fill(text)
        assert shown() == found
    assert web.page.locator("#nothing").is_visible()
    search.fill("")
    assert len(shown()) == 5


def test_a_thing_without_gaussians_breaks_nothing(web: WebPage) -> None:
    web.item(5).locator(".name").click()
    assert web.state["selected"] == [5]
    for button in ("#frame", "#isolate"):
        web.page.click(button)
    assert {*web.picks(GRID)} == {0} and web.errors == []


def test_keys(web: WebPage) -> None:
    web.page.locator("#picture").focus()
    web.do("select([2])")
    web.press("h")
    assert web.state["hidden"] == [2]
    web.press("u")
    web.do("select([3])")
    web.press("i")
    assert 3 not in web.state["hidden"] and len(web.state["hidden"]) == 4
    web.press("u")
    web.do("select([3])")
    web.press("Escape")
    assert (web.state["hidden"], web.state["selected"]) == ([], [])
    web.press("]")
    assert web.state["level"] == "part"
    web.press("[")
    web.press("[")
    assert web.state["level"] == "group"
    web.press("c")
    assert web.state["colors"] > 0 or web.page.locator("#paints").is_checked()
    web.press("?")
    assert web.page.locator("#help").is_visible()
    web.page.click("#help-close")
    assert web.page.locator("#help").is_hidden()
    web.press("/")
    web.page.keyboard.type("wasd")
    assert web.page.locator("#search").input_value() == "wasd"
    web.page.locator("#search").fill("")
    web.press("Escape")


def test_keys_and_buttons_move_the_camera(web: WebPage) -> None:
    web.page.locator("#picture").focus()
    before = web.do("getCamera()")
    web.page.keyboard.down("w")
    web.page.wait_for_timeout(150)
    web.page.keyboard.up("w")
    near = web.do("getCamera()")
    assert np.dot(np.subtract(near["position"], before["position"]), -np.array(before["position"])) > 0
    web.press("2")
    web.settle()
    second = web.do("getCamera()")
    view = web_scene().views[1].to_json()
    np.testing.assert_allclose(second["position"], view["position"], atol=1e-9)
    assert abs(np.dot(second["rotation"], view["rotation"])) > 1 - 1e-9
    web.press("r")
    web.settle()
    np.testing.assert_allclose(web.do("getCamera()")["position"], near["position"], atol=1e-9)
    web.page.click("#views-button")
    web.page.locator("#views button").nth(2).click()
    web.settle()
    np.testing.assert_allclose(web.do("getCamera()")["position"], web_scene().views[2].to_json()["position"], atol=1e-9)


def pivot(camera: dict) -> np.ndarray:
    w, x, y, z = camera["rotation"]
    forward = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    return np.array(camera["position"]) + camera["distance"] * forward


def test_the_mouse_turns_moves_and_zooms(web: WebPage) -> None:
    def drag(button: str) -> tuple[dict, dict]:
        before = web.do("getCamera()")
        web.page.mouse.move(200, 250)
        web.page.mouse.down(button=button)
        web.page.mouse.move(290, 330, steps=4)
        web.page.mouse.up(button=button)
        return before, web.do("getCamera()")

    before, after = drag("left")
    np.testing.assert_allclose(pivot(after), pivot(before), atol=1e-9)
    assert np.linalg.norm(np.subtract(after["position"], before["position"])) > 0.3
    before, after = drag("right")
    assert after["rotation"] == before["rotation"] and np.linalg.norm(pivot(after) - pivot(before)) > 0.1
    web.page.mouse.wheel(0, -200)
    nearer = web.do("getCamera()")
    assert nearer["distance"] < after["distance"]
    np.testing.assert_allclose(pivot(nearer), pivot(after), atol=1e-9)
    web.page.click("#look")
    before, after = drag("left")
    assert after["position"] == before["position"] and after["rotation"] != before["rotation"]
    web.page.click("#look")
    assert web.state["selected"] == []  # a drag is no click


def test_fingers(web: WebPage) -> None:
    session = web.context.new_cdp_session(web.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    def swipe(*ways: tuple[tuple[float, float], tuple[float, float]]) -> tuple[dict, dict]:
        before = web.do("getCamera()")
        touch("touchStart", *(start for start, _ in ways))
        for share in (0.3, 0.6, 1.0):
            touch("touchMove", *((a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])) for a, b in ways))
        touch("touchEnd")
        return before, web.do("getCamera()")

    before, after = swipe(((200, 250), (300, 250)))
    np.testing.assert_allclose(pivot(after), pivot(before), atol=1e-9)
    assert after["rotation"] != before["rotation"]
    before, after = swipe(((200, 250), (150, 250)), ((300, 250), (350, 250)))
    assert abs(after["distance"] / before["distance"] - 0.5) < 0.05 and after["rotation"] == before["rotation"]
    before, after = swipe(((200, 250), (250, 250)), ((300, 250), (350, 250)))
    assert abs(after["distance"] / before["distance"] - 1) < 0.01
    assert np.linalg.norm(pivot(after) - pivot(before)) > 0.05
    web.look_from(VIEW)
    touch("touchStart", spot_of(web, 2))
    touch("touchEnd")
    assert web.state["selected"] == [2]


def test_a_link_brings_everything_back(web: WebPage, browser, folder: Path) -> None:
    web.do("setLevel('part'), hide([4]), select([9]), setColors(0.3)")
    web.look_from(view_from(0.7))
    told = web.state
    web.page.click("#link")
    assert web.page.evaluate("location.hash") == told["link"]
    other = WebPage(browser, folder / "scene.html", link=told["link"]).opened()
    assert other.state == told
    theirs, ours = (page.do("getCamera()") for page in (other, web))
    np.testing.assert_allclose(theirs["rotation"], ours["rotation"], atol=1e-4)
    other.context.close()
    web.do("showAll(), setLevel('object'), select([1])")
    web.page.evaluate("(link) => { location.hash = link + '&'; }", told["link"])
    assert web.state == told


@pytest.mark.parametrize(
    "link", ["#cam=1,2", "#cam=a,b,c,d,e,f,g,h,i&level=x&hide=9-99999999&select=<b>&color=999", "#=&&"]
)
def test_links_that_make_no_sense_do_no_harm(web: WebPage, link: str) -> None:
    before = web.do("getCamera()")
    web.page.evaluate("(link) => { location.hash = link; }", link)
    web.page.wait_for_timeout(50)
    assert web.do("getCamera()") == before and web.state["level"] == "object" and web.errors == []
    web.page.evaluate("location.hash = ''")


def test_light_and_dark(web: WebPage) -> None:
    seen = []
    for _ in range(2):
        web.page.click("#theme")
        theme = web.page.evaluate("document.documentElement.dataset.theme")
        seen.append((theme, bool(web.picture()[0, 0].mean() > 128)))
    assert sorted(seen) == [("dark", False), ("light", True)]


def test_a_double_click_turns_about_that_point(web: WebPage) -> None:
    x, y = spot_of(web, 2)
    web.page.mouse.dblclick(x, y)
    web.settle()
    camera = web.do("getCamera()")
    assert camera["distance"] < 4 and web.errors == []


def test_it_asks_for_nothing_and_could_not(web: WebPage) -> None:
    assert [url for url in web.asked if not url.startswith(("data:", "blob:"))] == [web.page.url.partition("#")[0]]
    answer = "fetch('https://127.0.0.1:9/').then(() => 'asked', () => 'refused')"
    assert web.page.evaluate(answer) == "refused"
    assert web.page.evaluate("broken") == ["connect-src"]


def test_it_fits_a_phone(browser, folder: Path, web: WebPage) -> None:
    phone = WebPage(browser, folder / "scene.html", size=(390, 844)).opened()
    assert phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = {name: phone.page.locator(name).bounding_box() for name in ("#tools", "#panel")}
    tools, panel = boxes["#tools"], boxes["#panel"]
    assert tools["y"] + tools["height"] < panel["y"] and panel["y"] + panel["height"] <= 844
    phone.page.click("#fold")
    assert phone.page.locator("#search").is_visible()
    phone.context.close()


def test_without_workers_it_says_so_and_works(browser, folder: Path, web: WebPage) -> None:
    refused = "window.Worker = function () { throw new Error('no workers here'); };"
    other = WebPage(browser, folder / "scene.html", script=refused).opened()
    assert "no workers here" in (other.page.locator("#message").text_content() or "")
    for page in (other, web):
        page.do("setColors(0)")
        page.do("setBackground([0, 0, 0])")
        page.look_from(VIEW)
    # Where drawing is slow a page may draw in fewer pixels than another.
    assert np.abs(other.picture().astype(int) - web.picture().astype(int)).mean() < 3
    other.context.close()


def test_a_damaged_page_says_so(browser, folder: Path) -> None:
    file = folder / "damaged.html"
    text = render_page(web_scene(), random_gaussians(COUNT))
    file.write_text(text.replace(f'"count":{COUNT},"total"', f'"count":{COUNT + 1},"total"'), encoding="utf-8")
    damaged = WebPage(browser, file)
    damaged.page.get_by_text("The page is damaged").wait_for(timeout=1000 * PATIENCE)
    damaged.context.close()


def test_a_click_selects_what_segment_says(browser, trained_run: TrainedRun, tmp_path: Path) -> None:
    Export(trained_run.config, tmp_path, what=("web",)).run()
    run, agree = load_run(trained_run.config), []
    web = WebPage(browser, tmp_path / "scene.html", size=(320, 240)).opened()
    for _, camera, _ in run.cameras("test"):
        seen = run.model.view_of(camera, corrected=False)
        labels = segment_view(run.model, run.scene, camera).labels
        web.page.set_viewport_size({"width": seen.width, "height": seen.height})
        focal = float(seen.intrinsics[0, 1, 1])
        web.look_from(StartView("", seen.viewmats[0].numpy(), focal, seen.width, seen.height))
        spots = [(x + 0.5, y + 0.5) for y in range(3, seen.height, 6) for x in range(3, seen.width, 6)]
        agree += [found == labels[int(y), int(x)] for (x, y), found in zip(spots, web.picks(spots), strict=True)]
    web.context.close()
    assert np.mean(agree) > 0.95
