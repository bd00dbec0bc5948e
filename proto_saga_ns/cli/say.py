"""What commands print beside their tables."""

from __future__ import annotations


def say(text: str) -> None:
    """Print a line as it is, however long."""
    from rich.console import Console

    Console(soft_wrap=True).print(text, highlight=False, markup=False)
