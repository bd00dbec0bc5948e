"""The page: nothing from elsewhere, nothing unescaped, and the same for the same content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from proto_saga_ns.evaluation.report.page import Figure, Page, Panel, PanelRow, PredictedRow, TrueRow, render_page
from proto_saga_ns.evaluation.report.pictures import flat_uri
from tests.evaluation.report.parsing import parse

NASTY = """</td></script><script>alert("1")</script><img src='http://a.b/c'> & é \u202e"""
NONE = "\N{EN DASH}"
PICTURE = flat_uri(np.zeros((2, 3, 3), np.uint8))


def some_page() -> Page:
    panels = [Panel("photo", PICTURE), Panel(NASTY, PICTURE)]
    row = PanelRow(NASTY, panels)
    return Page(
        title=NASTY,
        mark=NASTY,
        facts={NASTY: NASTY},
        options={"association.strategy": NASTY, NASTY: NASTY},
        command=NASTY,
        figures=[Figure(NASTY, "1.00", "2.00")],
        notes=[NASTY],
        test_views=[row],
        training_views=[row],
        predicted=[
            PredictedRow(3, NASTY, "#123456", 10, 20, 30, 0.5, 9, 0.25, 0.6),
            PredictedRow(12345, "plain", "#000000", 0, 0, 0, None),
        ],
        true_instances=[TrueRow(9, 77, 2, 3, 0.25, NASTY, row), TrueRow(8, 1, 1, None, 0.5, "All well.")],
    )


def test_whatever_it_says_is_text() -> None:
    page = parse(render_page(some_page()))
    plain = parse(render_page(Page("run", {}, {}, "command")))
    assert page.count("script") == plain.count("script") == 1
    assert page.text.count(NASTY) == 21 and page.count("img") == 6
    assert page.attributes["alt"][-1] == f"{NASTY}, {NASTY}"


def test_it_loads_nothing() -> None:
    html = render_page(some_page())
    page = parse(html)
    assert set(page.attributes["src"]) == {PICTURE} and "href" not in page.attributes
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {*page.tags}
    assert "url(" not in html and "@import" not in html and "fetch(" not in html


def test_tags_are_balanced() -> None:
    for page in (some_page(), replace(some_page(), figures=(), true_instances=(), mark=None)):
        assert parse(render_page(page)).open == []


def test_the_same_content_gives_the_same_page() -> None:
    assert render_page(some_page()) == render_page(some_page())


def test_rows_of_the_tables() -> None:
    page = parse(render_page(some_page()))
    assert page.tables["instances"][1:] == [
        ["", "3", NASTY, "10", "20", "30", "60", "0.50", "9", "25.0"],
        ["", "12345", "plain", "0", "0", "0", NONE, NONE, NONE, NONE],
    ]
    assert page.tables["truth"][1:] == [
        ["9", "77", "2", "3", "25.0", NASTY],
        ["8", "1", "1", NONE, "50.0", "All well."],
    ]


@pytest.mark.parametrize(("figures", "heads"), [((), 8), ((Figure("mIoU", "1.00"),), 10)])
def test_without_ground_truth_there_is_no_word_of_it(figures: tuple[Figure, ...], heads: int) -> None:
    page = parse(render_page(replace(some_page(), figures=figures, true_instances=())))
    assert [len(row) for row in page.tables["instances"]] == [heads] * 3
    assert ("ground truth" in page.text) == bool(figures) and "worst" not in page.text


def test_doubtful_instances_are_marked_and_explained() -> None:
    rows = [PredictedRow(1, "chair", "#123456", 1, 2, 3, 0.5, agreement=0.25, is_doubtful=True)]
    page = parse(render_page(replace(some_page(), predicted=rows)))
    assert page.tables["instances"][1][2:7] == ["chair ?", "1", "2", "3", "25"]
    assert "doubtful" in page.text and "doubtful" not in parse(render_page(some_page())).text
