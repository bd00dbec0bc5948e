"""Cameras, points and photos that the tests of matching share."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from proto_saga_ns.mastsam.frames import Camera, Frame
from proto_saga_ns.mastsam.matches import Matches

DINING = Path(__file__).parents[2] / "proto_saga_ns" / "cli" / "demo_scene" / "dining"
SIZE = (240, 320)
INTRINSICS = np.array([[300.0, 0, 160], [0, 310, 120], [0, 0, 1]])


def camera(turn=(0.0, 0.0, 0.0), centre=(0.0, 0.0, 0.0), intrinsics=INTRINSICS) -> Camera:
    """A camera that stands at a centre, turned by a rotation vector; without both it looks along z."""
    rotation, _ = cv2.Rodrigues(np.array(turn, np.float64))
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = -rotation @ np.array(centre, np.float64)
    return Camera(intrinsics, world_to_camera)


def project(points: np.ndarray, view: Camera) -> np.ndarray:
    """Image coordinates (N, 2) of points of the world (N, 3)."""
    seen = points @ view.world_to_camera[:3, :3].T + view.world_to_camera[:3, 3]
    return (seen @ view.intrinsics.T)[:, :2] / seen[:, 2:]


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """Points in front of a camera at the origin."""
    return np.random.default_rng(seed).uniform((-1, -1, 3), (1, 1, 6), (count, 3))


def matches_of(xy_a: np.ndarray, xy_b: np.ndarray) -> Matches:
    return Matches(xy_a.astype(np.float32), xy_b.astype(np.float32), np.ones(len(xy_a), np.float32))


def blank(name: str = "blank", view: Camera | None = None, size: tuple[int, int] = SIZE) -> Frame:
    return Frame(name, np.zeros((*size, 3), np.uint8), view)


@lru_cache(maxsize=1)
def dining() -> list[Frame]:
    """The photos of the demo scene with their poses, in the order of their names."""
    described = json.loads((DINING / "transforms.json").read_text())
    intrinsics = np.array([[described["fl_x"], 0, described["cx"]], [0, described["fl_y"], described["cy"]], [0, 0, 1]])
    return [_frame(entry, intrinsics) for entry in described["frames"]]


def _frame(entry: dict, intrinsics: np.ndarray) -> Frame:
    path = DINING / entry["file_path"]
    opencv_camera_to_world = np.array(entry["transform_matrix"]) @ np.diag([1.0, -1, -1, 1])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return Frame(path.stem, pixels, Camera(intrinsics, np.linalg.inv(opencv_camera_to_world)))


def nearest_by_angle(frames: list[Frame], index: int) -> int:
    """The other frame that looks the most in the same direction."""
    directions = np.stack([frame.camera.world_to_camera[2, :3] for frame in frames if frame.camera])
    alike = directions @ directions[index]
    alike[index] = -np.inf
    return int(alike.argmax())


def texture(size=SIZE, seed=0) -> np.ndarray:
    """Blobs of all sizes, as RGB."""
    noise = np.random.default_rng(seed).uniform(0, 255, (*size, 3)).astype(np.float32)
    layers = [cv2.GaussianBlur(noise, (0, 0), sigma) * sigma for sigma in (1, 2, 4, 8)]
    image = np.sum([layer - layer.mean() for layer in layers], axis=0)
    return np.clip(128 + 40 * image / np.std(image), 0, 255).astype(np.uint8)
