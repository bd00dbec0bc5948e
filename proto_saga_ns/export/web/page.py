"""A segmented scene as one HTML file that asks for nothing else.

The page's parts are files of their own beside this one. Its scripts are modules for the type checker; here they become
one script, in the order of ``SCRIPTS``, without their imports and exports. A content security policy by hashes allows
this script and this style alone, and no request.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from proto_saga_ns.export.web.pack import PageGaussians, pack

SCRIPTS = (
    *("unpack", "project", "camera", "pick", "sort", "shaders", "renderer"),
    *("objects", "link", "controls", "panel", "stage", "api", "main"),
)
"""What a script imports comes before it."""
MAX_GAUSSIANS = 1_000_000
"""More take browsers too long."""
_IMPORT = re.compile(r'^(import \{[^}]*\} from "\./[a-z]+\.js";|/\*\* @import .*\*/)\n', re.MULTILINE)
_PLACE = re.compile("@([A-Z]+)@")


@dataclass(frozen=True)
class Thing:
    """A group, an object or a part.

    Attributes:
        id: of its level; nothing else of the level has it.
        name: any text.
        color: 8-bit RGB.
        count: Gaussians in the page.
        units: ids of the finest level that it consists of; no two things of a level share one.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    count: int
    units: tuple[int, ...]


@dataclass(frozen=True)
class StartView:
    """A view to begin with.

    Attributes:
        name: of its image.
        viewmat: world to camera, OpenCV axes.
        focal: pixels; that of its vertical axis.
        width, height: pixels.
    """

    name: str
    viewmat: Float[np.ndarray, "4 4"]
    focal: float
    width: int
    height: int

    def to_json(self) -> dict[str, Any]:
        """As the page reads it."""
        to_world = np.asarray(self.viewmat, np.float64)[:3, :3].T
        x, y, z, w = (float(value) for value in Rotation.from_matrix(to_world).as_quat())
        position = -to_world @ np.asarray(self.viewmat, np.float64)[:3, 3]
        size = {"width": self.width, "height": self.height, "focal": self.focal}
        return {"name": self.name, "position": position.tolist(), "rotation": [w, x, y, z], **size}


@dataclass(frozen=True)
class WebScene:
    """All that a page shows.

    Attributes:
        title: any text.
        total: Gaussians of the scene, of which the page may have fewer.
        antialiased: whether it was trained with the rasterize mode of this name.
        min_alpha: pixels that stop less light show no object.
        up: direction of unit length.
        level: that is shown first.
        unit_of_row, seen_of_row: what the Gaussians of a row are of at the finest level (0: nothing), and whether the
            training views see them.
        levels: things by the name of the level, coarse before fine; objects at least.
        views: one at least.
    """

    title: str
    total: int
    antialiased: bool
    min_alpha: float
    up: tuple[float, float, float]
    level: str
    unit_of_row: Sequence[int]
    seen_of_row: Sequence[int]
    levels: Mapping[str, Sequence[Thing]]
    views: Sequence[StartView]

    def to_json(self, count: int) -> dict[str, Any]:
        """As the page reads it, with its number of Gaussians."""
        levels = [{"name": name, "things": [asdict(thing) for thing in things]} for name, things in self.levels.items()]
        return {
            "title": self.title,
            "count": count,
            "total": self.total,
            "antialiased": self.antialiased,
            "minAlpha": self.min_alpha,
            "up": list(self.up),
            "level": self.level,
            "rows": {"ids": [int(unit) for unit in self.unit_of_row], "seen": [int(seen) for seen in self.seen_of_row]},
            "levels": levels,
            "views": [view.to_json() for view in self.views],
        }


def render_page(scene: WebScene, gaussians: PageGaussians) -> str:
    """The page; the same for the same scene."""
    style, script = _own_file("style.css"), script_of_page()
    content = {
        "POLICY": _policy(style, script),
        "TITLE": html.escape(scene.title),
        "STYLE": style,
        "SCENE": _json_in_html(scene.to_json(len(gaussians))),
        "GAUSSIANS": base64.b64encode(pack(gaussians)).decode(),
        "SCRIPT": script,
    }
    return _PLACE.sub(lambda place: content[place[1]], _own_file("page.html"))


def script_of_page() -> str:
    """All scripts as one, which leaves nothing behind among the browser's names."""
    scripts = (_IMPORT.sub("", _own_file(f"{name}.js")) for name in SCRIPTS)
    together = "\n".join(re.sub("^export ", "", script, flags=re.MULTILINE) for script in scripts)
    return f'(() => {{\n"use strict";\n{together}}})();\n'


def _own_file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """What the page may do: run its own script, a worker made of it, and look as it does. Requests: none."""
    allowed = {
        "default-src": "'none'",
        "script-src": _hash_of(script),
        "style-src": _hash_of(style),
        "worker-src": "blob:",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{what} {where}" for what, where in allowed.items())


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json_in_html(content: Any) -> str:
    """JSON without a character that could end the script element that it stands in."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
