"""Consistency of folders: label maps, transforms.json, and depth maps or matches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.consistency import PixelConsistency
from proto_saga_ns.evaluation.mask_consistency import MatchFrames
from proto_saga_ns.evaluation.scene_consistency import ConsistencyOptions, evaluate_consistency
from proto_saga_ns.labels import read_label_map, write_label_map
from proto_saga_ns.mastsam.frames import Frame, LazySequence
from proto_saga_ns.mastsam.image_sequence import read_depth, read_frame, read_posed_images
from proto_saga_ns.mastsam.matches import Matches
from tests.scenes import Lens, ray_cast, write_tiny_scene


@pytest.fixture(scope="module")
def posed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six views of the tiny room with depth maps in millimetres, one of them as an array of floats."""
    folder = tmp_path_factory.mktemp("room") / "room"
    write_tiny_scene(folder, n_views=6)
    content = json.loads((folder / "transforms.json").read_text())
    (folder / "depth").mkdir()
    for frame in content["frames"]:
        pose, stem = np.array(frame["transform_matrix"]), Path(frame["file_path"]).stem
        _, _, points = ray_cast(Lens(64, 48), pose)
        millimetres = 1000 * (pose[:3, 3] - points) @ pose[:3, 2]
        if stem == "view_000":
            frame["depth_file_path"] = f"depth/{stem}.npy"
            np.save(folder / frame["depth_file_path"], millimetres[..., None])
        else:
            frame["depth_file_path"] = f"depth/{stem}.png"
            Image.fromarray(millimetres.round().astype(np.uint16)).save(folder / frame["depth_file_path"])
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def scene(posed: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(posed, tmp_path / "room"))


def edit(scene: Path, change: Callable[[dict], None]) -> None:
    content = json.loads((scene / "transforms.json").read_text())
    change(content)
    (scene / "transforms.json").write_text(json.dumps(content))


def no_depth(content: dict) -> None:
    for frame in content["frames"]:
        del frame["depth_file_path"]


def unused() -> MatchFrames:
    raise AssertionError("there is depth")


def center(a: Frame, b: Frame) -> Matches:
    """Both cameras look at the middle of the room."""
    middle = np.array([[32, 24]], np.float32)
    return Matches(middle, middle, np.ones(1, np.float32))


def test_depth_maps_give_the_exact_score(posed: Path) -> None:
    result = evaluate_consistency(posed / "instances", posed, ConsistencyOptions(), unused)
    assert isinstance(result, PixelConsistency)
    assert result.consistency > 0.97 and result.compared > 0.8 and result.num_frames == 6
    shuffled = evaluate_consistency(posed / "masks", posed / "transforms.json", ConsistencyOptions(), unused)
    assert shuffled.figures()["consistency"] < 50


def test_some_views_are_enough(scene: Path) -> None:
    for path in sorted((scene / "instances").iterdir())[2:]:
        path.unlink()
    result = evaluate_consistency(scene / "instances", scene, ConsistencyOptions(), unused)
    assert result.figures()["frames"] == 2


def test_without_depth_maps_matches_are_made(scene: Path) -> None:
    edit(scene, no_depth)
    options = ConsistencyOptions(window=2)
    figures = evaluate_consistency(scene / "instances", scene, options, lambda: center).figures()
    assert (figures["pairs of frames"], figures["matches"]) == (9, 9)
    assert 0 <= figures["consistency"] <= 100
    with pytest.raises(ProtoSagaError, match="--epsilon is for depth maps"):
        evaluate_consistency(scene / "instances", scene, ConsistencyOptions(epsilon=1), lambda: center)


