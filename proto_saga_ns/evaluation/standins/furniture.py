"""Pieces of furniture, made of parts; what varies is drawn from a random generator."""

from __future__ import annotations

import numpy as np

from proto_saga_ns.evaluation.standins.shapes import Mesh, box, cylinder, ellipsoid, joined, turned_solid
from proto_saga_ns.evaluation.standins.textures import Color, Kind, Paint, shade
from proto_saga_ns.evaluation.standins.things import Part, Thing

WOODS: tuple[Color, ...] = ((0.62, 0.42, 0.24), (0.45, 0.28, 0.16), (0.75, 0.58, 0.38), (0.33, 0.21, 0.14))
FABRICS: tuple[Color, ...] = (
    *((0.70, 0.22, 0.18), (0.20, 0.36, 0.58), (0.28, 0.48, 0.32)),
    *((0.82, 0.62, 0.20), (0.48, 0.30, 0.52), (0.72, 0.66, 0.56)),
)
_WEAVES: tuple[Kind, ...] = ("plain", "stripes", "checks")
WHITE, IRON, LIGHT = (0.92, 0.90, 0.86), (0.16, 0.16, 0.18), (1.0, 0.93, 0.76)

Rng = np.random.Generator


def pick(rng: Rng, colors: tuple[Color, ...]) -> Color:
    """One of the colours."""
    return colors[int(rng.integers(len(colors)))]


def wood(rng: Rng) -> Paint:
    """A kind of wood."""
    return Paint(pick(rng, WOODS), "wood", scale=0.12)


def fabric(rng: Rng, *, patterned: bool = True) -> Paint:
    """A cloth."""
    color, kinds = pick(rng, FABRICS), _WEAVES if patterned else _WEAVES[:1]
    return Paint(color, kinds[int(rng.integers(len(kinds)))], scale=float(rng.uniform(0.06, 0.12)))


def table(rng: Rng, width: float, depth: float, height: float) -> Thing:
    """A table with four legs."""
    paint, top = wood(rng), 0.045
    legs = _legs(width - 0.16, depth - 0.16, height - top, 0.07, paint)
    slab = Part("top", box(width, depth, top).moved((0, 0, height - top)), paint)
    apron = Part("apron", box(width - 0.14, depth - 0.14, 0.08).moved((0, 0, height - top - 0.08)), paint)
    return Thing("table", (slab, apron, *legs))


def chair(rng: Rng) -> Thing:
    """A chair with four legs, a seat with a cushion, and a back."""
    paint, cloth = wood(rng), fabric(rng)
    width, depth, seat, top = 0.44, 0.44, 0.44, float(rng.uniform(0.86, 0.98))
    posts = [box(0.04, 0.04, top - seat).moved((x, depth / 2 - 0.02, seat)) for x in (-0.19, 0.19)]
    slats = [box(width - 0.08, 0.02, 0.09).moved((0, depth / 2 - 0.02, z)) for z in (seat + 0.17, top - 0.11)]
    return Thing(
        "chair",
        (
            Part("seat", box(width, depth, 0.035).moved((0, 0, seat - 0.035)), paint),
            Part("cushion", box(width - 0.06, depth - 0.09, 0.045).moved((0, -0.02, seat)), cloth),
            Part("back", joined([*posts, *slats]), paint),
            *_legs(width - 0.06, depth - 0.06, seat - 0.035, 0.04, paint),
        ),
    )


def sofa(rng: Rng) -> Thing:
    """A sofa for two."""
    cloth, width = fabric(rng, patterned=False), float(rng.uniform(1.6, 1.9))
    side = box(0.18, 0.82, 0.58)
    return Thing(
        "sofa",
        (
            Part("base", box(width - 0.36, 0.82, 0.4), cloth),
            Part("back", box(width - 0.36, 0.2, 0.42).moved((0, 0.31, 0.4)), cloth),
            Part("left arm", side.moved((-width / 2 + 0.09, 0, 0)), cloth),
            Part("right arm", side.moved((width / 2 - 0.09, 0, 0)), cloth),
        ),
    )


def pillow(rng: Rng) -> Thing:
    """A pillow that leans back."""
    return Thing("pillow", (Part("pillow", ellipsoid(0.44, 0.16, 0.4), fabric(rng)),))


def bookcase(rng: Rng) -> Thing:
    """An open bookcase; ``bookcase_boards`` tells how high its boards lie."""
    paint = wood(rng)
    width, depth, height = bookcase_size()
    panel = box(0.03, depth, height)
    boards = [
        Part(f"board {index}", box(width - 0.06, depth - 0.02, 0.03).moved((0, -0.01, z - 0.03)), paint)
        for index, z in enumerate([*bookcase_boards(), height], start=1)
    ]
    return Thing(
        "bookcase",
        (
            Part("left side", panel.moved((-width / 2 + 0.015, 0, 0)), paint),
            Part("right side", panel.moved((width / 2 - 0.015, 0, 0)), paint),
            Part("rear", box(width - 0.06, 0.02, height).moved((0, depth / 2 - 0.01, 0)), paint),
            *boards,
        ),
    )


def bookcase_size() -> tuple[float, float, float]:
    """Width, depth and height in metres."""
    return 1.1, 0.34, 1.75


