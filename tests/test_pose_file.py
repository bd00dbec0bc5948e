"""Poses as people have them: scaled cameras are read without their scale, what is no rotation is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.images import check_pose_file, read_pose_file


def write(folder: Path, *poses: Any) -> Path:
    frames = [{"file_path": f"{index}.png", "transform_matrix": pose} for index, pose in enumerate(poses)]
    file = folder / "transforms.json"
    file.write_text(json.dumps({"frames": frames}))
    return file


def pose(*axes_times: float) -> np.ndarray:
    """A camera somewhere, each axis multiplied by a number."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [0.3, -1, 2]).as_matrix() * np.array(axes_times or (1.0, 1.0, 1.0))
    matrix[:3, 3] = 3, 4, 5
    return matrix


def test_a_scaled_camera_is_read_without_its_scale(tmp_path: Path) -> None:
    file = write(tmp_path, pose().tolist(), pose(0.1, 0.1, 0.1).tolist(), pose(2, 2, 3).tolist())
    assert check_pose_file(file) == ["1.png", "2.png"]
    for frame in read_pose_file(file)["frames"]:
        np.testing.assert_allclose(frame["transform_matrix"], pose())


def test_poses_of_few_digits_stay_as_they_are(tmp_path: Path) -> None:
    rounded = pose().round(3).tolist()
    file = write(tmp_path, rounded)
    assert check_pose_file(file) == []
    assert read_pose_file(file)["frames"][0]["transform_matrix"] == rounded


def sheared() -> np.ndarray:
    matrix = pose()
    matrix[:3, 0] += 0.2 * matrix[:3, 1]
    return matrix


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (pose(-1, 1, 1), "is mirrored"),
        (pose(0.1, 0.1, -0.1), "is mirrored"),
        (sheared(), "is no rotation"),
        (pose(1, 0, 1), "is no rotation"),
    ],
)
def test_what_is_no_rotation_is_named(tmp_path: Path, matrix: np.ndarray, message: str) -> None:
    file = write(tmp_path, pose().tolist(), matrix.tolist())
    with pytest.raises(ProtoSagaError, match=rf"1\.png in .*transforms\.json {message}"):
        check_pose_file(file)


def test_an_applied_transform_may_have_its_last_row(tmp_path: Path) -> None:
    file = write(tmp_path, pose().tolist())
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "applied_transform": np.eye(4).tolist()}))
    assert read_pose_file(file)["applied_transform"] == np.eye(4)[:3].tolist()


@pytest.mark.parametrize("written", ["a%20%C3%BC.png", "a u\u0308.png", "a \u00fc.png"])
def test_paths_with_escapes_or_the_accents_of_macos_are_found(tmp_path: Path, written: str) -> None:
    (tmp_path / "a \u00fc.png").touch()
    (tmp_path / "50%25.png").touch()
    file = tmp_path / "transforms.json"
    names = [written, "50%25.png", "gone%20.png"]
    file.write_text(json.dumps({"frames": [{"file_path": name} for name in names], "train_filenames": names}))
    content = read_pose_file(file)
    assert content["train_filenames"] == ["a \u00fc.png", "50%25.png", "gone%20.png"]
    assert [frame["file_path"] for frame in content["frames"]] == content["train_filenames"]


def test_what_lies_there_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(ProtoSagaError, match=r"transforms\.json has no readable list of frames.*git lfs pull"):
        read_pose_file(tmp_path / "transforms.json")
