"""Lenses of a transforms.json: what it leaves out, and what a splat cannot be trained through."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from tests.scenes import TinyScene, write_tiny_scene

NAMES = ("w", "h", "fl_x", "fl_y", "cx", "cy")


@pytest.fixture
def scene(tmp_path: Path) -> TinyScene:
    return write_tiny_scene(tmp_path / "scene", size=(32, 24))


def edit(scene: TinyScene, change: Callable[[dict[str, Any]], object]) -> None:
    path = scene.folder / "transforms.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def outputs_of(scene: TinyScene, **options: Any) -> DataparserOutputs:
    return MaskedNerfstudioConfig(data=scene.folder, **options).setup().get_dataparser_outputs(split="train")


def lenses(scene: TinyScene) -> torch.Tensor:
    cameras = outputs_of(scene).cameras
    names = ("width", "height", "fx", "fy", "cx", "cy")
    return torch.cat([getattr(cameras, name).double() for name in names], dim=-1)


def test_the_angle_that_the_camera_sees_is_enough(scene: TinyScene) -> None:
    """As instant-ngp and Blender's exporters write it."""
    expected = lenses(scene)
    edit(scene, lambda content: content.update(camera_angle_x=2 * math.atan(content["w"] / 2 / content["fl_x"])))
    edit(scene, lambda content: [content.pop(name) for name in NAMES])
    assert torch.allclose(lenses(scene), expected)
    # Views whose image is gone are left out as ever.
    scene.train_paths[0].unlink()
    assert torch.allclose(lenses(scene), expected[1:])


def test_numbers_of_a_frame_go_before_those_of_the_file(scene: TinyScene) -> None:
    edit(scene, lambda content: content["frames"][0].update(fl_x=99.0, k1=0.125))
    cameras = outputs_of(scene).cameras
    assert cameras.fx[0] == 99 and (cameras.fx[1:] != 99).all()
    assert cameras.distortion_params[0, 0] == 0.125 and not cameras.distortion_params[1:].any()


def test_an_image_that_is_named_twice_is_taken_once(scene: TinyScene, capsys: pytest.CaptureFixture[str]) -> None:
    """Else it may train and test."""
    before = outputs_of(scene, eval_mode="interval", eval_interval=2)
    assert "first of each" not in capsys.readouterr().out
    edit(scene, lambda content: content.update(frames=[*content["frames"], *content["frames"][:2]]))
    after = outputs_of(scene, eval_mode="interval", eval_interval=2)
    assert after.image_filenames == before.image_filenames
    assert torch.equal(after.cameras.camera_to_worlds, before.cameras.camera_to_worlds)
    assert "2 frames of" in " ".join(capsys.readouterr().out.split())


def test_no_focal_length_at_all_is_an_error(scene: TinyScene) -> None:
    edit(scene, lambda content: [content.pop(name) for name in ("fl_x", "fl_y")])
    with pytest.raises(ProtoSagaError, match=r"transforms\.json says no focal length of images/view_000\.png.*fl_x"):
        outputs_of(scene)


@pytest.mark.parametrize(
    ("lens", "message"),
    [
        ({"fl_y": -30}, "focal length of 0 or less"),
        ({"fl_x": 0}, "focal length of 0 or less"),
        ({"camera_model": "EQUIRECTANGULAR"}, "neither a pinhole nor a fisheye"),
        ({"camera_model": "OPENCV", "k4": 0.01}, "distortion k4"),
    ],
)
def test_lenses_that_cannot_be_trained_through_are_named(scene: TinyScene, lens: dict, message: str) -> None:
    edit(scene, lambda content: content.update(lens))
    with pytest.raises(ProtoSagaError, match=rf"9 views of .*view_000\.png, .*{message}"):
        outputs_of(scene)


def test_a_fisheye_without_distortion_is_no_pinhole(scene: TinyScene) -> None:
    edit(scene, lambda content: content.update(camera_model="OPENCV_FISHEYE", k1=0, k2=0, k3=0, k4=0))
    distortion = outputs_of(scene).cameras.distortion_params
    assert (distortion != 0).any(dim=-1).all() and distortion.abs().max() < 1e-8


def moved(content: dict[str, Any], offset: float, times: float = 1) -> None:
    for frame in content["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, 3] = matrix[:3, 3] * times + [offset, 10 * offset, 0]
        frame["transform_matrix"] = matrix.tolist()


def test_cameras_far_from_the_origin_need_an_offset(scene: TinyScene) -> None:
    """As with coordinates of UTM, in metres."""
    edit(scene, lambda content: moved(content, 5e5))
    with pytest.raises(ProtoSagaError, match=r"from the origin.*Subtract the same offset"):
        outputs_of(scene)
    outputs_of(scene, auto_scale_poses=False)


def test_cameras_a_little_away_from_the_origin_are_welcome(scene: TinyScene) -> None:
    edit(scene, lambda content: moved(content, 100))
    outputs_of(scene)


def test_cameras_in_one_place_are_told_from_rounding(scene: TinyScene) -> None:
    edit(scene, lambda content: moved(content, 3.7, times=0))
    with pytest.raises(ProtoSagaError, match="all of its cameras stand in one place"):
        outputs_of(scene)
