"""The tiny scene in the other formats that nerfstudio's parsers read."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from tests.scenes import Lens, TinyScene


def write_blender(scene: TinyScene, folder: Path) -> Path:
    """transforms_train.json and so on; every split has images r_0, r_1, ..., and masks/train holds masks."""
    poses = {
        frame["file_path"]: frame["transform_matrix"]
        for frame in json.loads((scene.folder / "transforms.json").read_text())["frames"]
    }
    for split, paths in {
        "train": scene.train_paths,
        "val": scene.test_paths,
        "test": scene.test_paths,
    }.items():
        (folder / split).mkdir(parents=True)
        (folder / "masks" / "train").mkdir(parents=True, exist_ok=True)
        frames = []
        for index, path in enumerate(paths):
            shutil.copy(path, folder / split / f"r_{index}.png")
            if split == "train":
                shutil.copy(scene.folder / "masks" / path.name, folder / "masks" / "train" / f"r_{index}.png")
            frames.append({"file_path": f"./{split}/r_{index}", "transform_matrix": poses[f"images/{path.name}"]})
        angle = 2 * math.atan(32 / Lens(64, 48).focal)
        content = {"camera_angle_x": angle, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content))
    return folder


def write_colmap(scene: TinyScene) -> Path:
    """Add colmap/sparse/0 in text form, with five 3D points, to the scene's folder."""
    sparse = scene.folder / "colmap" / "sparse" / "0"
    sparse.mkdir(parents=True)
    (sparse / "cameras.txt").write_text("1 PINHOLE 64 48 51.2 51.2 32 24\n")
    lines = []
    frames = json.loads((scene.folder / "transforms.json").read_text())["frames"]
    for index, frame in enumerate(frames, 1):
        camera_to_world = np.array(frame["transform_matrix"]) @ np.diag([1, -1, -1, 1])
        world_to_camera = np.linalg.inv(camera_to_world)
        x, y, z, w = Rotation.from_matrix(world_to_camera[:3, :3]).as_quat()
        numbers = " ".join(map(str, [w, x, y, z, *world_to_camera[:3, 3]]))
        lines.append(f"{index} {numbers} 1 {Path(frame['file_path']).name}\n1 1 -1\n")
    (sparse / "images.txt").write_text("".join(lines))
    points = [f"{index} 0.{index} 0.2 0.3 200 100 50 0.5 1 0\n" for index in range(1, 6)]
    (sparse / "points3D.txt").write_text("".join(points))
    return scene.folder
