"""The report in a browser: its tables can be sorted, it asks for nothing, and it fits a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from proto_saga_ns.evaluation.report.page import Figure, Page, PredictedRow, render_page


@pytest.fixture
def page(browser, tmp_path: Path):
    rows = [
        PredictedRow(1, "chair 10", "#ff0000", 9, 2, 3, 0.5, 4, 0.1),
        PredictedRow(2, "chair 9", "#00ff00", 100, 5, 3, None, 5, 0.9),
        PredictedRow(3, "<b>", "#0000ff", 20, 5, 3, 0.7),
    ]
    file = tmp_path / "report.html"
    file.write_text(render_page(Page("run", {}, {}, "command", figures=[Figure("mIoU", "1")], predicted=rows)))
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    page.close()


@pytest.mark.parametrize(
    ("column", "clicks", "order"),
    [
        ("pixels", 1, [1, 3, 2]),
        ("pixels", 2, [2, 3, 1]),
        ("name", 1, [3, 2, 1]),
        # What has no value comes last both ways, and the column that the page is sorted by turns at once.
        ("confidence", 1, [1, 3, 2]),
        ("confidence", 2, [3, 1, 2]),
        ("IoU %", 1, [2, 1, 3]),
    ],
)
def test_a_click_on_a_column_sorts(page, column: str, clicks: int, order: list[int]) -> None:
    for _ in range(clicks):
        page.locator("#instances thead button", has_text=column).click()
    ids = page.eval_on_selector_all("#instances tbody tr", "rows => rows.map(row => +row.cells[1].textContent)")
    assert ids == order


def test_it_asks_for_nothing_and_fits_a_phone(page) -> None:
    assert [url for url in page.asked if not url.startswith("data:")] == [page.url]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