def test_frames_know_their_cameras(posed: Path) -> None:
    image = read_posed_images(posed)[1]
    frame = read_frame(image, 1e-3)
    assert frame.camera is not None and frame.depth is not None
    assert frame.camera.intrinsics.tolist() == [[51.2, 0, 32], [0, 51.2, 24], [0, 0, 1]]
    # All cameras look at a point 0.35 above the middle of the floor.
    seen = frame.camera.world_to_camera @ [0, 0, 0.35, 1]
    assert seen[:2] == pytest.approx([0, 0], abs=1e-9) and seen[2] > 0
    assert frame.name == "view_001" and 1 < np.median(frame.depth) < 5
    halved = image.camera(32, 24)
    assert halved is not None and halved.intrinsics.tolist() == [[25.6, 0, 16], [0, 25.6, 12], [0, 0, 1]]


def test_a_lens_that_is_no_pinhole_has_no_camera(scene: Path) -> None:
    for change in ({"k1": 0.1}, {"k1": 0, "camera_model": "OPENCV_FISHEYE"}):
        edit(scene, lambda content, change=change: content.update(change))
        with pytest.raises(ProtoSagaError, match="view_000 has no pinhole"):
            evaluate_consistency(scene / "instances", scene, ConsistencyOptions(), unused)


def test_what_is_missing_is_named(scene: Path, tmp_path: Path) -> None:
    maps = scene / "instances"
    for field, options in (
        ("window", ConsistencyOptions(window=0)),
        ("epsilon", ConsistencyOptions(epsilon=-1)),
        ("depth-unit-scale-factor", ConsistencyOptions(depth_unit=float("nan"))),
    ):
        with pytest.raises(ProtoSagaError, match=f"--{field} is .* above 0"):
            evaluate_consistency(maps, scene, options, unused)
    with pytest.raises(ProtoSagaError, match=r"nowhere/transforms\.json does not exist"):
        evaluate_consistency(maps, tmp_path / "nowhere", ConsistencyOptions(), unused)
    write_label_map(tmp_path / "one" / "view_000.png", read_label_map(maps / "view_000.png"))
    with pytest.raises(ProtoSagaError, match="holds one label map"):
        evaluate_consistency(tmp_path / "one", scene, ConsistencyOptions(), unused)
    write_label_map(tmp_path / "one" / "other.png", np.ones((2, 2), int))
    with pytest.raises(ProtoSagaError, match=r"other\.png has no image"):
        evaluate_consistency(tmp_path / "one", scene, ConsistencyOptions(), unused)
    (scene / "depth" / "view_003.png").unlink()
    with pytest.raises(ProtoSagaError, match=r"depth/view_003\.png"):
        evaluate_consistency(maps, scene, ConsistencyOptions(), unused)
    edit(scene, lambda content: content["frames"][3].pop("depth_file_path"))
    with pytest.raises(ProtoSagaError, match=r"view_003\.png has no depth_file_path"):
        evaluate_consistency(maps, scene, ConsistencyOptions(), unused)
    edit(scene, lambda content: content["frames"][3].pop("file_path"))
    with pytest.raises(ProtoSagaError, match="has no file_path"):
        evaluate_consistency(maps, scene, ConsistencyOptions(), unused)


def test_depth_files(tmp_path: Path) -> None:
    file = tmp_path / "depth.npy"
    np.save(file, np.array([[1.5, 2.5]], np.float32))
    assert read_depth(file, 2, 4).tolist() == [[1.5, 1.5, 2.5, 2.5]] * 2
    np.save(file, np.zeros((2, 2, 3)))
    with pytest.raises(ProtoSagaError, match=r"depth\.npy has the shape"):
        read_depth(file, 2, 2)
    file.write_bytes(b"nothing")
    with pytest.raises(ProtoSagaError, match=r"Cannot read the depth map .*depth\.npy"):
        read_depth(file, 2, 2)


def test_a_lazy_sequence_reads_what_is_asked_for_and_keeps_some() -> None:
    read: list[str] = []
    items = LazySequence("abcd", lambda source: read.append(source) or source.upper(), kept=2)
    assert (items[0], items[0], items[-1], items[0]) == ("A", "A", "D", "A") and read == ["a", "d"]
    assert items[1:3] == ["B", "C"] and len(items) == 4 and list(items) == list("ABCD")
    with pytest.raises(IndexError):
        items[4]
