"""Frames one by one, from wherever they come: never more than one image in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from proto_saga_ns.mastsam.frames import Frame

T = TypeVar("T")


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
