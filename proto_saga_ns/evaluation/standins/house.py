"""A house from a seed: rooms of one size in rows, with doors from each to the next, and a walk through all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from proto_saga_ns.evaluation.standins.cameras import Path, look_at, walk_stream
from proto_saga_ns.evaluation.standins.furnish import Size, Wall
from proto_saga_ns.evaluation.standins.furniture import IRON, WHITE, pick
from proto_saga_ns.evaluation.standins.house_rooms import Designs, furnish_room
from proto_saga_ns.evaluation.standins.room import DOORWAY, NUM_SHELL, lamp_of, shell_of
from proto_saga_ns.evaluation.standins.shapes import Vector, box, joined
from proto_saga_ns.evaluation.standins.textures import Color, Paint
from proto_saga_ns.evaluation.standins.things import Part, Placed, Thing
from proto_saga_ns.evaluation.standins.world import Light, World

_STREAM = 7
_WALL = 0.16
"""Metres between rooms."""
_DOOR_COLORS: tuple[Color, ...] = (WHITE, (0.62, 0.42, 0.24), (0.45, 0.52, 0.50))
_ALONG = 1.0
"""How far from the middle of a wall its doorway is."""
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Columns and rows from a room to its neighbour behind the walls north, east, south and west."""
_SPACING = 0.02
"""Metres between the points that the walk is made of."""


@dataclass(frozen=True)
class Plan:
    """Where the rooms are; each has a door to the next.

    Attributes:
        size: of every room in metres.
        centres: of their floors, world frame.
        exits: the wall of each room but the last that has the door to the next.
        alongs: how far along that wall the doorway is.
    """

    size: Size
    centres: tuple[Vector, ...]
    exits: tuple[int, ...]
    alongs: tuple[float, ...]

    def doorways(self, room: int) -> dict[int, float]:
        """How far along the walls of a room the doorways are, by side."""
        found = {}
        if room < len(self.exits):
            found[self.exits[room]] = self.alongs[room]
        if room > 0:
            # Who faces the same wall from the other side counts the other way.
            found[(self.exits[room - 1] + 2) % 4] = -self.alongs[room - 1]
        return found


def make_house(seed: int, rooms: int, count: int) -> tuple[World, Path]:
    """The house of a seed, and the walk through it.

    Args:
        rooms: how many.
        count: of instances; floor, ceiling and walls are six in each room.
    """
    rng = np.random.default_rng([seed, _STREAM])
    plan = _plan(rng, rooms)
    shells, inside = [], []
    designs = Designs(rng)
    doors = [_door_between(rng, plan, index) for index in range(rooms - 1)]
    wanted = np.diff(np.linspace(0, count - NUM_SHELL * rooms - len(doors), rooms + 1).astype(int))
    for index, centre in enumerate(plan.centres):
        doorways = plan.doorways(index)
        shells += [Placed(thing, centre) for thing in shell_of(rng, plan.size, doorways)]
        inside += furnish_room(rng, designs, plan.size, centre, doorways, int(wanted[index]))
    across = np.ptp(np.array(plan.centres), axis=0)
    size = (float(across[0]) + plan.size[0], float(across[1]) + plan.size[1], plan.size[2])
    lamp = np.array(lamp_of(plan.size).lamps[0])
    lamps = tuple((float(x), float(y), float(z)) for x, y, z in np.array(plan.centres) + lamp)
    return World(size, (*shells, *doors, *inside), len(shells), Light(lamps)), _HousePath(seed, plan)


def _plan(rng: np.random.Generator, rooms: int) -> Plan:
    """Rooms in rows, walked to and fro."""
    size = (float(rng.uniform(5.0, 5.6)), float(rng.uniform(5.0, 5.3)), 2.6)
    columns = math.ceil(math.sqrt(rooms))
    cells = []
    for index in range(rooms):
        row, column = divmod(index, columns)
        cells.append((column if row % 2 == 0 else columns - 1 - column, row))
    exits = [_STEPS.index((b[0] - a[0], b[1] - a[1])) for a, b in pairwise(cells)]
    middle = (np.max(cells, axis=0) + np.min(cells, axis=0)) / 2
    centres = [
        tuple(float(v) for v in (np.array(cell) - middle) * (size[0] + _WALL, size[1] + _WALL)) for cell in cells
    ]
    alongs = rng.choice([-_ALONG, _ALONG], rooms - 1)
    return Plan(size, tuple((x, y, 0.0) for x, y in centres), tuple(exits), tuple(float(a) for a in alongs))


def _door_between(rng: np.random.Generator, plan: Plan, index: int) -> Placed:
    """The door from a room to the next; it stands open, flat against the wall of the first."""
    along = plan.alongs[index]
    wall = Wall(plan.size, plan.exits[index], plan.centres[index])
    return wall.hang(along, 0.0, _door(rng, float(np.sign(along))))


