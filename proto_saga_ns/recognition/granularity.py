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


def told_apart(granularity: float) -> str:
    """What has an id of its own at a granularity: groups, objects or parts."""
    if granularity == OBJECTS:
        return "objects"
    return "groups" if granularity < OBJECTS else "parts"


def level_in_words(granularity: float) -> str:
    """For people and files: "objects", "groups (granularity 0.25)", "parts (granularity 1)"."""
    level = told_apart(granularity)
    return level if granularity == OBJECTS else f"{level} (granularity {granularity:g})"
