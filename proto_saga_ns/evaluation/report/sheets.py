"""Sheets: pictures in rows and columns on white, with captions over them, as files for papers and slides.

Lengths are pixels of the PNG, in which every pixel of a picture is one of the sheet. PDF and SVG have the same layout,
the same pictures and captions as glyphs, ``DPI`` pixels to an inch.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from PIL import Image

Format = Literal["png", "pdf", "svg"]
Picture = UInt8[np.ndarray, "H W 3"]

DPI = 100
GAP = 8
SMALLEST_TEXT, LARGEST_TEXT = 11.0, 26.0
"""Height of the captions' font; narrower columns have smaller ones only if a caption would not fit."""
RED, GREY, BLACK = "#c92a2a", "#555555", "#000000"


@dataclass(frozen=True)
class Row:
    """Pictures of one height side by side.

    Attributes:
        name: beside them; empty for none.
    """

    pictures: Sequence[UInt8[np.ndarray, "_H _W 3"]]
    name: str = ""


@dataclass(frozen=True)
class Block:
    """Rows with captions of their own over the columns."""

    columns: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Sheet:
    """Blocks below each other.

    Attributes:
        notes: lines of small print below.
        marks: the same in red, above all: what stand-ins say about themselves.
    """

    blocks: Sequence[Block]
    notes: Sequence[str] = ()
    marks: Sequence[str] = ()


@dataclass(frozen=True)
class _Placed:
    """A picture and where its top left corner is."""

    picture: Picture
    left: int
    top: int


@dataclass(frozen=True)
class _Words:
    """Text in a font of so many pixels, centred at a point; upwards from the bottom if it is ``upright``."""

    text: str
    x: float
    y: float
    size: float
    color: str = BLACK
    is_upright: bool = False


def draw_sheet(sheet: Sheet, format: Format = "png") -> bytes:
    """A file with the sheet; the same sheet gives the same bytes.

    Raises:
        ValueError: no picture at all, or a row that has not one picture a column.
    """
    _check(sheet)
    layout = _Layout(sheet)
    figure = _draw(layout)
    return _png(figure) if format == "png" else _vector(figure, format)


class _Layout:
    """Where everything goes."""

    def __init__(self, sheet: Sheet) -> None:
        rows = [row for block in sheet.blocks for row in block.rows]
        self._cell = max(picture.shape[1] for row in rows for picture in row.pictures)
        captions = [(caption, self._cell) for block in sheet.blocks for caption in block.columns]
        wanted = min(max(self._cell / 18, SMALLEST_TEXT), LARGEST_TEXT)
        self._size = _fitting(wanted, captions)
        self._name_size = _fitting(0.85 * self._size, [(row.name, _height(row)) for row in rows])
        self._line = round(1.6 * self._size)
        has_names = any(row.name for row in rows)
        self._left = GAP + (round(1.6 * self._name_size) if has_names else 0)
        columns = max(len(block.columns) for block in sheet.blocks)
        self.width = self._left + columns * (self._cell + GAP)
        self.pictures: list[_Placed] = []
        self.words: list[_Words] = []
        self._y = GAP
        self._print(sheet.marks, RED)
        for index, block in enumerate(sheet.blocks):
            self._y += GAP if index else 0
            self._block(block)
        self._print(sheet.notes, GREY)
        self.height = self._y

    def _block(self, block: Block) -> None:
        for column, caption in enumerate(block.columns):
            x = self._left + column * (self._cell + GAP) + self._cell / 2
            self.words.append(_Words(caption, x, self._y + self._line / 2, self._size))
        self._y += self._line
        for row in block.rows:
            self._row(row)

    def _row(self, row: Row) -> None:
        height = _height(row)
        if row.name:
            middle = GAP / 2 + 0.7 * self._name_size
            self.words.append(_Words(row.name, middle, self._y + height / 2, self._name_size, is_upright=True))
        for column, picture in enumerate(row.pictures):
            left = self._left + column * (self._cell + GAP) + (self._cell - picture.shape[1]) // 2
            self.pictures.append(_Placed(picture, left, self._y))
        self._y += height + GAP

    def _print(self, lines: Sequence[str], color: str) -> None:
        size = _fitting(0.8 * self._size, [(line, self.width - 2 * GAP) for line in lines])
        for line in lines:
            self.words.append(_Words(line, self.width / 2, self._y + 0.8 * size, size, color))
            self._y += round(1.6 * size)


def _fitting(wanted: float, texts: Sequence[tuple[str, float]]) -> float:
    """The wanted font size, or the largest at which every text has its room."""
    return min([wanted, *(wanted * room / _length(text, wanted) for text, room in texts if text)])


def _length(text: str, size: float) -> float:
    width, _, _ = TextToPath().get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    return float(width) + size  # a little more than the glyphs, so that neighbours do not touch


def _height(row: Row) -> int:
    return max(picture.shape[0] for picture in row.pictures)


def _check(sheet: Sheet) -> None:
    rows = [(block, row) for block in sheet.blocks for row in block.rows]
    if not rows or not all(block.columns and len(row.pictures) == len(block.columns) for block, row in rows):
        raise ValueError("a sheet needs a row at least, and rows need one picture a column")


def _draw(layout: _Layout) -> Figure:
    width, height = layout.width, layout.height
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    for placed in layout.pictures:
        high, wide = placed.picture.shape[:2]
        box = (placed.left / width, 1 - (placed.top + high) / height, wide / width, high / height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        axes.imshow(placed.picture, interpolation="none", aspect="auto")
    for words in layout.words:
        figure.text(
            *(words.x / width, 1 - words.y / height, words.text),
            fontsize=words.size * 72 / DPI,
            color=words.color,
            rotation=90 if words.is_upright else 0,
            ha="center",
            va="center_baseline" if not words.is_upright else "center",
            parse_math=False,
        )
    return figure


def _png(figure: Figure) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _vector(figure: Figure, format: Literal["pdf", "svg"]) -> bytes:
    buffer = io.BytesIO()
    # Type 42: publishers refuse matplotlib's Type 3 fonts. The rest keeps times and chance out of the file.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "proto-saga"}):
        dates = {"CreationDate": None} if format == "pdf" else {"Date": None}
        figure.savefig(buffer, format=format, metadata=dates)
    return buffer.getvalue()
