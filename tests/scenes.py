"""A little ray-cast room in nerfstudio's format, with exact instances, for tests that need a whole scene.

World: z up, metres. A floor, four walls and a few spheres and boxes. Their colour depends on the position
alone, so that all views agree. Cameras look inwards from a ring, in OpenGL axes (x right, y up, z back).
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

FLOOR, WALLS = 1, 2
SPHERES = {3: ((0.7, 0.2, 0.35), 0.35), 4: ((-0.6, 0.6, 0.3), 0.3), 5: ((-0.1, -0.7, 0.25), 0.25)}
BOXES = {6: ((-0.9, -0.6, 0.0), (-0.4, -0.1, 0.7)), 7: ((0.1, 0.6, 0.0), (0.6, 1.0, 0.4))}
ROOM = ((-2.5, -2.5, 0.0), (2.5, 2.5, 3.0))
COLORS = {1: "b89b72", 2: "8fa3b5", 3: "d8432e", 4: "3a8f4c", 5: "e0b62f", 6: "3557c0", 7: "9a4fb0"}
NUM_INSTANCES = len(COLORS)


@dataclass(frozen=True)
class TinyScene:
    """What ``write_tiny_scene`` wrote; every list is in file-name order."""

    folder: Path
    image_paths: list[Path]
    train_paths: list[Path]
    test_paths: list[Path]
    num_instances: int


@dataclass(frozen=True)
class Lens:
    """Pinhole intrinsics in pixels (the first pixel's centre is at 0.5) and OpenCV's distortion numbers."""

    width: int
    height: int
    distortion: tuple[float, ...] | None = None
    fisheye: bool = False

    @property
    def focal(self) -> float:
        return 0.8 * self.width

    def directions(self) -> Floats:
        """Ray through every pixel centre, camera frame (OpenGL), (H * W, 3), not normalised."""
        grid = np.stack(np.meshgrid(np.arange(self.width), np.arange(self.height)), -1) + 0.5
        matrix = np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1.0]])
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        numbers = np.array(self.distortion or (0.0, 0.0, 0.0, 0.0))
        xy = undistort(grid.reshape(-1, 1, 2), matrix, numbers).reshape(-1, 2)
        return np.stack([xy[:, 0], -xy[:, 1], -np.ones(len(xy))], -1)


def write_tiny_scene(
    folder: Path,
    n_views: int = 12,
    *,
    size: tuple[int, int] = (64, 48),
    distortion: tuple[float, ...] | None = None,
    fisheye: bool = False,
    masks: str | None = "masks",
    n_points: int = 500,
    test_every: int = 4,
    seed: int = 0,
) -> TinyScene:
    """Write images/, instances/ (truth), masks, points.ply and transforms.json with train and test lists.

    Args:
        size: width and height of the images.
        distortion: OpenCV's (k1, k2, p1, p2), or (k1, k2, k3, k4) with ``fisheye``.
        masks: folder of the label maps: the truth with its ids shuffled in each view; None writes none.
        test_every: every so many views one is for testing, the last of each group.
    """
    rng = np.random.default_rng(seed)
    lens = Lens(*size, distortion, fisheye)
    names = [f"view_{index:03d}" for index in range(n_views)]
    poses = [camera_pose(index, n_views) for index in range(n_views)]
    seen = []
    for name, pose in zip(names, poses, strict=True):
        rgb, instances, points = ray_cast(lens, pose)
        seen.append(np.concatenate([points, rgb], -1).reshape(-1, 6))
        save_png(folder / "images" / f"{name}.png", rgb)
        save_png(folder / "instances" / f"{name}.png", instances.astype(np.uint16))
        if masks is not None:
            save_png(folder / masks / f"{name}.png", shuffled(instances, rng).astype(np.uint16))
    everything = np.concatenate(seen)
    write_ply(folder / "points.ply", everything[rng.permutation(len(everything))[:n_points]])
    files = [f"images/{name}.png" for name in names]
    test = files[test_every - 1 :: test_every]
    train = [file for file in files if file not in test]
    write_transforms(folder, lens, dict(zip(files, poses, strict=True)), train, test)
    paths = [[folder / file for file in group] for group in (files, train, test)]
    return TinyScene(folder, *paths, num_instances=NUM_INSTANCES)


def camera_pose(index: int, n_views: int) -> Floats:
    """Camera to world (4, 4) on a ring of two alternating heights, looking at the middle of the room."""
    angle = 2 * np.pi * index / n_views + 0.3
    position = np.array([2.1 * np.cos(angle), 2.1 * np.sin(angle), 1.2 + 0.5 * (index % 2)])
    backward = position - np.array([0.0, 0.0, 0.35])
    backward /= np.linalg.norm(backward)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(backward, right), backward, position], -1)
    return pose


def ray_cast(lens: Lens, pose: Floats) -> tuple[NDArray[np.uint8], Ints, Floats]:
    """Colours (H, W, 3), instance ids (H, W) and world points (H, W, 3) of a view."""
    directions = lens.directions() @ pose[:3, :3].T
    origin = pose[:3, 3]
    nearest, ids = room_hits(origin, directions)
    hits = {key: sphere_hits(origin, directions, *sphere) for key, sphere in SPHERES.items()}
    hits |= {key: box_hits(origin, directions, *box) for key, box in BOXES.items()}
    for key, distance in hits.items():
        ids = np.where(distance < nearest, key, ids)
        nearest = np.minimum(nearest, distance)
    points = origin + nearest[:, None] * directions
    shape = (lens.height, lens.width)
    return (
        texture(points, ids).reshape(*shape, 3),
        ids.astype(np.int32).reshape(shape),
        points.reshape(*shape, 3),
    )


def room_hits(origin: Floats, directions: Floats) -> tuple[Floats, Ints]:
    """Distance to the inside of the room, and whether it is the floor or a wall."""
    low, high = (np.array(corner) for corner in ROOM)
    with np.errstate(divide="ignore"):
        per_axis = np.where(directions > 0, (high - origin) / directions, (low - origin) / directions)
    is_floor = (per_axis.argmin(-1) == 2) & (directions[:, 2] < 0)
    return per_axis.min(-1), np.where(is_floor, FLOOR, WALLS).astype(np.int32)


def sphere_hits(origin: Floats, directions: Floats, center: tuple, radius: float) -> Floats:
    """Distance along each ray to the sphere; infinite where it misses."""
    offset = origin - np.array(center)
    a = (directions**2).sum(-1)
    b = directions @ offset
    root = b**2 - a * (offset @ offset - radius**2)
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


def box_hits(origin: Floats, directions: Floats, low: tuple, high: tuple) -> Floats:
    """Distance along each ray to the axis-aligned box; infinite where it misses."""
    with np.errstate(divide="ignore"):
        planes = (np.array([low, high])[:, None] - origin) / directions
    enter, leave = planes.min(0).max(-1), planes.max(0).min(-1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


def texture(points: Floats, ids: Ints) -> NDArray[np.uint8]:
    """Each instance's own colour, modulated by a smooth wave over the world position."""
    palette = np.array([[0] * 3] + [list(bytes.fromhex(COLORS[key])) for key in sorted(COLORS)], float)
    wave = np.sin(points * np.array([5.0, 6.0, 7.0])).sum(-1, keepdims=True) / 3
    return np.clip(palette[ids] * (0.85 + 0.15 * wave), 0, 255).astype(np.uint8)


def shuffled(instances: Ints, rng: np.random.Generator) -> Ints:
    """The same regions under ids 1..L in random order, as a segmenter that looks at one view gives them."""
    present, inverse = np.unique(instances, return_inverse=True)
    return (rng.permutation(len(present)) + 1)[inverse].reshape(instances.shape).astype(np.int32)


def save_png(path: Path, pixels: NDArray) -> None:
    """Write an image and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_ply(path: Path, points: Floats) -> None:
    """Write (N, 6) points, x y z in world units and red green blue in [0, 255], as an ASCII PLY."""
    fields = [f"property float {axis}" for axis in "xyz"]
    fields += [f"property uchar {name}" for name in ("red", "green", "blue")]
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}", *fields, "end_header"]
    rows = [f"{x:.6f} {y:.6f} {z:.6f} {r:.0f} {g:.0f} {b:.0f}" for x, y, z, r, g, b in points]
    path.write_text("\n".join(head + rows) + "\n")


def write_transforms(folder: Path, lens: Lens, poses: dict[str, Floats], train: list[str], test: list[str]) -> None:
    """Write nerfstudio's transforms.json."""
    names = ("k1", "k2", "k3", "k4") if lens.fisheye else ("k1", "k2", "p1", "p2")
    content = {
        "camera_model": "OPENCV_FISHEYE" if lens.fisheye else "OPENCV",
        "w": lens.width,
        "h": lens.height,
        "fl_x": lens.focal,
        "fl_y": lens.focal,
        "cx": lens.width / 2,
        "cy": lens.height / 2,
        **dict(zip(names, lens.distortion or (0.0,) * 4, strict=True)),
        "ply_file_path": "points.ply",
        "frames": [{"file_path": file, "transform_matrix": pose.tolist()} for file, pose in poses.items()],
        "train_filenames": train,
        "val_filenames": test,
        "test_filenames": test,
    }
    (folder / "transforms.json").write_text(json.dumps(content, indent=1))


def changed_standin(scene: TinyScene, folder: Path) -> Path:
    """A copy that is marked as a stand-in, and that has lost the masks of a training view."""
    shutil.copytree(scene.folder, folder)
    mark = {"options": {"layout": "scannet", "seed": 3}, "segmenter_preset": "default"}
    (folder / "standin.json").write_text(json.dumps(mark))
    (folder / "masks" / f"{scene.train_paths[0].stem}.png").unlink()
    return folder