def bookcase_boards() -> tuple[float, ...]:
    """How high the upper sides of the boards are, without the topmost, in metres."""
    return 0.1, 0.5, 0.9, 1.32


def cabinet(rng: Rng, width: float, height: float, drawers: int) -> Thing:
    """A chest of drawers."""
    paint, depth = wood(rng), 0.45
    pitch = (height - 0.08) / drawers
    front = Paint(shade(paint.color, 1.15), "wood", scale=0.12)
    parts = [Part("body", box(width, depth, height), paint)]
    for index in range(drawers):
        board = box(width - 0.06, 0.02, pitch - 0.025).moved((0, -depth / 2 - 0.01, 0.04 + index * pitch))
        parts.append(Part(f"drawer {index + 1}", board, front))
        knob = ellipsoid(0.05, 0.04, 0.05).moved((0, -depth / 2 - 0.03, 0.04 + (index + 0.5) * pitch - 0.04))
        parts.append(Part(f"knob {index + 1}", knob, Paint(IRON)))
    return Thing("cabinet", tuple(parts))


def rug(rng: Rng, width: float, depth: float) -> Thing:
    """A rug with a border."""
    outer, inner = fabric(rng, patterned=False), fabric(rng)
    field = Paint(inner.color, "checks", outer.color, 0.23)
    border = Part("border", box(width, depth, 0.012), outer)
    return Thing("rug", (border, Part("field", box(width - 0.3, depth - 0.3, 0.018), field)))


def floor_lamp(rng: Rng) -> Thing:
    """A lamp that stands on the floor."""
    cover = Paint(LIGHT, "glow") if rng.random() < 0.5 else fabric(rng, patterned=False)
    return Thing(
        "floor lamp",
        (
            Part("foot", cylinder(0.16, 0.03), Paint(IRON)),
            Part("pole", cylinder(0.016, 1.4).moved((0, 0, 0.03)), Paint(IRON)),
            Part("shade", _shade(0.24, 0.15, 0.3).moved((0, 0, 1.32)), cover),
        ),
    )


def table_lamp(rng: Rng) -> Thing:
    """A lamp with a turned foot."""
    foot = turned_solid([(0, 0), (0.08, 0), (0.08, 0.02), (0.03, 0.05), (0.06, 0.13), (0.015, 0.22), (0, 0.22)])
    return Thing(
        "table lamp",
        (
            Part("foot", foot, fabric(rng, patterned=False)),
            Part("shade", _shade(0.15, 0.09, 0.18).moved((0, 0, 0.2)), Paint(LIGHT, "glow")),
        ),
    )


def plant(rng: Rng) -> Thing:
    """A plant in a pot."""
    pot = turned_solid([(0, 0), (0.13, 0), (0.18, 0.32), (0.19, 0.34), (0.16, 0.34), (0.15, 0.3), (0, 0.3)])
    leaves = [_leaf(rng, turn) for turn in np.arange(14) * 2.4]
    green = Paint((0.20, 0.46, 0.20), "speckles", (0.42, 0.62, 0.24), 0.05)
    return Thing(
        "plant",
        (
            Part("pot", pot, fabric(rng, patterned=False)),
            Part("stem", cylinder(0.02, 0.55).moved((0, 0, 0.28)), Paint((0.35, 0.25, 0.15))),
            Part("leaves", joined(leaves), green),
        ),
    )


def crate(rng: Rng) -> Thing:
    """A box with a lid."""
    paint = fabric(rng)
    return Thing(
        "crate",
        (
            Part("body", box(0.4, 0.4, 0.32), paint),
            Part("lid", box(0.42, 0.42, 0.05).moved((0, 0, 0.32)), Paint(paint.other)),
        ),
    )


def stool(rng: Rng) -> Thing:
    """A round stool with a cloth."""
    paint = wood(rng)
    legs = [
        Part(f"leg {i + 1}", cylinder(0.02, 0.44).moved((0.14 * np.cos(a), 0.14 * np.sin(a), 0)), paint)
        for i, a in enumerate((0.5, 2.6, 4.7))
    ]
    return Thing("stool", (Part("seat", cylinder(0.2, 0.06).moved((0, 0, 0.42)), fabric(rng)), *legs))


def ball(rng: Rng) -> Thing:
    """A ball on the floor."""
    size = float(rng.uniform(0.2, 0.3))
    return Thing("ball", (Part("ball", ellipsoid(size, size, size), fabric(rng)),))


def _legs(width: float, depth: float, height: float, thickness: float, paint: Paint) -> list[Part]:
    places = [(x * width / 2, y * depth / 2, 0.0) for x in (-1, 1) for y in (-1, 1)]
    # Upright grain, so that all four do not look alike.
    return [
        Part(f"leg {index}", box(thickness, thickness, height).moved(place), paint)
        for index, place in enumerate(places, start=1)
    ]


def _shade(lower: float, upper: float, height: float) -> Mesh:
    return turned_solid([(lower, 0), (upper, height)])


def _leaf(rng: Rng, turn: float) -> Mesh:
    length = float(rng.uniform(0.3, 0.45))
    leaf = ellipsoid(0.12, 0.015, length).tilted(float(rng.uniform(0.3, 1.25)))
    return leaf.turned(turn).moved((0, 0, float(rng.uniform(0.5, 0.82))))
