"""The page as text: one file that asks for nothing, in which no name becomes markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

import proto_saga_ns.export.web.page
from proto_saga_ns.export.web.page import SCRIPTS, render_page, script_of_page
from tests.export.web.scenes import NASTY, random_gaussians, unpacked, web_scene

SOURCES = Path(proto_saga_ns.export.web.page.__file__).parent


class Elements(HTMLParser):
    """Opening tags with their attributes, and the text of scripts, style and title."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = (dict(attrs).get("id") or tag) if tag in ("script", "style", "title") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._inside] = self.texts.get(self._inside, "") + data


@pytest.fixture(scope="module")
def elements() -> Elements:
    return Elements(render_page(web_scene(), random_gaussians(400)))


def test_the_page_holds_scene_and_gaussians(elements: Elements) -> None:
    scene = json.loads(elements.texts["scene-data"])
    assert scene["count"] == 400 and scene["levels"][1]["things"][1]["name"] == NASTY
    packed = base64.b64decode(elements.texts["gaussian-data"])
    assert len(unpacked(packed, 400).means) == 400


def test_names_are_text(elements: Elements) -> None:
    assert "img" not in [tag for tag, _ in elements.tags] and elements.texts["title"].startswith("</script><img")
    assert [tag for tag, _ in elements.tags].count("script") == 3


def test_no_element_asks_for_another_file(elements: Elements) -> None:
    addresses = [value for _, attrs in elements.tags for name, value in attrs.items() if name in ("src", "href")]
    assert addresses == ["data:,"]
    assert "@import" not in elements.texts["style"] and "url(" not in elements.texts["style"]


def test_the_policy_allows_this_script_and_style_alone(elements: Elements) -> None:
    policy = next(attrs["content"] for tag, attrs in elements.tags if attrs.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for text in (elements.texts["script"], elements.texts["style"]):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy


def test_every_script_is_in_the_page_after_what_it_imports() -> None:
    files = {file.stem for file in SOURCES.glob("*.js")} - {"types"}
    assert sorted(files) == sorted(SCRIPTS)
    for place, name in enumerate(SCRIPTS):
        source = (SOURCES / f"{name}.js").read_text()
        imported = re.findall(r'^import .*?from "\./(\w+)\.js";', source, re.MULTILINE | re.DOTALL)
        assert {*imported} <= {*SCRIPTS[:place]}, name


def test_the_script_has_no_module_syntax_left() -> None:
    assert not re.search(r"^\s*(import|export)\b", script_of_page(), re.MULTILINE)


def test_the_same_scene_gives_the_same_page() -> None:
    first, second = (render_page(web_scene(), random_gaussians(50)) for _ in range(2))
    assert first == second


def test_the_scripts_have_no_errors_of_types() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("needs TypeScript: npm install --global typescript")
    checked = subprocess.run([compiler, "--project", SOURCES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
