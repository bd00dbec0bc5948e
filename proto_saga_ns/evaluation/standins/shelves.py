"""A shop from a seed: racks along two walls, full of small things that touch, many of them side by side with their like."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from proto_saga_ns.evaluation.standins.cameras import Path, RoomPath
from proto_saga_ns.evaluation.standins.furnish import Size, Wall
from proto_saga_ns.evaluation.standins.furniture import Rng
from proto_saga_ns.evaluation.standins.products import PRODUCTS, rack
from proto_saga_ns.evaluation.standins.room import NUM_SHELL, lamp_of, shell_of
from proto_saga_ns.evaluation.standins.things import Placed, Thing
from proto_saga_ns.evaluation.standins.world import World

_STREAM = 9
_RACK = (2.4, 0.36, 1.95)
"""Width, depth and height in metres."""
_BOARDS = (0.12, 0.44, 0.76, 1.08, 1.40, 1.70)
_PER_RACK = 130
_AISLE = 2.9
"""Metres between the racks on either side."""
_FACINGS = (1, 5)
"""How many of a kind stand side by side."""
_GAP = 0.001
_AIM = 1.0


def make_shelves(seed: int, count: int) -> tuple[World, Path]:
    """The shop of a seed, and the walk through it.

    Args:
        count: of instances: floor, ceiling and walls, racks, and what stands on these.
    """
    rng = np.random.default_rng([seed, _STREAM])
    racks = math.ceil((count - NUM_SHELL) / (_PER_RACK + 1))
    across = math.ceil(racks / 2)
    size = (max(across * _RACK[0] + 0.8, 4.4), _AISLE + 2 * _RACK[1], 2.7)
    shell = [Placed(thing, (0.0, 0.0, 0.0)) for thing in shell_of(rng, size)]
    shelves = list(_racks(rng, size, racks))
    counts = np.diff(np.linspace(0, count - NUM_SHELL - racks, racks + 1).astype(int))
    products = [placed for case, number in zip(shelves, counts, strict=True) for placed in _filled(rng, case, int(number))]
    return World(size, (*shell, *shelves, *products), NUM_SHELL, lamp_of(size)), RoomPath(seed, size, _AIM)


def _racks(rng: Rng, size: Size, count: int) -> Iterator[Placed]:
    """Along the north wall and the south wall in turn, each row in the middle of its wall."""
    thing = rack(rng, *_RACK[:2], _BOARDS, _RACK[2])
    for side, number in ((0, math.ceil(count / 2)), (2, count // 2)):
        wall = Wall(size, side)
        for index in range(number):
            yield wall.stand((index - (number - 1) / 2) * _RACK[0], thing)


def _filled(rng: Rng, case: Placed, count: int) -> list[Placed]:
    """Just so many products on the boards of a rack, as evenly as they go."""
    runs = [list(_run(rng)) for _ in range(count)]
    placed: list[Placed] = []
    ends = np.full(len(_BOARDS), 0.03 - _RACK[0] / 2)
    for run in runs:
        board = int(ends.argmin())
        for thing in run:
            width = thing.size[0]
            if len(placed) == count:
                return placed
            if ends[board] + width > _RACK[0] / 2 - 0.03:
                break
            front = -_RACK[1] / 2 + 0.03 + thing.size[1] / 2
            placed.append(case.local((float(ends[board]) + width / 2, front, _BOARDS[board]), thing))
            ends[board] += width + _GAP
    raise ValueError(f"a rack has no place for {count} products")


def _run(rng: Rng) -> Iterator[Thing]:
    """The same product several times."""
    thing = PRODUCTS[int(rng.integers(len(PRODUCTS)))](rng)
    yield from [thing] * int(rng.integers(_FACINGS[0], _FACINGS[1] + 1))
