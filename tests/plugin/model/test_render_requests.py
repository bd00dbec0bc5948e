"""Requests of ns-render that would end in nerfstudio's traceback are refused in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.render_requests import check_request, read_camera_path

CAMERA = {"camera_to_world": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1], "fov": 60, "aspect": 1}


def write(folder: Path, **changes: Any) -> Path:
    content = {"render_height": 75, "render_width": 101, "camera_path": [CAMERA, CAMERA], "seconds": 2}
    file = folder / "path.json"
    file.write_text(json.dumps({**content, **changes}))
    return file


def test_a_path_is_read(tmp_path: Path) -> None:
    found = read_camera_path(write(tmp_path))
    assert (len(found.cameras), found.seconds, found.size) == (2, 2.0, (101, 75))
    assert read_camera_path(write(tmp_path, seconds=0)).seconds is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camera_path": []}, "is empty.*two keyframes"),
        ({"camera_path": None}, "is not a camera path"),
        ({"camera_type": "equirectangular"}, "is equirectangular; Gaussians are rendered in perspective only"),
    ],
)
def test_paths_that_ns_render_fails_at_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = write(tmp_path, **changes)
    for option in (["--camera-path-filename", str(file)], [f"--camera_path_filename={file}"]):
        with pytest.raises(ProtoSagaError, match=message):
            check_request(["/bin/ns-render", "camera-path", *option], 5)
    check_request(["/bin/ns-viewer", "camera-path", *option], 5)


def test_a_path_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProtoSagaError, match=r"Cannot read the camera path camera_path\.json"):
        check_request(["ns-render", "camera-path"], 5)


def test_interpolating_needs_two_views() -> None:
    with pytest.raises(ProtoSagaError, match=r"the data has 1.*--pose-source train"):
        check_request(["ns-render", "interpolate"], 1)
    check_request(["ns-render", "interpolate"], 2)
    check_request(["ns-render", "interpolate", "--pose-source", "train"], 1)
