"""What stands in a room of a house: groups along its walls, a table in the middle, small things on all of it.

A house has one, two or three designs of everything, so that look-alikes stand in all of its rooms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from proto_saga_ns.evaluation.standins import furniture, small_things
from proto_saga_ns.evaluation.standins.furnish import Bundle, Size, Wall
from proto_saga_ns.evaluation.standins.furniture import Rng
from proto_saga_ns.evaluation.standins.shapes import Vector
from proto_saga_ns.evaluation.standins.things import Placed, Thing

Make = Callable[[Rng], Thing]

_MOST_DESIGNS = 3
_CORNER, _BESIDE_DOOR, _BETWEEN = 0.72, 0.66, 0.12
"""Metres of a wall that stay free at a corner, beside the middle of a doorway, and between groups."""
_DESK = (1.2, 0.6, 0.74)
_FURNITURE_SHARE = 0.55
"""Of the objects of a room; the others lie on these."""


class Designs:
    """The things that a house has: the same design again and again."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._made: dict[str, list[Thing]] = {}

    def pick(self, rng: Rng, make: Make, name: str) -> Thing:
        """One of the designs.

        Args:
            rng: chooses.
            make: draws a new design.
            name: of what it makes.
        """
        if name not in self._made:
            self._made[name] = [make(self._rng) for _ in range(int(self._rng.integers(1, _MOST_DESIGNS + 1)))]
        designs = self._made[name]
        return designs[int(rng.integers(len(designs)))]


@dataclass(frozen=True)
class Group:
    """Furniture, and what may be added when it is there."""

    placed: Bundle
    more: list[Bundle] = field(default_factory=list)


def furnish_room(
    rng: Rng, designs: Designs, size: Size, centre: Vector, doorways: Mapping[int, float], count: int
) -> list[Placed]:
    """Just so many objects of a room.

    Args:
        designs: of the house.
        size: of the room in metres.
        centre: of its floor, world frame.
        doorways: how far along its walls the doorways are, by side.
        count: of objects; table and chairs come to 5, and up to 40 have a place.

    Raises:
        ValueError: there is no place for as many.
    """
    middle = _middle(rng, designs, size, centre)
    groups = [*_along_walls(rng, designs, size, centre, doorways), *_in_corners(rng, designs, size, centre)]
    placed, waiting = list(middle.placed), list(middle.more)
    order = [groups[index] for index in rng.permutation(len(groups))]
    while len(placed) < count:
        wants_furniture = len(placed) < _FURNITURE_SHARE * count or not waiting
        if order and wants_furniture:
            group = order.pop()
            placed += group.placed[: count - len(placed)]
            waiting += group.more
        elif waiting:
            placed += waiting.pop(int(rng.integers(len(waiting))))[: count - len(placed)]
        else:
            raise ValueError(f"a room has no place for {count} objects")
    return placed


def _middle(rng: Rng, designs: Designs, size: Size, centre: Vector) -> Group:
    def made(rng: Rng) -> Thing:
        return furniture.table(rng, float(rng.uniform(1.3, 1.6)), float(rng.uniform(0.85, 0.95)), _DESK[2])

    table = Placed(
        designs.pick(rng, made, "table"), centre, float(rng.uniform(-0.15, 0.15) + rng.integers(2) * np.pi / 2)
    )
    chair = designs.pick(rng, furniture.chair, "chair")
    y = table.thing.size[1] / 2 + 0.14
    seats = [(x, side * y, 0.0 if side > 0 else np.pi) for side in (1, -1) for x in (-0.32, 0.32)]
    chairs = [table.local((x, y, 0.0), chair, turn + float(rng.uniform(-0.2, 0.2))) for x, y, turn in seats]
    rug = designs.pick(rng, lambda rng: furniture.rug(rng, 0.55 * size[0], 0.45 * size[1]), "rug")
    return Group([table, *chairs], [[Placed(rug, centre)], *_on_top(rng, designs, table, _grid(table.thing))])


def _grid(table: Thing) -> list[tuple[float, float]]:
    width, depth, _ = table.size
    return [(x * (width / 2 - 0.2), y * depth / 4) for x in (-1.0, -0.33, 0.33, 1.0) for y in (-1, 1)]


def _on_top(rng: Rng, designs: Designs, table: Placed, spots: list[tuple[float, float]]) -> Iterator[Bundle]:
    kinds: list[tuple[str, Make]] = [
        *(("cup", small_things.cup), ("plate", small_things.plate), ("book", small_things.book)),
        *(("bowl", small_things.bowl), ("vase", small_things.vase), ("fruit", small_things.fruit)),
    ]
    for x, y in spots:
        name, make = kinds[int(rng.integers(len(kinds)))]
        turn = float(rng.uniform(-np.pi, np.pi))
        placed = table.local((x, y, table.thing.size[2]), designs.pick(rng, make, name), turn)
        if name == "bowl":
            fruit = designs.pick(rng, small_things.fruit, "fruit")
            yield [placed, *(placed.local((dx, 0.0, 0.03), fruit) for dx in (-0.045, 0.045))]
        else:
            yield [placed]


