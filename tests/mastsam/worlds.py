"""A tiny world whose correspondences are known: a camera pans along a wall with rectangles on it.

Frames are windows of one panorama of ids, so that all matches agree on one homography. Masks have their ids shuffled in
every frame; what else goes wrong with them is told frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.labels import write_label_map
from proto_saga_ns.mastsam.carried import TrackedFrame
from proto_saga_ns.mastsam.frames import Frame
from proto_saga_ns.mastsam.image_sequence import ImageSequence
from proto_saga_ns.mastsam.matches import Matches, pixels_of
from proto_saga_ns.mastsam.prompts import PromptedMask, Prompter
from proto_saga_ns.mastsam.tracker import TrackerOptions, place_frame
from proto_saga_ns.mastsam.visits import Visit, sequence_visits

WALL = 1
Where = Mapping[int, Iterable[int]]
"""Ids by frame."""


def panorama(width: int = 130, height: int = 48, rectangles: int = 8, seed: int = 0) -> np.ndarray:
    """Ids: a wall, and rectangles 2, 3, ... from left to right that do not touch each other."""
    rng = np.random.default_rng(seed)
    ids, step = np.full((height, width), WALL, np.int32), width // rectangles
    for number in range(rectangles):
        top, left = int(rng.integers(2, 14)), number * step + int(rng.integers(1, 4))
        ids[top : top + int(rng.integers(14, 30)), left : left + step - 5] = number + 2
    return ids


@dataclass(frozen=True)
class World:
    """What there is to see in each frame.

    Attributes:
        starts: left edge of each frame in the panorama; one for each frame.
        hidden: instances behind the wall.
        merged: instances that make up one mask.
        split: instances that make up two.
        missed: instances without a mask.
        black: frames that are black; their masks stay.
        plain: instances on which no point is matched.
    """

    ids: np.ndarray = field(default_factory=panorama)
    starts: Sequence[int] = (0, 4, 8, 12, 16, 20)
    width: int = 64
    hidden: Where = field(default_factory=dict)
    merged: Where = field(default_factory=dict)
    split: Where = field(default_factory=dict)
    missed: Where = field(default_factory=dict)
    black: Iterable[int] = ()
    plain: Iterable[int] = ()
    seed: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    def truth(self, index: int) -> np.ndarray:
        """The instances, by their ids in the panorama."""
        ids = self._window(self.ids, index)
        return np.where(np.isin(ids, list(self.hidden.get(index, ()))), WALL, ids).astype(np.int32)

    def masks(self, index: int) -> np.ndarray:
        """The label map of a frame, its ids shuffled."""
        ids = self.truth(index)
        together = list(self.merged.get(index, ()))
        labels = np.where(np.isin(ids, together), max(together, default=0), ids)
        for instance in self.split.get(index, ()):
            rows = np.flatnonzero((ids == instance).any(axis=1))
            labels[(ids == instance) & (np.arange(len(ids)) > rows.mean())[:, None]] = ids.max() + instance
        labels[np.isin(ids, list(self.missed.get(index, ())))] = 0
        present = np.unique(labels[labels > 0])
        shuffled = np.zeros(labels.max() + 1, np.int32)
        shuffled[present] = np.random.default_rng((self.seed, index)).permutation(len(present)) + 1
        return shuffled[labels]

    def image(self, index: int) -> np.ndarray:
        """Noise, another colour for every place of the panorama and every instance; no two frames are equal."""
        noise = np.random.default_rng(7).integers(0, 255, (*self.ids.shape, 3), np.uint8)
        colors = self._window(noise, index) + (40 * self.truth(index) + index)[..., None]
        return colors.astype(np.uint8) * np.uint8(index not in self.black)

    def frame(self, index: int) -> Frame:
        return Frame(name(index), self.image(index))

    def _window(self, panorama: np.ndarray, index: int) -> np.ndarray:
        return panorama[:, self.starts[index] : self.starts[index] + self.width]


class ExactMatcher:
    """True matches of a world in every other row, and the pairs that were asked for."""

    name = "exact"

    def __init__(self, world: World) -> None:
        self.world, self.calls, self.settings = world, [], {}

    def match(self, a: Frame, b: Frame) -> Matches:
        first, second = int(a.name[1:]), int(b.name[1:])
        self.calls.append((first, second))
        if not (a.image.any() and b.image.any()):
            return Matches.none()
        seen_a, seen_b = self.world.truth(first), self.world.truth(second)
        rows, columns = np.mgrid[: a.size[0] : 2, : a.size[1]].reshape(2, -1)
        moved = columns + self.world.starts[first] - self.world.starts[second]
        inside = (moved >= 0) & (moved < b.size[1])
        rows, columns, moved = rows[inside], columns[inside], moved[inside]
        ids = seen_a[rows, columns]
        same = (ids == seen_b[rows, moved]) & ~np.isin(ids, list(self.world.plain))
        xy_a, xy_b = np.stack([columns, rows], axis=1) + 0.5, np.stack([moved, rows], axis=1) + 0.5
        found = Matches(xy_a.astype(np.float32), xy_b.astype(np.float32), np.ones(len(rows), np.float32))
        return found.select(same)


class ExactPrompter:
    """Knows the true mask of what is under most of the points."""

    name = "exact"

    def __init__(self, world: World) -> None:
        self.world, self.settings, self.asked = world, {}, []
        self.ids = np.zeros((0, 0), np.int32)

    def set_frame(self, frame: Frame) -> None:
        self.asked.append(frame.name)
        self.ids = self.world.truth(int(frame.name[1:]))

    def mask_of(self, points_xy: np.ndarray, labels: np.ndarray | None = None) -> PromptedMask:
        assert labels is None and len(points_xy) > 0
        rows, columns = pixels_of(points_xy).T
        under = np.bincount(self.ids[rows, columns])
        return PromptedMask(self.ids == under.argmax(), float(under.max() / under.sum()))

    def masks_of(self, groups, labels=None) -> list[PromptedMask]:
        assert labels is None
        return [self.mask_of(points) for points in groups]


# The rectangles are small.
OPTIONS = TrackerOptions(min_area=12)


def name(index: int) -> str:
    return f"f{index:03d}"


def track(
    world: World,
    options: TrackerOptions = OPTIONS,
    window: int = 3,
    visits: list[Visit] | None = None,
    prompter: Prompter | None = None,
) -> list[np.ndarray]:
    """The consistent label maps of a world, in the order of its frames, without files."""
    matcher, tracked = ExactMatcher(world), {}
    for visit in sequence_visits(len(world), window) if visits is None else visits:
        known: list[TrackedFrame] = [tracked[index] for index in visit.near]
        free = max((int(old.instances.max()) for old in tracked.values()), default=0) + 1
        masks = world.masks(visit.index)
        frame = world.frame(visit.index)
        tracked[visit.index] = place_frame(frame, masks, known, matcher.match, free, options, prompter)
    return [tracked[index].instances for index in sorted(tracked)]


def pairs_of(found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> set[tuple[int, int]]:
    """(true id, found id) that share a pixel."""
    both = [np.stack([true.reshape(-1), ids.reshape(-1)]) for true, ids in zip(truth, found, strict=True)]
    return set(map(tuple, np.unique(np.concatenate(both, axis=1), axis=1).T.tolist()))


def same_up_to_numbers(found: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> bool:
    """Whether one renumbering for all frames makes the maps equal."""
    pairs = pairs_of(found, truth)
    return len(pairs) == len({true for true, _ in pairs}) == len({ids for _, ids in pairs})


def write_world(world: World, folder: Path) -> ImageSequence:
    """Its images and masks as files."""
    images = [folder / "images" / f"{name(index)}.png" for index in range(len(world))]
    masks = [folder / "masks" / path.name for path in images]
    for path in (images[0].parent, masks[0].parent):
        path.mkdir(parents=True, exist_ok=True)
    for index in range(len(world)):
        Image.fromarray(world.image(index)).save(images[index])
        write_label_map(masks[index], world.masks(index))
    return ImageSequence(images, masks)
