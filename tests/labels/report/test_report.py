"""The report's figures, and that page and picture stand alone."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.labels.colors import instance_colors
from proto_saga_ns.labels.overview import ReportStatistics, view_statistics, write_report
from proto_saga_ns.labels.overview.page import COLUMNS, ROWS, contact_sheet, thumbnail


def label_map() -> np.ndarray:
    """Half of 100 x 80 pixels labelled, by a large mask and by two of 4 and 1 pixels."""
    labels = np.zeros((80, 100), np.int32)
    labels[:40], labels[50, :4], labels[60, 0] = 3, 9, 700
    return labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three views: with masks, empty, and without a label map; one has a name that HTML must escape."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in ("a", "b&<i>", "c"):
        Image.new("RGB", (100, 80), (10, 200, 90)).save(tmp_path / "images" / f"{name}.png")
    write_label_map(tmp_path / "masks" / "a.png", label_map())
    write_label_map(tmp_path / "masks" / "b&<i>.png", np.zeros((80, 100), np.int32))
    return tmp_path


def test_figures() -> None:
    views = [view_statistics("a", label_map()), view_statistics("b", label_map() * 0), view_statistics("c", None)]
    statistics = ReportStatistics(views)
    assert statistics.masks.tolist() == [3, 0, 0] and views[0].small == 2
    np.testing.assert_allclose(statistics.coverage, [4005 / 8000, 0, 0])
    assert (statistics.without_map, statistics.empty) == (["c"], ["b"])
    # 1/8000 and 4/8000 lie in the bins from 0.01 % and from 0.03 %, the half in the one from 30 %.
    assert statistics.histogram.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1]
    summary = statistics.summary()
    assert summary["views without masks"] == "2" and summary["masks a view"] == "3 (3 to 3)"
    assert summary["masks under 0.1% of the image"] == "2 (67%)"
    assert ReportStatistics([views[2]]).summary()["masks a view"] == "none"


def test_thumbnails_have_the_colours_of_the_ids(folder: Path) -> None:
    image = folder / "images" / "a.png"
    picture = thumbnail(image, label_map(), 50)
    expected = 0.45 * np.array([10, 200, 90]) + 0.55 * instance_colors(np.array([3]))[0]
    assert picture.shape == (40, 50, 3)
    assert np.abs(picture[5, 5] - expected).max() <= 1
    assert (thumbnail(image, None, 50) == 50).all()
    assert contact_sheet([picture] * 5, 3, gap=2).shape == (82, 154, 3)


class Links(HTMLParser):
    """Addresses that a page loads, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_names_views_without_masks(folder: Path) -> None:
    html = folder / "report.html"
    images = sorted((folder / "images").iterdir())
    write_report(images, folder / "masks", html, "Masks of <room>")
    page = Links()
    page.feed(html.read_text())
    assert len(page.addresses) == 3 + 3 and all(address.startswith("data:image/") for address in page.addresses)
    assert "url(" not in html.read_text() and "@import" not in html.read_text()
    text = re.sub(r"\s+", " ", page.text)
    for words in ("Masks of <room>", "Views without a label map (1): c.png", "label map is empty (1): b&<i>.png"):
        assert words in text
    assert "3 masks (2 small), 50% labelled" in text
    picture = np.asarray(Image.open(io.BytesIO(html.with_suffix(".png").read_bytes())))
    assert picture.shape[0] > 400 and picture.shape[1] == 1500 and picture[..., :3].std() > 10


def test_more_views_than_the_sheet_holds(folder: Path) -> None:
    image = folder / "images" / "a.png"
    images = [image.with_name(f"{index:02d}.png") for index in range(COLUMNS * ROWS + 6)]
    for path in images:
        path.write_bytes(image.read_bytes())
    statistics = write_report(images, folder / "masks", folder / "report.html", "many")
    assert len(statistics.views) == len(images)
    assert (folder / "report.html").read_text().count("<figure") == len(images)


def test_bad_label_maps_are_named(folder: Path) -> None:
    (folder / "masks" / "c.png").write_bytes(b"")
    with pytest.raises(ProtoSagaError, match=r"c\.png"):
        write_report(sorted((folder / "images").iterdir()), folder / "masks", folder / "report.html", "bad")
    assert not (folder / "report.html").exists()
