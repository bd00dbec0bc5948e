"""Sheets: every picture stands in its place pixel by pixel, words leave them alone, and files are what they say."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.evaluation.report.sheets import GAP, Block, Format, Row, Sheet, draw_sheet


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Never white, so that what is white is no picture."""
    return np.random.default_rng([height, width, seed]).integers(0, 250, (height, width, 3), np.uint8)


def pixels(sheet: Sheet) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(draw_sheet(sheet))))


def place(picture: np.ndarray, drawn: np.ndarray) -> tuple[int, int]:
    """Row and column of the one place where a picture is."""
    height, width, _ = picture.shape
    corner = (drawn[: -height + 1 or None, : -width + 1 or None] == picture[0, 0]).all(-1)
    found = [
        (row, column)
        for row, column in np.argwhere(corner).tolist()
        if np.array_equal(drawn[row : row + height, column : column + width], picture)
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("heights", "width", "columns", "words"),
    [
        ([20], 20, 1, " "),
        ([48, 30, 64], 64, 3, "memory bank, as it is in the paper"),
        ([90, 90], 33, 4, "a_$x$\\{é"),
        ([40], 90, 2, ""),
    ],
)
def test_pictures_stand_in_rows_and_columns_with_white_between(
    heights: list[int], width: int, columns: int, words: str
) -> None:
    pictures = [
        [noise(height, width, 9 * row + column) for column in range(columns)] for row, height in enumerate(heights)
    ]
    block = Block([words + "x"] * columns, [Row(row, words) for row in pictures])
    drawn = pixels(Sheet([block], [words]))
    places = np.array([[place(picture, drawn) for picture in row] for row in pictures])
    tops, lefts = places[..., 0], places[..., 1]
    assert (tops == tops[:, :1]).all() and (lefts == lefts[:1]).all()
    assert (np.diff(lefts, axis=1) == width + GAP).all()
    assert (np.diff(tops, axis=0) == np.array(heights[:-1])[:, None] + GAP).all()
    assert lefts.max() + width + GAP == drawn.shape[1]
    for left in lefts[0]:
        # However long the captions are: none runs into its neighbour's column or out of the sheet.
        assert (drawn[: tops.min(), left + width : left + width + GAP] == 255).all()


def test_narrow_pictures_stand_in_the_middle_and_every_block_has_its_captions() -> None:
    wide, narrow, below = noise(40, 80), noise(60, 30), noise(40, 80, seed=1)
    drawn = pixels(Sheet([Block(["one", "two"], [Row([wide, narrow])]), Block(["three"], [Row([below])])]))
    (top, left), (_, middle), (under, same) = (place(picture, drawn) for picture in (wide, narrow, below))
    assert middle == left + 80 + GAP + 25 and same == left
    between = drawn[top + 60 + GAP : under, left : left + 80]
    assert (between < 128).any() and (drawn[:top, left : left + 80] < 128).any()


def test_marks_are_red_above_and_notes_grey_below() -> None:
    picture = noise(60, 300)
    bare = pixels(Sheet([Block(["photo"], [Row([picture])])]))
    drawn = pixels(Sheet([Block(["photo"], [Row([picture])])], ["a note"], ["STAND-IN"]))
    top, _ = place(picture, drawn)
    red = (drawn[..., 0] > 180) & (drawn[..., 1] < 100)
    assert red[:top].any() and place(picture, bare)[0] < top and not (bare[:8, :, 0] < 250).any()
    below = drawn[top + 60 :]
    assert (below < 150).any() and (np.ptp(below.astype(int), axis=-1) == 0).all()


@pytest.mark.parametrize("format", ["png", "pdf", "svg"])
def test_the_same_sheet_gives_the_same_bytes(format: Format) -> None:
    sheet = Sheet([Block(["a", "b"], [Row([noise(30, 40), noise(30, 40, 1)], "view")])], ["note"])
    content = draw_sheet(sheet, format)
    assert content == draw_sheet(sheet, format)
    if format == "pdf":
        assert content.startswith(b"%PDF") and b"/Type3" not in content
    if format == "svg":
        images = ElementTree.fromstring(content).iter("{http://www.w3.org/2000/svg}image")
        assert len(list(images)) == 2


@pytest.mark.parametrize(
    "blocks", [[], [Block(["a"], [])], [Block(["a", "b"], [Row([noise(9, 9)])])], [Block([], [Row([])])]]
)
def test_rows_need_one_picture_a_column(blocks: list[Block]) -> None:
    with pytest.raises(ValueError, match="one picture a column"):
        draw_sheet(Sheet(blocks))
