"""How finely a scene is told apart: groups, objects or parts (``levels.py``). Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from proto_saga_ns.errors import ProtoSagaError

LevelName = Literal["group", "object", "part"]
OBJECTS = 0.5
"""The granularity of the instances themselves."""
NAMED: dict[LevelName, float] = {"group": 0.25, "object": OBJECTS, "part": 1.0}


def granularity_of(level: LevelName | float) -> float:
    """A granularity by name, or as it was given.

    Raises:
        ProtoSagaError: it is neither a name nor in [0, 1].
    """
    if isinstance(level, str):
        return NAMED[level]
    if not 0 <= level <= 1:
        raise ProtoSagaError(
            f"--granularity is {level}. Expected group, object, part, or a number from 0 (coarsest) to 1 (finest)."
        )
    return float(level)
