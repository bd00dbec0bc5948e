"""What stands outside: trees, stones, benches, bins, sheds, and the land itself."""

from __future__ import annotations

import numpy as np

from proto_saga_ns.evaluation.standins.furniture import FABRICS, IRON, LIGHT, Rng, fabric, pick, wood
from proto_saga_ns.evaluation.standins.shapes import Mesh, box, cylinder, ellipsoid, joined, quad, turned_solid
from proto_saga_ns.evaluation.standins.textures import Color, Paint, noise
from proto_saga_ns.evaluation.standins.things import Part, Thing

_BARK = Paint((0.36, 0.26, 0.18), "wood", scale=0.1)
_GREENS: tuple[Color, ...] = ((0.20, 0.42, 0.16), (0.30, 0.48, 0.18), (0.16, 0.34, 0.22), (0.50, 0.46, 0.16))
_STONES: tuple[Color, ...] = ((0.55, 0.53, 0.50), (0.42, 0.41, 0.42), (0.62, 0.56, 0.46))
_HILL_SIDES = 72


def ground(rng: Rng, reach: float) -> Thing:
    """A meadow: flat, as far as the hills."""
    grass = Paint((0.34, 0.48, 0.20), "speckles", (0.46, 0.52, 0.24), float(rng.uniform(0.25, 0.5)))
    return Thing("ground", (Part("grass", quad((-reach, -reach, 0), (2 * reach, 0, 0), (0, 2 * reach, 0)), grass),))


def hills(rng: Rng, radius: float) -> Thing:
    """A range of hills all around, at a distance in metres."""
    angles = 2 * np.pi * np.arange(_HILL_SIDES) / _HILL_SIDES
    phases = rng.uniform(0, 2 * np.pi, 4)
    frequencies = np.array([[3], [5], [8], [13]])
    waves = np.sin(frequencies * angles + phases[:, None]) / frequencies
    tops = 0.11 * radius * (1 + waves.sum(0))
    rings = [(radius, 0 * angles), (1.15 * radius, 0.6 * tops.clip(1)), (1.4 * radius, tops.clip(2))]
    corners = np.stack([np.stack([r * np.cos(angles), r * np.sin(angles), z], -1) for r, z in rings])
    row, column = np.meshgrid(np.arange(len(rings) - 1), np.arange(_HILL_SIDES), indexing="ij")
    here, beside = row * _HILL_SIDES + column, row * _HILL_SIDES + (column + 1) % _HILL_SIDES
    faces = [[here, beside, beside + _HILL_SIDES], [here, beside + _HILL_SIDES, here + _HILL_SIDES]]
    mesh = Mesh(corners.reshape(-1, 3), np.concatenate([np.stack(f, -1).reshape(-1, 3) for f in faces]))
    forest = Paint((0.30, 0.42, 0.30), "speckles", (0.42, 0.50, 0.38), 6.0)
    return Thing("hills", (Part("slopes", mesh, forest),))


def tree(rng: Rng) -> Thing:
    """A tree of 3 to 5 metres."""
    height, spread = float(rng.uniform(1.2, 2.0)), float(rng.uniform(1.4, 2.2))
    tops = [
        ellipsoid(spread * k, spread * k, spread * 0.8 * k).moved(
            (0.3 * spread * np.cos(a), 0.3 * spread * np.sin(a), z)
        )
        for k, a, z in zip(
            (0.8, 0.7, 0.65), rng.uniform(0, 2 * np.pi, 3), height - 0.2 + 0.3 * np.arange(3), strict=True
        )
    ]
    leaves = Paint(pick(rng, _GREENS), "speckles", (0.52, 0.60, 0.26), 0.16)
    return Thing("tree", (Part("trunk", cylinder(0.11, height + 0.3), _BARK), Part("crown", joined(tops), leaves)))


def fir(rng: Rng) -> Thing:
    """A fir of about 3 metres."""
    height = float(rng.uniform(2.2, 3.4))
    tiers = [
        turned_solid([(0, 0), (0.75 - 0.17 * k, 0), (0, 0.45 * height)]).moved((0, 0, 0.3 + 0.22 * height * k))
        for k in range(3)
    ]
    needles = Paint((0.14, 0.32, 0.20), "speckles", (0.24, 0.42, 0.24), 0.12)
    return Thing("fir", (Part("trunk", cylinder(0.09, 0.6), _BARK), Part("branches", joined(tiers), needles)))


