"""How an object is shown to the protocols that choose it in one view. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from proto_saga_ns.recognition.granularity import OBJECTS

Click = tuple[float, float]
"""Column and row of a pixel, from the upper left corner of the rendered view."""


@dataclass(frozen=True)
class Prompt:
    """How an object is shown.

    Attributes:
        reference: name of the view; None for the one that the layout of the masks says, or the first that has a mask.
        clicks: on the object. Without any, its mask or its scribbles in the reference view are taken.
        negative_clicks: beside the object.
        granularity: of the level, for clicks and scribbles; a mask finds its level.
    """

    reference: str | None = None
    clicks: tuple[Click, ...] = ()
    negative_clicks: tuple[Click, ...] = ()
    granularity: float = OBJECTS