def _along_walls(
    rng: Rng, designs: Designs, size: Size, centre: Vector, doorways: Mapping[int, float]
) -> Iterator[Group]:
    for side in range(4):
        wall = Wall(size, side, centre)
        start, end = _CORNER - wall.length / 2, wall.length / 2 - _CORNER
        if side in doorways:
            # The shorter stretch beside a doorway is where its leaf stands open.
            along = doorways[side]
            start, end = (start, along - _BESIDE_DOOR) if along > 0 else (along + _BESIDE_DOOR, end)
        yield from _stretch(rng, designs, wall, start, end)


def _stretch(rng: Rng, designs: Designs, wall: Wall, start: float, end: float) -> Iterator[Group]:
    """Groups side by side."""
    order = [_GROUPS[index] for index in rng.permutation(len(_GROUPS))]
    for width, group in order:
        if start + width <= end:
            yield group(rng, designs, wall, start + width / 2)
            start += width + _BETWEEN


def _sofa(rng: Rng, designs: Designs, wall: Wall, along: float) -> Group:
    sofa = wall.stand(along, designs.pick(rng, furniture.sofa, "sofa"))
    pillow, picture = designs.pick(rng, furniture.pillow, "pillow"), designs.pick(rng, small_things.picture, "picture")
    reach = sofa.thing.size[0] / 2 - 0.45
    pillows = [[sofa.local((x, 0.11, 0.4), pillow, turn)] for x, turn in ((-reach, 0.15), (reach, -0.2))]
    return Group([sofa], [*pillows, *([wall.hang(along + x, 1.35, picture)] for x in (-0.45, 0.45))])


def _bookcase(rng: Rng, designs: Designs, wall: Wall, along: float) -> Group:
    case = wall.stand(along, designs.pick(rng, furniture.bookcase, "bookcase"))
    kinds: list[tuple[str, Make]] = [
        *(("books", lambda rng: small_things.row_of_books(rng, float(rng.uniform(0.2, 0.28)))),) * 2,
        *(("globe", small_things.globe), ("cup", small_things.cup), ("bowl", small_things.bowl)),
    ]
    items = []
    for height in furniture.bookcase_boards():
        for x in (-0.35, 0.0, 0.35):
            name, make = kinds[int(rng.integers(len(kinds)))]
            items.append([case.local((x, -0.02, height), designs.pick(rng, make, name))])
    return Group([case], items)


def _cabinet(rng: Rng, designs: Designs, wall: Wall, along: float) -> Group:
    def made(rng: Rng) -> Thing:
        return furniture.cabinet(
            rng, float(rng.uniform(1.2, 1.4)), float(rng.uniform(0.55, 0.8)), int(rng.integers(2, 4))
        )

    cabinet = wall.stand(along, designs.pick(rng, made, "cabinet"))
    width, _, height = cabinet.thing.size
    lamp = designs.pick(rng, furniture.table_lamp, "table lamp")
    lamps = [[cabinet.local((x, 0.05, height), lamp)] for x in (0.15 - width / 2, width / 2 - 0.15)]
    if rng.random() < 0.5:
        between = [[cabinet.local((0.0, 0.05, height), designs.pick(rng, small_things.television, "television"))]]
    else:
        between = list(_on_top(rng, designs, cabinet, [(-0.2, 0.0), (0.2, 0.0)]))
    clock = wall.hang(along, 1.9, designs.pick(rng, small_things.clock, "clock"))
    return Group([cabinet], [*lamps, *between, [clock]])


def _desk(rng: Rng, designs: Designs, wall: Wall, along: float) -> Group:
    desk = wall.stand(along, designs.pick(rng, lambda rng: furniture.table(rng, *_DESK), "desk"))
    chair = desk.local((0.0, -_DESK[1] / 2 - 0.1, 0.0), designs.pick(rng, furniture.chair, "chair"), np.pi)
    lamp = desk.local((0.45, 0.1, _DESK[2]), designs.pick(rng, furniture.table_lamp, "table lamp"))
    picture = wall.hang(along, 1.35, designs.pick(rng, small_things.picture, "picture"))
    return Group([desk, chair], [[lamp], [picture], *_on_top(rng, designs, desk, [(-0.4, 0.0), (0.0, 0.0)])])


def _in_corners(rng: Rng, designs: Designs, size: Size, centre: Vector) -> Iterator[Group]:
    x, y = size[0] / 2 - 0.4, size[1] / 2 - 0.4
    corners = [(centre[0] + a * x, centre[1] + b * y, 0.0) for a in (-1, 1) for b in (-1, 1)]
    first, second, third, fourth = (corners[index] for index in rng.permutation(4))
    crate = designs.pick(rng, furniture.crate, "crate")
    yield Group([Placed(designs.pick(rng, furniture.plant, "plant"), first, float(rng.uniform(-np.pi, np.pi)))])
    yield Group([Placed(designs.pick(rng, furniture.floor_lamp, "floor lamp"), second)])
    yield Group([Placed(crate, third, float(rng.uniform(-0.3, 0.3)))], [[Placed(crate, (*third[:2], 0.37), 0.2)]])
    yield Group([Placed(designs.pick(rng, furniture.ball, "ball"), fourth)])


_GROUPS = ((1.95, _sofa), (1.2, _bookcase), (1.45, _cabinet), (1.25, _desk))
"""How much of a wall each needs, in metres."""
