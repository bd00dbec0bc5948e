"""Faults of the capture: as large as asked for, the same for a seed, and none changes another or the truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.evaluation.standins.cameras import look_at
from proto_saga_ns.evaluation.standins.capture import blurred_frames, photograph, wrong_pose
from proto_saga_ns.evaluation.standins.marks import find_mark
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin

OPTIONS = StandinOptions(seed=2, views=8, test_views=2, width=48, height=36, points=50, samples=1)
POSE = look_at(np.array([1.0, -2.0, 1.5]), np.array([0.0, 0.5, 0.7]))
FRAMES = range(0, 2000, 5)
FAULTS = {"pose_noise": 0.5, "exposure_changes": True, "blurred_share": 0.5}


def written(folder: Path, **faults) -> dict[str, bytes]:
    write_standin(folder, replace(OPTIONS, **faults), PRESETS["default"], "default")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def poses(files: dict[str, bytes]) -> np.ndarray:
    return np.array([frame["transform_matrix"] for frame in json.loads(files["transforms.json"])["frames"]])


def images(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.startswith("images/")}


def angle_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(((np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2).clip(-1, 1))))


@pytest.mark.parametrize("degrees", [0.2, 0.5, 5.0])
def test_poses_are_wrong_by_as_much_as_asked_for(degrees: float) -> None:
    depth = 3.0
    found = [wrong_pose(POSE, degrees, depth, 0, frame) for frame in FRAMES]
    angles = np.array([angle_between(POSE, pose) for pose in found])
    shifts = np.linalg.norm([pose[:3, 3] - POSE[:3, 3] for pose in found], axis=-1)
    assert np.sqrt((angles**2).mean()) == pytest.approx(degrees, rel=0.08)
    # What is as far away as the depth moves by as much as the camera does.
    assert np.sqrt((np.rad2deg(shifts / depth) ** 2).mean()) == pytest.approx(degrees, rel=0.08)
    for pose in found[:5]:
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_each_fault_changes_its_own_files_alone(tmp_path: Path) -> None:
    right = written(tmp_path / "right")
    noisy = written(tmp_path / "noisy", pose_noise=0.5)
    marks = {"standin.json", "STANDIN.md"}
    assert {name for name in right if right[name] != noisy[name]} == {"transforms.json", *marks}
    angles = [angle_between(a, b) for a, b in zip(poses(right), poses(noisy), strict=True)]
    assert min(angles) > 0 and 0.2 < np.sqrt(np.mean(np.square(angles))) < 0.9
    for fault in ("exposure_changes", "blurred_share"):
        other = written(tmp_path / fault, **{fault: FAULTS[fault]})
        changed = {name for name in right if right[name] != other[name]} - marks
        assert {name.split("/")[0] for name in changed} == {"images", "points.ply"}


def test_faults_do_not_change_each_others_chance(tmp_path: Path) -> None:
    every = written(tmp_path / "every", **FAULTS)
    assert every == written(tmp_path / "again", **FAULTS)
    noisy = written(tmp_path / "noisy", pose_noise=0.5)
    np.testing.assert_array_equal(poses(every), poses(noisy))
    captured = written(tmp_path / "captured", exposure_changes=True, blurred_share=0.5)
    assert images(every) == images(captured)
    # Where nothing is blurred, the exposure is what it is without blur.
    exposed, blurred = (written(tmp_path / n, **{n: FAULTS[n]}) for n in ("exposure_changes", "blurred_share"))
    right = written(tmp_path / "right")
    sharp = {name for name in images(right) if right[name] == blurred[name]}
    assert len(sharp) == 5 and all(exposed[name] == captured[name] for name in sharp)
    assert all(exposed[name] != captured[name] for name in images(right).keys() - sharp)


def test_exposure_changes_light_and_keeps_edges() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(60, 120, (20, 30, 3)).astype(np.uint8)
    options = replace(OPTIONS, exposure_changes=True)
    found = [photograph(rgb, options, frame, is_blurred=False) for frame in FRAMES]
    np.testing.assert_array_equal(found[0], photograph(rgb, options, FRAMES[0], is_blurred=False))
    # Gains are the same all over an image, in light.
    ratio = ((found[0] / 255) ** 1.6) / ((rgb / 255) ** 1.6)
    assert ratio.std((0, 1)).max() < 0.03 * ratio.mean()
    stops = np.log2([(image[..., 1] / 255) ** 1.6 for image in found]).mean((1, 2))
    assert stops.std() == pytest.approx(0.35, rel=0.15)
    warmth = [np.log((image[..., 0] / image[..., 2]) ** 1.6).mean() for image in found]
    assert np.std(warmth) == pytest.approx(0.14, rel=0.25)


def test_a_share_is_blurred_and_a_larger_share_blurs_the_same_and_more() -> None:
    few, many = (blurred_frames(list(FRAMES), share, 3) for share in (0.2, 0.5))
    assert len(few) == 80 and len(many) == 200 and few < many
    assert blurred_frames(list(FRAMES), 0.0, 3) == set() and blurred_frames(list(FRAMES), 0.2, 4) != few


def test_blur_keeps_light_and_loses_detail() -> None:
    rgb = np.where(np.indices((96, 128)).sum(0)[..., None] // 2 % 2, 200, 90).repeat(3, -1).astype(np.uint8)
    for frame in FRAMES[:20]:
        blurred = photograph(rgb, OPTIONS, frame, is_blurred=True)
        assert ((blurred / 255) ** 1.6).mean() == pytest.approx(((rgb / 255) ** 1.6).mean(), rel=0.02)
        assert blurred.std() < 0.95 * rgb.std()
    assert photograph(rgb, OPTIONS, 0, is_blurred=False) is rgb


def test_the_mark_says_what_is_wrong(tmp_path: Path) -> None:
    written(tmp_path / "room", pose_noise=0.2, blurred_share=0.25)
    found = find_mark(tmp_path / "room" / "images")
    assert found is not None and "poses wrong by 0.2 degrees, 25% of the images blurred" in found.label
    with Image.open(tmp_path / "room" / "images" / "frame_00000.png") as image:
        assert image.size == (48, 36)
