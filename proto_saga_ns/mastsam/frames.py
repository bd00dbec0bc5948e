"""What the tracker and the matchers know of a view.

Image coordinates (x right, y down) are continuous, in pixels: (0, 0) is the corner of the image and (0.5, 0.5) the
centre of its first pixel, as in COLMAP and nerfstudio. The pixel of a point is its coordinates rounded down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Generic, TypeVar, overload

import numpy as np
from jaxtyping import Float, UInt8

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in the world.

    Attributes:
        intrinsics: K, in pixels of the frame's image.
        world_to_camera: rigid transform to OpenCV's camera frame: x right, y down, z forward.
    """

    intrinsics: Float[np.ndarray, "3 3"]
    world_to_camera: Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Frame:
    """One image of a sequence, and what is known about it.

    Attributes:
        name: stem of the image's file.
        image: RGB.
        camera: None if the pose is not known.
        depth: distance along the camera's z axis, in units of the world; 0 or not finite where unknown. None if there
            is no depth map.
    """

    name: str
    image: UInt8[np.ndarray, "H W 3"]
    camera: Camera | None = None
    depth: Float[np.ndarray, "H W"] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class FrameSelection:
    """Which frames of a sequence are used."""

    every: int = 1
    """use every N-th frame, beginning with the first"""
    max_frames: int | None = None
    """use at most this many frames"""

    def __post_init__(self) -> None:
        if self.every < 1 or (self.max_frames is not None and self.max_frames < 1):
            raise ValueError("every and max_frames must be at least 1")

    def count_of(self, total: int) -> int:
        """How many of ``total`` frames are used."""
        chosen = -(-total // self.every)
        return chosen if self.max_frames is None else min(chosen, self.max_frames)

    def of(self, items: Iterable[T]) -> Iterator[T]:
        """The items that are used; never asks for an item after the last of them."""
        stop = None if self.max_frames is None else (self.max_frames - 1) * self.every + 1
        return islice(items, 0, stop, self.every)


@dataclass(frozen=True)
class FrameSource:
    """A sequence of frames of one size; each iteration reads it anew.

    Attributes:
        count: number of frames, for progress; a video's header may promise more or fewer than it holds.
        size: (height, width) of all frames.
        fps: frames per second of the used frames; None where there is no time.
        read: begins an iteration.
    """

    count: int
    size: tuple[int, int]
    fps: float | None
    read: Callable[[], Iterator[Frame]]

    def __iter__(self) -> Iterator[Frame]:
        return self.read()


class LazySequence(Sequence[T], Generic[S, T]):
    """What ``read`` makes of each source; a few items are kept in memory, not all.

    Args:
        sources: for example, paths.
        read: makes an item of a source.
        kept: items in memory, those that were asked for last.
    """

    def __init__(self, sources: Sequence[S], read: Callable[[S], T], kept: int = 2) -> None:
        self._sources = sources
        self._read = lru_cache(kept)(lambda index: read(sources[index]))

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        places = range(len(self))[index]
        return self._read(places) if isinstance(places, int) else [self._read(place) for place in places]