def _door(rng: np.random.Generator, towards: float) -> Thing:
    """Back of its frame beyond the wall behind.

    Args:
        towards: -1 or 1, the side to which it opens.
    """
    width, height = DOORWAY
    deep = _WALL + 0.04
    posts = [box(0.08, deep, height).moved((side * width / 2, _WALL / 2, 0)) for side in (-1, 1)]
    lintel = box(width + 0.08, deep, 0.08).moved((0, _WALL / 2, height - 0.04))
    sill = box(width, deep, 0.012).moved((0, _WALL / 2, 0))
    middle = towards * (width / 2 + 0.05 + 0.41)
    color = Paint(pick(rng, _DOOR_COLORS), "wood", scale=0.15)
    handle = box(0.12, 0.05, 0.03).moved((middle + towards * 0.33, -0.085, 1.0))
    return Thing(
        "door",
        (
            Part("leaf", box(0.82, 0.03, 1.98).moved((middle, -0.045, 0.01)), color),
            Part("frame", joined([*posts, lintel, sill]), Paint((0.8, 0.78, 0.74))),
            Part("handle", handle, Paint(IRON)),
        ),
    )


class _HousePath:
    """Once around in every room, looking across its middle, and ahead in the doors."""

    def __init__(self, seed: int, plan: Plan) -> None:
        rng = walk_stream(seed)
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._rooms = len(plan.centres)
        turn, start = float(rng.choice([-1, 1])), float(rng.uniform(0, 2 * np.pi))
        places, aims = (np.concatenate(rows) for rows in zip(*_stations(plan, start, turn), strict=True))
        at = np.concatenate([[0.0], np.linalg.norm(np.diff(places, axis=0), axis=-1).cumsum()])
        self._times = np.arange(0, at[-1], _SPACING)
        # Nobody turns on the spot.
        self._places = _smooth(np.stack([np.interp(self._times, at, column) for column in places.T], -1), 0.2)
        self._aims = _smooth(np.stack([np.interp(self._times, at, column) for column in aims.T], -1), 0.5)

    def __call__(self, time: float) -> Float[np.ndarray, "4 4"]:
        index = min(int(time * len(self._times)), len(self._times) - 1)
        wave = np.sin(2 * np.pi * np.array([5, 7, 11]) * self._rooms * time / 2 + self._phases)
        (x, y), (aim_x, aim_y) = self._places[index], self._aims[index]
        away = np.array([aim_x - x, aim_y - y])
        across = np.array([-away[1], away[0]]) / np.linalg.norm(away)
        aim_x, aim_y = (aim_x, aim_y) + 0.5 * wave[0] * across
        position, aim = np.array([x, y, 1.5 + 0.2 * wave[1]]), np.array([aim_x, aim_y, 0.8 + 0.25 * wave[2]])
        return look_at(position, aim)


def _smooth(rows: Float[np.ndarray, "N 2"], metres: float) -> Float[np.ndarray, "N 2"]:
    return gaussian_filter1d(rows, metres / _SPACING, axis=0, mode="nearest")


def _stations(
    plan: Plan, start: float, turn: float
) -> Iterator[tuple[Float[np.ndarray, "_S 2"], Float[np.ndarray, "_S 2"]]]:
    """Places and what is looked at there, room by room and door by door.

    Args:
        start: angle in the first room.
        turn: 1 walks from x to y, -1 the other way.
    """
    reach = np.array(plan.size[:2]) / 2 - 0.9
    angle = start
    for room, centre in enumerate(plan.centres):
        middle = np.array(centre[:2])
        end = angle + turn * 2 * np.pi
        if room < len(plan.exits):
            door, out = _doorway(plan, room)
            towards = _angle((door - middle) / reach)
            end += turn * ((turn * (towards - angle)) % (2 * np.pi))
        angles = np.linspace(angle, end, 100)
        outwards = np.stack([np.cos(angles), np.sin(angles)], -1)
        yield middle + reach * outwards, middle - 0.3 * outwards
        if room < len(plan.exits):
            steps = np.linspace(-0.6, 0.6 + _WALL, 12)[:, None]
            yield door + steps * out, door + (steps + 1.8) * out
            angle = _angle((door + _WALL * out - np.array(plan.centres[room + 1][:2])) / reach)


def _doorway(plan: Plan, room: int) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:
    """The middle of the doorway of a room to the next, in the plane of its wall, and the way through it."""
    side, along = plan.exits[room], plan.alongs[room]
    out = np.array(_STEPS[side], float)
    right = np.array([out[1], -out[0]])
    return np.array(plan.centres[room][:2]) + np.array(plan.size[:2]) / 2 * out + along * right, out


def _angle(vector: Float[np.ndarray, " 2"]) -> float:
    return float(np.arctan2(vector[1], vector[0]))
