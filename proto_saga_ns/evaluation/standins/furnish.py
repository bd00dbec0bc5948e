"""What stands where in a room: a table with chairs in the middle, furniture along the walls, small things on both.

The middle is no higher than the chairs and what stands on the table, and tall furniture keeps to the walls: cameras
move between the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from proto_saga_ns.evaluation.standins import furniture, small_things
from proto_saga_ns.evaluation.standins.furniture import Rng
from proto_saga_ns.evaluation.standins.shapes import Vector
from proto_saga_ns.evaluation.standins.things import Placed, Thing

Size = tuple[float, float, float]
Bundle = list[Placed]

_TABLE_HEIGHT = 0.74
_GAP = 0.02
"""Metres between furniture and the wall behind it."""


def furnish(rng: Rng, size: Size, count: int) -> list[Placed]:
    """Everything that stands in a room of that size.

    Args:
        count: of objects; what every room has comes to no more than 14.
    """
    walls = [Wall(size, int(side)) for side in rng.permutation(4)]
    table = _table(rng)
    placed, optional = _needed(rng, table, walls)
    rug = Placed(furniture.rug(rng, 0.6 * size[0], 0.5 * size[1]), (0.0, 0.0, 0.0))
    cups, *others = _on_table(rng, table, _table_spots(rng, table))
    placed += cups
    optional += [*others, *_in_corners(rng, size), [rug]]
    for index in rng.permutation(len(optional)):
        if len(placed) + len(optional[index]) <= count:
            placed += optional[index]
    return placed


class Wall:
    """Places along a wall, counted from its middle to the right when one faces it.

    Args:
        size: of the room in metres.
        side: 0 north (+y), 1 east (+x), 2 south, 3 west.
        centre: of the room's floor, world frame.
    """

    def __init__(self, size: Size, side: int, centre: Vector = (0.0, 0.0, 0.0)) -> None:
        self.length, self._distance = (size[0], size[1] / 2) if side % 2 == 0 else (size[1], size[0] / 2)
        self._frame = Placed(Thing("wall", ()), centre, -side * np.pi / 2)

    def stand(self, along: float, thing: Thing) -> Placed:
        """A thing that stands before the wall, with its back to it."""
        return self._frame.local((along, self._distance - _GAP - thing.size[1] / 2, 0.0), thing)

    def hang(self, along: float, height: float, thing: Thing) -> Placed:
        """A thing on the wall, whose back is at y = 0."""
        return self._frame.local((along, self._distance, height), thing)


def _table(rng: Rng) -> Placed:
    thing = furniture.table(rng, float(rng.uniform(1.4, 1.7)), float(rng.uniform(0.85, 1.0)), _TABLE_HEIGHT)
    x, y = rng.uniform(-0.2, 0.2, 2)
    return Placed(thing, (float(x), float(y), 0.0), float(rng.uniform(-0.15, 0.15) + rng.integers(2) * np.pi / 2))


def _needed(rng: Rng, table: Placed, walls: Sequence[Wall]) -> tuple[list[Placed], list[Bundle]]:
    """What every room has, and what may be added to it."""
    placed, optional = [table, *_chairs(rng, table)], []
    for group, wall in zip((_sofa, _bookcase, _cabinet, _door), walls, strict=True):
        needed, more = group(rng, wall)
        placed += needed
        optional += more
    return placed, optional


def _chairs(rng: Rng, table: Placed) -> list[Placed]:
    """Three or four of one kind around a table."""
    thing = furniture.chair(rng)
    width, depth, _ = table.thing.size
    x, y, quarter = width / 2 + 0.14, depth / 2 + 0.14, np.pi / 2
    long_sides = [(place, side * y, (1 - side) * quarter) for side in (1, -1) for place in (-0.32, 0.32)]
    seats = [*long_sides, (x, 0.0, -quarter), (-x, 0.0, quarter)]
    chosen = rng.permutation(len(seats))[: int(rng.integers(3, 5))]
    turns = rng.uniform(-0.2, 0.2, len(seats))
    return [table.local((seats[i][0], seats[i][1], 0.0), thing, seats[i][2] + float(turns[i])) for i in sorted(chosen)]


def _sofa(rng: Rng, wall: Wall) -> tuple[list[Placed], list[Bundle]]:
    along = float(rng.uniform(-0.4, 0.4))
    sofa = wall.stand(along, furniture.sofa(rng))
    pillow = furniture.pillow(rng)
    reach = sofa.thing.size[0] / 2 - 0.45
    pillows = [sofa.local((x, 0.11, 0.4), pillow, turn) for x, turn in ((-reach, 0.15), (reach, -0.2))]
    picture = small_things.picture(rng)
    pictures = [wall.hang(along + x, 1.35, picture) for x in (-0.45, 0.45)]
    return [sofa, *pillows], [pictures]


def _bookcase(rng: Rng, wall: Wall) -> tuple[list[Placed], list[Bundle]]:
    width = furniture.bookcase_size()[0]
    along = float(rng.choice([-1, 1])) * (wall.length / 2 - width / 2 - 0.7)
    case = wall.stand(along, furniture.bookcase(rng))
    first, second, third, fourth = (float(height) for height in rng.permutation(furniture.bookcase_boards()))

    def on_board(height: float, x: float, thing: Thing) -> Placed:
        return case.local((x, -0.02, height), thing)

    books = on_board(first, -0.1, small_things.row_of_books(rng, float(rng.uniform(0.5, 0.75))))
    more_books = on_board(second, 0.15, small_things.row_of_books(rng, float(rng.uniform(0.4, 0.6))))
    globe = on_board(third, float(rng.uniform(-0.3, 0.3)), small_things.globe(rng))
    vase = small_things.vase(rng)
    vases = [on_board(fourth, x, vase) for x in (-0.25, 0.25)] if fourth > 1 else []
    return [case, books], [bundle for bundle in ([more_books], [globe], vases) if bundle]


def _cabinet(rng: Rng, wall: Wall) -> tuple[list[Placed], list[Bundle]]:
    width, height, drawers = float(rng.uniform(1.2, 1.5)), float(rng.uniform(0.55, 0.8)), int(rng.integers(2, 4))
    along = float(rng.uniform(-0.5, 0.5))
    cabinet = wall.stand(along, furniture.cabinet(rng, width, height, drawers))
    lamp = furniture.table_lamp(rng)
    lamps = [cabinet.local((x, 0.05, height), lamp) for x in (0.15 - width / 2, width / 2 - 0.15)]
    television = cabinet.local((0.0, 0.05, height), small_things.television(rng))
    clock = wall.hang(along + float(rng.uniform(-0.4, 0.4)), 1.9, small_things.clock(rng))
    return [cabinet], [lamps, [television], [clock]]


def _door(rng: Rng, wall: Wall) -> tuple[list[Placed], list[Bundle]]:
    side = float(rng.choice([-1, 1]))
    door = wall.hang(side * (wall.length / 2 - 1.2), 0.0, small_things.door(rng))
    window = wall.hang(-side * 0.75, 1.0, small_things.window(rng))
    stool = furniture.stool(rng)
    stools = [wall.stand(-side * x, stool) for x in (0.4, 1.0)]
    return [door], [[window], stools]


def _table_spots(rng: Rng, table: Placed) -> list[tuple[float, float]]:
    """Places on the table that are far enough from each other, in any order."""
    width, depth, _ = table.thing.size
    spots = [(x * (width / 2 - 0.2), y * depth / 4) for x in (-1.0, -0.33, 0.33, 1.0) for y in (-1, 1)]
    jitter = rng.uniform(-0.03, 0.03, (len(spots), 2))
    return [(spots[i][0] + float(jitter[i, 0]), spots[i][1] + float(jitter[i, 1])) for i in rng.permutation(len(spots))]


def _on_table(rng: Rng, table: Placed, spots: list[tuple[float, float]]) -> list[Bundle]:
    """Bundles for the table, the first are cups; look-alikes come together."""
    height = table.thing.size[2]

    def at(spot: tuple[float, float], thing: Thing, *, dx: float = 0.0, up: float = 0.0) -> Placed:
        turn = float(rng.uniform(-np.pi, np.pi)) if dx == 0 else 0.0
        return table.local((spot[0] + dx, spot[1], height + up), thing, turn)

    cup, fruit = small_things.cup(rng), small_things.fruit(rng)
    fruits = [at(spots[2], fruit, dx=dx, up=0.03) for dx in (-0.045, 0.045)]
    bundles = [
        [at(spots[0], cup), at(spots[1], cup)],
        [at(spots[2], small_things.bowl(rng)), *fruits],
        [at(spots[3], small_things.vase(rng))],
        [at(spots[4], small_things.plate(rng))],
        [at(spots[5], small_things.book(rng))],
    ]
    return bundles


def _in_corners(rng: Rng, size: Size) -> list[Bundle]:
    corners = [(x * (size[0] / 2 - 0.42), y * (size[1] / 2 - 0.42), 0.0) for x in (-1, 1) for y in (-1, 1)]
    first, second, third, fourth = (corners[i] for i in rng.permutation(4))
    crate = furniture.crate(rng)
    crates = [Placed(crate, third, float(rng.uniform(-0.3, 0.3))), Placed(crate, (*third[:2], 0.37), 0.2)]
    return [
        [Placed(furniture.plant(rng), first)],
        [Placed(furniture.floor_lamp(rng), second)],
        crates,
        [Placed(furniture.ball(rng), fourth)],
    ]
