"""The names of files, as people read them."""

from __future__ import annotations

import re


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sorts file names as people do: view2 before view10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]
