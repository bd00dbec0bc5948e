"""Laws of the panel's texts: names stay what they are, whatever Markdown or JSX makes of their characters."""

from __future__ import annotations

import html
import re

import torch
from hypothesis import example, given
from hypothesis import strategies as st

from proto_saga_ns.plugin.viewer.listing import (
    MAX_ROWS,
    by_size,
    choice,
    chosen_id,
    escape_markdown,
    short_count,
    summary,
    table,
)
from proto_saga_ns.recognition.prototypes import MaskTable
from proto_saga_ns.scene import EmbeddingColors, Instance, SegmentedScene

NASTY = [
    "{1+1}",
    "<b>bold</b>",
    "`code`",
    "a|b",
    "# 1",
    "- x",
    "two\nlines",
    "[a](b)",
    "&lt;",
    "$x$",
    "~~s~~",
    "export",
]
names = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(NASTY), max_size=3).map(" ".join))


def scene_of(
    pixels: dict[int, int], names: dict[int, str] | None = None, agreement: dict[int, float] | None = None
) -> SegmentedScene:
    """Instances of given sizes, each seen in one view."""
    count = len(pixels)
    part = torch.tensor(list(pixels), dtype=torch.int32)
    label = torch.arange(1, count + 1, dtype=torch.int32)
    sizes = torch.tensor(list(pixels.values()), dtype=torch.int64)
    masks = MaskTable(torch.zeros_like(part), label, sizes, torch.rand(count, 4), part, ("view",))
    return SegmentedScene(masks, EmbeddingColors.fit(torch.randn(20, 4)), names=names or {}, agreement=agreement or {})


@given(names)
@example("export const a = 1")
@example("import x")
def test_nothing_in_a_name_means_anything_to_markdown_or_jsx(name: str) -> None:
    text = escape_markdown(name)
    assert html.unescape(text) == " ".join(name.split())
    assert not set(re.sub(r"&#\d+;", "", text)) & set("\\`*_{}[]()#+-.!|<>~&$\"'")
    assert not re.match(r"(import|export)\b", text)


@given(names, st.integers(1, 100_000))
def test_a_choice_leads_back_to_its_instance(name: str, number: int) -> None:
    assert chosen_id(choice(Instance(number, name))) == number


@given(names)
def test_a_name_never_adds_a_row_or_a_column(name: str) -> None:
    rows = table(scene_of({1: 5}, {1: name})).splitlines()
    assert len(rows) == 3 and rows[2].count("|") == 4 and rows[2].count("`") == 2


@given(st.dictionaries(st.integers(1, 500), st.integers(0, 50), max_size=2 * MAX_ROWS))
def test_the_largest_come_first_and_the_rest_are_counted(pixels: dict[int, int]) -> None:
    scene = scene_of(pixels)
    order = [instance.id for instance in by_size(scene)]
    assert order == sorted(pixels, key=lambda number: (-pixels[number], number))
    listed = [
        int(number)
        for number in re.findall(r"\| (\d+)&#?:|\| (?:\*\*|~~)?(\d+):", table(scene))
        for number in number
        if number
    ]
    assert listed == order[:MAX_ROWS]
    assert ("smaller ones" in table(scene)) == (len(pixels) > MAX_ROWS)


def test_selected_ones_are_listed_however_small_they_are() -> None:
    scene = scene_of({number: 1000 - number for number in range(1, MAX_ROWS + 10)})
    last = MAX_ROWS + 9
    rows = table(scene.with_display(selected=(last,), hidden=(1,))).splitlines()
    assert f"**{last}: instance {last}**" in rows[-3] and rows[-1] == "… and 8 smaller ones"
    assert "~~1: instance 1~~" in rows[2]


@given(st.integers(0, 999_949_999))
@example(999_950)
def test_short_counts_are_right_to_a_digit(count: int) -> None:
    text = short_count(count)
    value = float(text.rstrip("kM")) * {"k": 1e3, "M": 1e6}.get(text[-1], 1)
    assert abs(value - count) <= 0.05001 * max(1, 10 ** (3 * ("k" in text) + 6 * ("M" in text)))
    assert len(text) <= 6


def test_the_summary_says_what_is_not_saved() -> None:
    scene = scene_of({1: 5, 2: 3, 3: 1}).with_display(selected=(1, 2), hidden=(0, 3))
    assert summary(scene, 0, False) == "**3** instances · **2** selected · **1** hidden"
    assert summary(scene, 1, True).endswith("**1** unsaved change")
    assert summary(scene, 2, False).endswith("**2** unsaved changes")
    assert summary(scene, 0, True).endswith("look not saved")


def test_doubtful_instances_are_marked_and_explained() -> None:
    sure = scene_of({1: 5, 2: 3}, agreement={1: 0.8, 2: 0.9})
    assert "?" not in html.unescape(table(sure)) and "doubtful" not in summary(sure, 0, False)
    scene = scene_of({1: 5, 2: 3, 3: 2}, {2: "lamp"}, {1: 0.8, 2: 0.1})
    lines = html.unescape(table(scene)).splitlines()
    assert [line for line in lines if "(?)" in line] == [lines[3], lines[-1]]
    assert "2: lamp (?)" in lines[3] and "less than 40% of the training views" in lines[-1]
    assert summary(scene, 0, False) == "**3** instances · **1** doubtful"
