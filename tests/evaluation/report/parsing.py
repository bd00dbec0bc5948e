"""Reading a page back."""

from __future__ import annotations

from collections import defaultdict
from html.parser import HTMLParser

EMPTY = {"img", "meta", "br"}


class ParsedPage(HTMLParser):
    """Tags, attributes, text, and tables (by their id, as rows of cells) of a page.

    ``open`` are the tags that were never closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, list[str]] = defaultdict(list)
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in EMPTY:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes[name].append(value or "")
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & {*self.open}:
            self._rows[-1][-1] += data

    def count(self, tag: str) -> int:
        return self.tags.count(tag)


def parse(html: str) -> ParsedPage:
    page = ParsedPage()
    page.feed(html)
    page.close()
    return page