def bush(rng: Rng) -> Thing:
    """A low bush."""
    size = float(rng.uniform(0.5, 0.9))
    balls = [
        ellipsoid(size * 0.8, size * 0.8, size * 0.7).moved((0.3 * size * np.cos(a), 0.3 * size * np.sin(a), 0.0))
        for a in (0.3, 2.4, 4.5)
    ]
    return Thing("bush", (Part("leaves", joined(balls), Paint(pick(rng, _GREENS), "speckles", scale=0.07)),))


def stone(rng: Rng) -> Thing:
    """A stone of an uneven shape."""
    size = rng.uniform((0.3, 0.25, 0.2), (0.7, 0.5, 0.45))
    mesh = ellipsoid(*(float(value) for value in size))
    bumps = 1 + 0.35 * (noise(mesh.vertices * 5 + rng.uniform(0, 30, 3)) - 0.5)
    uneven = Mesh(mesh.vertices * bumps[:, None] * (1, 1, 0.9), mesh.faces)
    return Thing("stone", (Part("stone", uneven, Paint(pick(rng, _STONES), "speckles", scale=0.05)),))


def bench(rng: Rng) -> Thing:
    """A bench with a back."""
    paint, width = wood(rng), float(rng.uniform(1.2, 1.6))
    slats = joined([box(width, 0.1, 0.03).moved((0, y, 0.42)) for y in (-0.16, -0.04, 0.08)])
    back = joined([box(width, 0.03, 0.1).moved((0, 0.18, z)) for z in (0.56, 0.72)])
    sides = [box(0.05, 0.42, 0.42).moved((side * (width / 2 - 0.15), 0, 0)) for side in (-1, 1)]
    posts = [box(0.05, 0.04, 0.42).moved((side * (width / 2 - 0.15), 0.2, 0.42)) for side in (-1, 1)]
    frame = Part("frame", joined([*sides, *posts]), Paint(IRON))
    return Thing("bench", (Part("seat", slats, paint), Part("back", back, paint), frame))


def bin_with_lid(rng: Rng) -> Thing:
    """A rubbish bin."""
    color = pick(rng, FABRICS)
    body = turned_solid([(0, 0), (0.2, 0), (0.26, 0.7), (0, 0.7)])
    lid = turned_solid([(0.28, 0.7), (0.28, 0.74), (0.1, 0.84), (0, 0.84)])
    return Thing("bin", (Part("body", body, Paint(color, "stripes", scale=0.1)), Part("lid", lid, Paint(IRON))))


def barrel(rng: Rng) -> Thing:
    """A wooden barrel with hoops."""
    body = turned_solid([(0, 0), (0.24, 0), (0.31, 0.4), (0.24, 0.8), (0, 0.8)])
    hoops = joined([turned_solid([(r, z), (r, z + 0.05)]) for r, z in ((0.275, 0.14), (0.28, 0.6))])
    return Thing("barrel", (Part("staves", body, wood(rng)), Part("hoops", hoops, Paint(IRON))))


def lamp_post(rng: Rng) -> Thing:
    """A street lamp of 3 metres."""
    foot = turned_solid([(0, 0), (0.14, 0), (0.12, 0.25), (0.05, 0.3), (0.04, 2.6), (0, 2.6)])
    cap = turned_solid([(0.2, 0), (0, 0.15)]).moved((0, 0, 2.9))
    del rng
    lantern = Part("lantern", cylinder(0.14, 0.3).moved((0, 0, 2.6)), Paint(LIGHT, "glow"))
    return Thing("lamp post", (Part("post", foot, Paint(IRON)), lantern, Part("cap", cap, Paint(IRON))))


