"""What stands on the shelves of a shop: small, side by side, with its front towards -y."""

from __future__ import annotations

from collections.abc import Callable

from proto_saga_ns.evaluation.standins.furniture import FABRICS, IRON, WHITE, Rng, pick
from proto_saga_ns.evaluation.standins.shapes import box, cylinder, turned_solid
from proto_saga_ns.evaluation.standins.textures import Color, Kind, Paint
from proto_saga_ns.evaluation.standins.things import Part, Thing

_TIN = Paint((0.70, 0.70, 0.72))
_GLASS: tuple[Color, ...] = ((0.20, 0.36, 0.22), (0.38, 0.24, 0.14), (0.62, 0.72, 0.76))
_LABELS: tuple[Kind, ...] = ("plain", "stripes", "checks", "speckles")


def carton(rng: Rng) -> Thing:
    """A packet with a label on its front."""
    width, depth, height = (float(rng.uniform(*span)) for span in ((0.07, 0.15), (0.06, 0.12), (0.12, 0.25)))
    label = box(0.7 * width, 0.004, 0.45 * height).moved((0, -depth / 2, 0.3 * height))
    color = Paint(pick(rng, (*FABRICS, WHITE)), "plain", scale=0.05)
    return Thing("packet", (Part("packet", box(width, depth, height), color), Part("label", label, _label(rng))))


def can(rng: Rng) -> Thing:
    """A tin with a label around it."""
    radius, height = float(rng.uniform(0.033, 0.05)), float(rng.uniform(0.09, 0.14))
    band = turned_solid([(radius + 0.001, 0.1 * height), (radius + 0.001, 0.9 * height)])
    return Thing("tin", (Part("tin", cylinder(radius, height), _TIN), Part("label", band, _label(rng))))


def bottle(rng: Rng) -> Thing:
    """A bottle with a label and a cap."""
    radius, height = float(rng.uniform(0.033, 0.045)), float(rng.uniform(0.2, 0.27))
    neck = 0.32 * radius
    body = turned_solid(
        [(0, 0), (radius, 0), (radius, 0.6 * height), (neck, 0.8 * height), (neck, height), (0, height)]
    )
    band = turned_solid([(radius + 0.001, 0.15 * height), (radius + 0.001, 0.5 * height)])
    cap = cylinder(neck + 0.003, 0.03).moved((0, 0, height - 0.025))
    color = Paint(pick(rng, (*_GLASS, *FABRICS[:3])), "plain", scale=0.05)
    return Thing(
        "bottle",
        (
            Part("bottle", body, color),
            Part("label", band, _label(rng)),
            Part("cap", cap, Paint(pick(rng, (WHITE, IRON)))),
        ),
    )


def jar(rng: Rng) -> Thing:
    """A jar with a lid."""
    radius, height = float(rng.uniform(0.035, 0.055)), float(rng.uniform(0.08, 0.14))
    body = turned_solid(
        [(0, 0), (radius, 0), (radius, 0.85 * height), (0.85 * radius, 0.9 * height), (0, 0.9 * height)]
    )
    lid = cylinder(0.9 * radius, 0.15 * height).moved((0, 0, 0.88 * height))
    filling = Paint(pick(rng, FABRICS), "speckles", pick(rng, FABRICS), 0.03)
    return Thing("jar", (Part("jar", body, filling), Part("lid", lid, Paint(pick(rng, (WHITE, IRON, FABRICS[0]))))))


def rack(rng: Rng, width: float, depth: float, boards: tuple[float, ...], height: float) -> Thing:
    """Shelves with a rear.

    Args:
        boards: how high the upper sides of the boards are, in metres.
    """
    paint = Paint(pick(rng, (WHITE, (0.62, 0.64, 0.66), (0.55, 0.42, 0.30))), "plain", scale=0.3)
    thick = 0.025
    sides = [box(thick, depth, height).moved((side * (width - thick) / 2, 0, 0)) for side in (-1, 1)]
    rear = box(width - 2 * thick, 0.02, height).moved((0, depth / 2 - 0.01, 0))
    return Thing(
        "rack",
        (
            *(Part(f"{name} side", mesh, paint) for name, mesh in zip(("left", "right"), sides, strict=True)),
            Part("rear", rear, paint),
            *(
                Part(f"board {i}", box(width - 2 * thick, depth - 0.02, thick).moved((0, -0.01, z - thick)), paint)
                for i, z in enumerate(boards, start=1)
            ),
        ),
    )


def _label(rng: Rng) -> Paint:
    kind = _LABELS[int(rng.integers(len(_LABELS)))]
    return Paint(pick(rng, (*FABRICS, WHITE)), kind, pick(rng, (*FABRICS, WHITE)), float(rng.uniform(0.02, 0.05)))


PRODUCTS: tuple[Callable[[Rng], Thing], ...] = (carton, carton, can, bottle, jar)
