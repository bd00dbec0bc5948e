"""The formats that splats are written in, by the names that commands have for them."""

from __future__ import annotations

from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

Format = Literal["ply", "compressed-ply", "spz", "splat", "sog", "glb"]
SUFFIXES: dict[Format, str] = {
    "ply": ".ply",
    "compressed-ply": ".compressed.ply",
    "spz": ".spz",
    "splat": ".splat",
    "sog": ".sog",
    "glb": ".glb",
}
WITH_IDS: frozenset[Format] = frozenset({"ply", "glb"})
"""Those that have room for the instance of each Gaussian."""
WITH_DEGREE_4: frozenset[Format] = frozenset({"ply", "spz", "splat"})
"""Those that hold harmonics beyond degree 3, or none at all."""


def check_degree(degree: int, kind: Format) -> None:
    """Raise a ``ProtoSagaError`` if a format cannot hold harmonics of a degree."""
    if degree > 3 and kind not in WITH_DEGREE_4:
        raise ProtoSagaError(
            f"--format {kind} holds spherical harmonics up to degree 3, and this scene has degree {degree}. Formats "
            "that hold it are ply and spz."
        )
