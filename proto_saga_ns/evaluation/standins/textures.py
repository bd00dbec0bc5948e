"""Colour as a function of the place on an object, so that all views agree on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.ndimage import map_coordinates

Kind = Literal["plain", "wood", "planks", "checks", "stripes", "speckles", "glow"]
Color = tuple[float, float, float]

_KINDS: tuple[Kind, ...] = ("plain", "wood", "planks", "checks", "stripes", "speckles", "glow")
_NOISE_SIZE = 32
_PLANK = (1.4, 0.14)
"""Length and width of a floor board in metres."""


@dataclass(frozen=True)
class Paint:
    """How a part looks.

    Attributes:
        color: red, green, blue in [0, 1].
        kind: pattern; glow is plain and shines by itself.
        second: the pattern's other colour; None takes a darker ``color``.
        scale: metres from one repetition of the pattern to the next.
    """

    color: Color
    kind: Kind = "plain"
    second: Color | None = None
    scale: float = 0.1

    @property
    def other(self) -> Color:
        """The pattern's other colour."""
        return self.second or shade(self.color, 0.7)


def shade(color: Color, factor: float) -> Color:
    """A colour made brighter or darker."""
    red, green, blue = (min(1.0, factor * value) for value in color)
    return red, green, blue


class Painter:
    """The paints of many parts, applied to many points at once."""

    def __init__(self, paints: Sequence[Paint]) -> None:
        self._kinds = np.array([_KINDS.index(paint.kind) for paint in paints])
        self._first = np.array([paint.color for paint in paints])
        self._second = np.array([paint.other for paint in paints])
        self._scales = np.array([paint.scale for paint in paints])

    def colors(self, points: Float[np.ndarray, "N 3"], paint: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N 3"]:
        """Colours in [0, 1].

        Args:
            points: metres, in the frame of each point's object.
            paint: index of each point's paint.
        """
        share = np.zeros(len(points))
        kinds = self._kinds[paint]
        for index, kind in enumerate(_KINDS):
            here = np.flatnonzero(kinds == index)
            if len(here):
                share[here] = _PATTERNS[kind](points[here], self._scales[paint[here], None])
        colors = self._first[paint] + share[:, None] * (self._second - self._first)[paint]
        # A little unevenness everywhere: what is quite flat in colour gives a splat nothing to hold on to.
        uneven = np.where(kinds == _KINDS.index("glow"), 0.0, 0.16)
        return (colors * (1 + uneven * (noise(points * 9.0) - 0.5))[:, None]).clip(0, 1)

    def glows(self, paint: Int[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        """1 where a point shines by itself, else 0."""
        return (self._kinds[paint] == _KINDS.index("glow")).astype(float)


def noise(points: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, " N"]:
    """Smooth random values in [0, 1] with a mean of 0.5; they vary over about a unit."""
    return map_coordinates(_lattice(), points.T, order=1, mode="grid-wrap").astype(float)


@cache
def _lattice() -> Float32[np.ndarray, "S S S"]:
    return np.random.default_rng(20240).random((_NOISE_SIZE,) * 3, dtype=np.float32)


def _plain(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    return 0.5 * noise(points / scale)


def _wood(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    """Grain along x."""
    stretched = points / scale * np.array([0.35, 3.0, 3.0])
    return 0.5 * noise(stretched) + 0.5 * noise(stretched * 3.1 + 7.0)


def _planks(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    """Boards along x, each with a shade of its own and a dark joint."""
    length, width = _PLANK
    row = np.floor(points[:, 1] / width)
    along = points[:, 0] / length + 0.37 * row
    board = np.stack([np.floor(along) * 5.3, row * 3.7, 0 * row], -1) + 0.5
    across = points[:, 1] / width - row
    is_joint = (np.abs(across - 0.5) > 0.46) | (np.abs(along - np.floor(along) - 0.5) > 0.495)
    return np.where(is_joint, 1.3, 0.55 * noise(board) + 0.45 * _wood(points, scale))


def _checks(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    # The third of a unit keeps faces off the borders of the cells.
    cells = np.floor(points / scale + 1 / 3).sum(-1)
    return np.mod(cells, 2)


def _stripes(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    """Along z on what stands, along y on what lies."""
    along = (points[:, 0] + points[:, 2]) / scale[:, 0]
    return (np.mod(along, 1) < 0.4).astype(float)


def _speckles(points: Float[np.ndarray, "N 3"], scale: Float[np.ndarray, "N 1"]) -> Float[np.ndarray, " N"]:
    return (noise(points / scale) > 0.62).astype(float)


_PATTERNS = {
    "plain": _plain,
    "wood": _wood,
    "planks": _planks,
    "checks": _checks,
    "stripes": _stripes,
    "speckles": _speckles,
    "glow": lambda points, scale: np.zeros(len(points)),
}