def post_box(rng: Rng) -> Thing:
    """A letter box on a post."""
    paint = Paint(pick(rng, FABRICS), "plain", scale=0.1)
    flag = box(0.02, 0.12, 0.1).moved((0.2, 0, 1.2))
    return Thing(
        "post box",
        (
            Part("post", box(0.09, 0.09, 0.95), wood(rng)),
            Part("box", box(0.36, 0.26, 0.28).moved((0, 0, 0.95)), paint),
            Part("flag", flag, Paint((0.8, 0.2, 0.15))),
        ),
    )


def cone(rng: Rng) -> Thing:
    """A traffic cone."""
    del rng
    orange = Paint((0.88, 0.38, 0.10), "plain", scale=0.1)
    body = turned_solid([(0.16, 0.03), (0.03, 0.6), (0, 0.6)])
    band = turned_solid([(0.118, 0.25), (0.087, 0.38)])
    base = box(0.38, 0.38, 0.03)
    return Thing(
        "cone", (Part("base", base, orange), Part("body", body, orange), Part("band", band, Paint((0.92, 0.92, 0.9))))
    )


def tub(rng: Rng) -> Thing:
    """A tub of flowers."""
    body = turned_solid([(0, 0), (0.22, 0), (0.3, 0.34), (0.26, 0.34), (0, 0.28)])
    places = [
        (0.17 * k * np.cos(a), 0.17 * k * np.sin(a))
        for k, a in zip((0, 1, 1, 1, 1, 1), np.arange(6) * 1.26, strict=True)
    ]
    green = joined([ellipsoid(0.24, 0.24, 0.22).moved((x, y, 0.26)) for x, y in places])
    bloom = joined([ellipsoid(0.1, 0.1, 0.08).moved((x, y, 0.45)) for x, y in places])
    return Thing(
        "tub",
        (
            Part("tub", body, Paint(pick(rng, _STONES), "speckles", scale=0.06)),
            Part("leaves", green, Paint(pick(rng, _GREENS), "speckles", scale=0.06)),
            Part("blossoms", bloom, Paint(pick(rng, FABRICS[:5]), "speckles", (0.92, 0.9, 0.86), 0.03)),
        ),
    )


def picnic_table(rng: Rng) -> Thing:
    """A table with a bench on either side, all of one piece."""
    paint, width = wood(rng), 1.6
    boards = joined([box(width, 0.2, 0.04).moved((0, y, 0.72)) for y in (-0.32, -0.105, 0.105, 0.32)])
    seats = joined([box(width, 0.24, 0.04).moved((0, y, 0.42)) for y in (-0.72, 0.72)])
    trestle = [box(0.06, 1.5, 0.06).moved((x, 0, 0.36)) for x in (-0.55, 0.55)]
    legs = [box(0.07, 0.07, 0.72).moved((x, y, 0)) for x in (-0.55, 0.55) for y in (-0.45, 0.45)]
    return Thing(
        "picnic table",
        (Part("top", boards, paint), Part("seats", seats, paint), Part("frame", joined([*trestle, *legs]), paint)),
    )


def shed(rng: Rng) -> Thing:
    """A shed with a roof."""
    width, depth, height = (float(rng.uniform(*span)) for span in ((3.0, 5.0), (2.5, 3.5), (2.2, 2.8)))
    x, y, top = width / 2 + 0.3, depth / 2 + 0.3, height + 1.1
    roof = joined(
        [
            quad((-x, -y, height - 0.1), (2 * x, 0, 0), (0, y, top - height)),
            quad((-x, y, height - 0.1), (2 * x, 0, 0), (0, -y, top - height)),
        ]
    )
    gables = Mesh(
        np.array(
            [
                (side * width / 2, k * depth / 2, z)
                for side in (-1, 1)
                for k, z in ((-1, height), (1, height), (0, top - 0.2))
            ]
        ),
        np.array([(0, 1, 2), (3, 4, 5)]),
    )
    walls = Paint(pick(rng, FABRICS), "planks", scale=0.3)
    gate = box(1.0, 0.06, 1.9).moved((0.3 * width, -depth / 2, 0))
    return Thing(
        "shed",
        (
            Part("walls", joined([box(width, depth, height), gables]), walls),
            Part("roof", roof, Paint((0.45, 0.25, 0.2), "stripes", scale=0.35)),
            Part("gate", gate, fabric(rng, patterned=False)),
        ),
    )
