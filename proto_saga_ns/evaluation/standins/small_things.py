"""What lies on tables, stands on boards and hangs on walls."""

from __future__ import annotations

import numpy as np

from proto_saga_ns.evaluation.standins.furniture import FABRICS, IRON, WHITE, Rng, fabric, pick, wood
from proto_saga_ns.evaluation.standins.shapes import box, cylinder, ellipsoid, joined, ring, turned_solid
from proto_saga_ns.evaluation.standins.textures import Color, Paint
from proto_saga_ns.evaluation.standins.things import Part, Thing

FRUITS: tuple[Color, ...] = ((0.75, 0.13, 0.10), (0.90, 0.52, 0.10), (0.45, 0.62, 0.16))
SKY: Color = (0.78, 0.90, 1.0)


def cup(rng: Rng) -> Thing:
    """A cup with a handle."""
    paint = Paint(pick(rng, (WHITE, *FABRICS)), "plain", scale=0.04)
    body = turned_solid([(0, 0), (0.04, 0), (0.05, 0.1), (0.043, 0.1), (0.036, 0.012), (0, 0.012)])
    return Thing("cup", (Part("body", body, paint), Part("handle", ring(0.03, 0.014).moved((0.062, 0, 0.05)), paint)))


def plate(rng: Rng) -> Thing:
    """A plate with a coloured rim."""
    rim = turned_solid([(0.085, 0.013), (0.13, 0.024), (0.125, 0.017), (0.06, 0)])
    well = turned_solid([(0, 0.012), (0.085, 0.013)])
    return Thing("plate", (Part("well", well, Paint(WHITE)), Part("rim", rim, fabric(rng, patterned=False))))


def bowl(rng: Rng) -> Thing:
    """A bowl; fruit lies in it 3 cm above the ground."""
    inner = [(0.13, 0.085), (0.10, 0.04), (0.05, 0.018), (0, 0.015)]
    body = turned_solid([(0, 0), (0.05, 0), (0.11, 0.04), (0.14, 0.085), *inner])
    return Thing("bowl", (Part("bowl", body, fabric(rng)),))


def fruit(rng: Rng) -> Thing:
    """A round fruit with a stem."""
    paint = Paint(pick(rng, FRUITS), "speckles", scale=0.02)
    stem = cylinder(0.004, 0.02).moved((0, 0, 0.075))
    return Thing("fruit", (Part("flesh", ellipsoid(0.085, 0.085, 0.08), paint), Part("stem", stem, Paint(IRON))))


def vase(rng: Rng) -> Thing:
    """A vase with flowers."""
    profile = [(0, 0), (0.045, 0), (0.07, 0.07), (0.03, 0.16), (0.04, 0.2), (0.033, 0.2), (0.02, 0.15), (0, 0.1)]
    stems, blossoms = [], []
    for turn in np.arange(5) * 1.26:
        angle = float(rng.uniform(0.1, 0.45))
        stems.append(cylinder(0.004, 0.24).tilted(angle).turned(turn).moved((0, 0, 0.12)))
        reach = 0.24 * np.sin(angle)
        top = (reach * np.cos(turn), reach * np.sin(turn), 0.1 + 0.24 * np.cos(angle))
        blossoms.append(ellipsoid(0.075, 0.075, 0.06).moved(top))
    return Thing(
        "vase",
        (
            Part("vase", turned_solid(profile), fabric(rng)),
            Part("stems", joined(stems), Paint((0.2, 0.42, 0.18))),
            Part("blossoms", joined(blossoms), Paint(pick(rng, FABRICS[:5]), "speckles", WHITE, 0.02)),
        ),
    )


def book(rng: Rng) -> Thing:
    """A book that lies flat."""
    cover = box(0.16, 0.23, 0.004)
    pages = Part("pages", box(0.152, 0.222, 0.026).moved((0.002, 0, 0.004)), Paint(WHITE, "stripes", scale=0.008))
    return Thing("book", (Part("cover", joined([cover, cover.moved((0, 0, 0.03))]), fabric(rng)), pages))


