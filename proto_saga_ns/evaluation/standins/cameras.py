"""A walk through a world: its frames make a video, some of them are held out.

Poses are camera to world in OpenGL axes (x right, y up, z back), metres, z up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from proto_saga_ns.export.videos.turntable import PinholeLens

FRAME_STEP = 5
"""Training views are every fifth frame of the walk, as in Gaga's split of Replica."""
TEST_OFFSET = 2
"""Test views are this many frames after a training view."""
_LAPS = 2

Path = Callable[[float], Float[np.ndarray, "4 4"]]
"""The pose at a time, which runs from 0 to 1."""


@dataclass(frozen=True)
class View:
    """One posed view.

    Attributes:
        frame: number of the frame in the walk; views in ascending order make the video.
        is_test: whether the view is held out.
        pose: camera to world.
    """

    frame: int
    is_test: bool
    pose: Float[np.ndarray, "4 4"]


def lens_of(width: int, height: int, degrees: float = 75.0) -> PinholeLens:
    """A lens by its horizontal field of view."""
    return PinholeLens.from_horizontal_fov(width, height, degrees)


def walk(path: Path, views: int, test_views: int) -> list[View]:
    """Views in the order of the walk.

    Args:
        path: that is walked.
        views: how many training views.
        test_views: how many held-out ones, evenly spread between them.

    Raises:
        ValueError: fewer than one training view, or more test views than training views.
    """
    if views < 1 or not 0 <= test_views <= views:
        raise ValueError(f"{views} training and {test_views} test views; expected at least 1, and no more test views")
    held_out = (np.arange(test_views) + 0.5) * views / max(test_views, 1)
    frames = {FRAME_STEP * index: False for index in range(views)}
    frames |= {FRAME_STEP * int(index) + TEST_OFFSET: True for index in held_out}
    end = FRAME_STEP * views
    return [View(frame, is_test, path(frame / end)) for frame, is_test in sorted(frames.items())]


def walk_stream(seed: int) -> np.random.Generator:
    """What is drawn for the walk of a seed."""
    return np.random.default_rng([seed, 1])


class RoomPath:
    """Two laps between what stands in the middle of a room and its walls, looking across the middle.

    Args:
        size: of the room in metres.
    """

    def __init__(self, seed: int, size: tuple[float, float, float]) -> None:
        rng = walk_stream(seed)
        self._start = rng.uniform(0, 2 * np.pi)
        self._turn = float(rng.choice([-1, 1]))
        self._phases = rng.uniform(0, 2 * np.pi, 4)
        self._reach = np.array(size[:2]) / 2 - 0.75

    def __call__(self, time: float) -> Float[np.ndarray, "4 4"]:
        angle = self._start + self._turn * 2 * np.pi * _LAPS * time
        wave = np.sin(2 * np.pi * np.array([3, 5, 7, 11]) * time + self._phases)
        outwards = np.array([np.cos(angle), np.sin(angle)])
        position = np.append(self._reach * (0.93 + 0.07 * wave[0]) * outwards, 1.5 + 0.25 * wave[1])
        across = np.array([-outwards[1], outwards[0]])
        # Past the middle, so that the wall behind it is seen too; to one side and the other, so that corners are.
        aim = np.append(-0.25 * outwards + 0.8 * wave[2] * across, 0.75 + 0.3 * wave[3])
        return look_at(position, aim)


def look_at(position: Float[np.ndarray, " 3"], aim: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """The upright pose at a position that looks at another."""
    back = (position - aim) / np.linalg.norm(position - aim)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, position], -1)
    return pose
