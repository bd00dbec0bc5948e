"""A shop from a seed: racks along two walls, full of small things that touch, often the same ones side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from proto_saga_ns.evaluation.standins.cameras import Path, look_at, walk_stream
from proto_saga_ns.evaluation.standins.furnish import Size, Wall
from proto_saga_ns.evaluation.standins.furniture import Rng
from proto_saga_ns.evaluation.standins.products import PRODUCTS, rack
from proto_saga_ns.evaluation.standins.room import NUM_SHELL, lamp_of, shell_of
from proto_saga_ns.evaluation.standins.things import Placed, Thing
from proto_saga_ns.evaluation.standins.world import World

_STREAM = 9
_DEPTH, _HEIGHT = 0.36, 1.95
"""Of a rack in metres."""
_BOARDS = (0.12, 0.44, 0.76, 1.08, 1.40, 1.70)
_PER_RACK = 130
_AISLE = 3.0
"""Metres between the racks on either side."""
_FACINGS = (1, 5)
"""How many of a kind stand side by side."""
_GAP = 0.001
_ROOM = 1.12
"""How much longer boards are than what they hold on average."""
_MEAN_WIDTH = 0.088
"""Of a product in metres."""
_EDGE = 0.03
"""Metres of a board that stay free at either end."""
_AIM = 1.0
_LAPS = 2


def make_shelves(seed: int, count: int) -> tuple[World, Path]:
    """The shop of a seed, and the walk through it.

    Args:
        count: of instances: floor, ceiling and walls, racks, and what stands on these.
    """
    rng = np.random.default_rng([seed, _STREAM])
    racks = math.ceil((count - NUM_SHELL) / (_PER_RACK + 1))
    counts = np.diff(np.linspace(0, count - NUM_SHELL - racks, racks + 1).astype(int))
    width = _ROOM * _MEAN_WIDTH * int(counts.max()) / len(_BOARDS) + 2 * _EDGE
    size = (max(math.ceil(racks / 2) * width + 1.0, 4.4), _AISLE + 2 * _DEPTH, 2.7)
    shell = [Placed(thing, (0.0, 0.0, 0.0)) for thing in shell_of(rng, size)]
    shelves = list(_racks(rng, size, racks, width))
    products = [
        placed for case, number in zip(shelves, counts, strict=True) for placed in _filled(rng, case, int(number))
    ]
    return World(size, (*shell, *shelves, *products), NUM_SHELL, lamp_of(size)), _AislePath(seed, size)


def _racks(rng: Rng, size: Size, count: int, width: float) -> Iterator[Placed]:
    """Half of them along the north wall, the others along the south wall, each row in the middle of its wall."""
    thing = rack(rng, width, _DEPTH, _BOARDS, _HEIGHT)
    for side, number in ((0, math.ceil(count / 2)), (2, count // 2)):
        wall = Wall(size, side)
        for index in range(number):
            yield wall.stand((index - (number - 1) / 2) * width, thing)


def _filled(rng: Rng, case: Placed, count: int) -> list[Placed]:
    """Just so many products on the boards of a rack, about as many on each."""
    while True:
        placed = _boards_filled(rng, case, count)
        # Seldom, wide products come together and there is no place for all.
        if len(placed) == count:
            return placed


def _boards_filled(rng: Rng, case: Placed, count: int) -> list[Placed]:
    placed: list[Placed] = []
    end = case.thing.size[0] / 2 - _EDGE
    ends = np.full(len(_BOARDS), -end)
    for _ in range(count):
        board = int(ends.argmin())
        for thing in _run(rng):
            width = thing.size[0]
            if len(placed) == count or ends[board] + width > end:
                break
            front = _EDGE - _DEPTH / 2 + thing.size[1] / 2
            placed.append(case.local((float(ends[board]) + width / 2, front, _BOARDS[board]), thing))
            ends[board] += width + _GAP
    return placed


def _run(rng: Rng) -> Iterator[Thing]:
    """The same product several times."""
    thing = PRODUCTS[int(rng.integers(len(PRODUCTS)))](rng)
    yield from [thing] * int(rng.integers(_FACINGS[0], _FACINGS[1] + 1))


class _AislePath:
    """Two laps along the aisle, close to one side and looking at the other."""

    def __init__(self, seed: int, size: Size) -> None:
        rng = walk_stream(seed)
        self._start, self._turn = rng.uniform(0, 2 * np.pi), float(rng.choice([-1, 1]))
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._reach = np.array([size[0] / 2 - 0.9, _AISLE / 2 - 0.3])

    def __call__(self, time: float) -> Float[np.ndarray, "4 4"]:
        angle = self._start + self._turn * 2 * np.pi * _LAPS * time
        wave = np.sin(2 * np.pi * np.array([3, 5, 7]) * time + self._phases)
        x, side = np.cos(angle), np.tanh(2.5 * np.sin(angle))
        position = np.append(self._reach * (x, side * (0.92 + 0.08 * wave[0])), 1.4 + 0.25 * wave[1])
        aim = np.array([0.6 * self._reach[0] * x, -2 * self._reach[1] * side, _AIM + 0.2 * wave[2]])
        return look_at(position, aim)