def row_of_books(rng: Rng, width: float) -> Thing:
    """Books side by side on a board, each a part."""
    parts, x = [], -width / 2
    while x < width / 2 - 0.06:
        thick, depth, height = (float(rng.uniform(*span)) for span in ((0.025, 0.06), (0.16, 0.22), (0.2, 0.3)))
        paint = Paint(pick(rng, FABRICS), "plain", scale=0.05)
        parts.append(
            Part(f"book {len(parts) + 1}", box(thick - 0.003, depth, height).moved((x + thick / 2, 0, 0)), paint)
        )
        x += thick
    return Thing("books", tuple(parts))


def globe(rng: Rng) -> Thing:
    """A globe on a foot."""
    sea = Paint((0.20, 0.42, 0.66), "speckles", (0.45, 0.56, 0.26), 0.07)
    foot = turned_solid([(0, 0), (0.07, 0), (0.06, 0.02), (0.012, 0.03), (0.012, 0.08), (0, 0.08)])
    return Thing(
        "globe", (Part("foot", foot, wood(rng)), Part("ball", ellipsoid(0.2, 0.2, 0.2).moved((0, 0, 0.07)), sea))
    )


def television(rng: Rng) -> Thing:
    """A television on a stand."""
    screen = Paint((0.05, 0.06, 0.09), "plain", (0.10, 0.13, 0.22), scale=float(rng.uniform(0.2, 0.4)))
    stand = joined([box(0.4, 0.2, 0.015), box(0.06, 0.05, 0.1)])
    return Thing(
        "television",
        (
            Part("stand", stand, Paint(IRON)),
            Part("case", box(0.9, 0.05, 0.54).moved((0, 0, 0.08)), Paint(IRON)),
            Part("screen", box(0.85, 0.052, 0.49).moved((0, -0.002, 0.105)), screen),
        ),
    )


def picture(rng: Rng) -> Thing:
    """A framed picture, its back at y = 0."""
    width, height = (float(rng.uniform(0.45, 0.7)) for _ in range(2))
    canvas = Paint(pick(rng, FABRICS), "speckles", pick(rng, FABRICS), 0.12)
    return Thing(
        "picture",
        (
            Part("frame", box(width, 0.03, height).moved((0, -0.015, 0)), wood(rng)),
            Part("canvas", box(width - 0.09, 0.034, height - 0.09).moved((0, -0.017, 0.045)), canvas),
        ),
    )


def window(rng: Rng) -> Thing:
    """A window with two panes, its back at y = 0."""
    width, height, paint = float(rng.uniform(1.2, 1.6)), 1.1, Paint(WHITE)
    pane = box(width / 2 - 0.09, 0.042, height - 0.12)
    return Thing(
        "window",
        (
            Part("frame", box(width, 0.04, height).moved((0, -0.02, 0)), paint),
            Part("left pane", pane.moved((-width / 4 + 0.02, -0.021, 0.06)), Paint(SKY, "glow")),
            Part("right pane", pane.moved((width / 4 - 0.02, -0.021, 0.06)), Paint(SKY, "glow")),
        ),
    )


def door(rng: Rng) -> Thing:
    """A door with a frame and a handle, its back at y = 0."""
    leaf = Paint(pick(rng, (WHITE, (0.62, 0.42, 0.24))), "wood", scale=0.15)
    posts = [box(0.08, 0.05, 2.1).moved((x, -0.025, 0)) for x in (-0.46, 0.46)]
    frame = joined([*posts, box(1.0, 0.05, 0.08).moved((0, -0.025, 2.02))])
    return Thing(
        "door",
        (
            Part("leaf", box(0.84, 0.03, 2.02).moved((0, -0.015, 0)), leaf),
            Part("frame", frame, Paint((0.8, 0.78, 0.74))),
            Part("handle", box(0.12, 0.05, 0.03).moved((0.32, -0.045, 1.0)), Paint(IRON)),
        ),
    )


def clock(rng: Rng) -> Thing:
    """A clock on the wall, its back at y = 0."""
    upright = -np.pi / 2
    face = cylinder(0.14, 0.03).tilted(upright).turned(np.pi / 2)
    hands = [
        box(0.014, 0.008, length).tilted(angle).moved((0, -0.034, 0.0)) for length, angle in ((0.09, 1), (0.12, -2))
    ]
    rim = ring(0.145, 0.03).moved((0, -0.015, 0))
    return Thing(
        "clock",
        (
            Part("face", face, Paint(WHITE)),
            Part("hands", joined(hands), Paint(IRON)),
            Part("rim", rim, wood(rng)),
        ),
    )
