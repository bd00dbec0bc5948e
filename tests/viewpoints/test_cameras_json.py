"""Views from the cameras.json of 3D Gaussian Splatting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.viewpoints.cameras_json import Photographed, find_cameras, read_cameras


def entry(seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """An entry, and world to camera of the same view: position and rotation are those of its inverse."""
    rng = np.random.default_rng(seed)
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = Rotation.random(random_state=seed).as_matrix(), rng.normal(size=3)
    pose = np.linalg.inv(viewmat)
    lens = {"width": 1959, "height": 1090, "fx": 1159.6, "fy": 1164.7}
    place = {"position": pose[:3, 3].tolist(), "rotation": [row.tolist() for row in pose[:3, :3]]}
    return {"id": seed, "img_name": f"{seed:05d}", **lens, **place}, viewmat


def test_views_are_those_of_the_file(tmp_path: Path) -> None:
    entries, viewmats = zip(*(entry(seed) for seed in range(7)), strict=True)
    file = tmp_path / "cameras.json"
    file.write_text(json.dumps(entries))
    views = read_cameras(file, 100)
    assert [np.allclose(np.linalg.inv(view.pose), viewmat) for view, viewmat in zip(views, viewmats, strict=True)] == [
        True
    ] * 7
    assert (views[0].width, views[0].height, views[0].focal) == (1959, 1090, (1159.6, 1164.7))
    few = read_cameras(file, 3)
    assert all(np.allclose(view.pose, views[index].pose) for view, index in zip(few, (0, 3, 6), strict=True))


def test_smaller_pictures_show_the_same() -> None:
    small = Photographed(np.eye(4), 2000, 1000, (1500.0, 1400.0)).no_larger_than(500)
    assert (small.width, small.height, small.focal) == (500, 250, (375.0, 350.0))
    assert Photographed(np.eye(4), 100, 50, (1.0, 1.0)).no_larger_than(500).width == 100


def test_the_file_is_found_beside_the_splat_and_above_its_iteration(tmp_path: Path) -> None:
    splat = tmp_path / "point_cloud" / "iteration_30000" / "point_cloud.ply"
    assert find_cameras(splat) is None
    (tmp_path / "cameras.json").touch()
    assert find_cameras(splat) == tmp_path / "cameras.json"
    assert find_cameras(tmp_path / "a.ply") == tmp_path / "cameras.json"
    assert find_cameras(tmp_path / "other" / "deep" / "a.ply") is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[", "is not the cameras.json"),
        ('{"frames": []}', "is not the cameras.json"),
        ("[]", "lists no camera"),
        (json.dumps([{**entry(0)[0], "rotation": [[0, 0, 0]] * 3}]), "a rotation that is none"),
        (json.dumps([{**entry(0)[0], "fx": 0}]), "focal lengths"),
    ],
)
def test_what_is_none_is_named(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "cameras.json").write_text(content)
    with pytest.raises(ProtoSagaError, match=expected):
        read_cameras(tmp_path / "cameras.json", 10)
