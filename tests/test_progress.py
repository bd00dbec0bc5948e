"""Bars hand on what they are given, and say how much of it is done."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest
from rich.console import Console

from proto_saga_ns.progress import Progress, progress_bar, unseen


def shown(items: Iterable[int], total: int | None = None) -> tuple[list[int], str]:
    """What is handed on, and what a terminal shows at the end."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    handed = list(progress_bar(items, "Counting", total, console=console))
    assert isinstance(console.file, io.StringIO)
    return handed, console.file.getvalue()


@pytest.mark.parametrize("progress", [unseen, progress_bar])
def test_items_are_handed_on(progress: Progress) -> None:
    assert list(progress([3, 1, 2], "Counting")) == [3, 1, 2]
    assert list(progress((number for number in (3, 1, 2)), "Counting", 3)) == [3, 1, 2]


def test_a_bar_knows_how_many_there_are_by_their_length_or_by_what_it_is_told() -> None:
    for given, total in (([3, 1], None), ((number for number in (3, 1)), 2)):
        handed, text = shown(given, total)
        assert handed == [3, 1] and "Counting" in text and "2/2" in text


def test_nothing_to_do_shows_nothing() -> None:
    assert shown([]) == ([], "") and shown(iter(()), 0) == ([], "")
