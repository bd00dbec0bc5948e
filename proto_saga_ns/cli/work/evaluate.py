"""Figures of a segmentation: how they are shown and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from proto_saga_ns.files import write_json

Figures = dict[str, Any]
LEVEL = "level"
"""Among the figures of a run: what was measured, in words."""
STANDIN = "stand-in"
"""Among the figures: the marks of the stand-ins that were measured."""


def show(figures: Figures, protocol: str, marks: Sequence[str], json: Path | None) -> None:
    """Print figures, and write them to a file if one is given.

    Args:
        marks: of the stand-ins among what the command was given.
    """
    figures = marked(figures, marks)
    _print(figures, protocol)
    if json is not None:
        write_json(json, {name: value for name, value in figures.items() if value is not None})


def marked(figures: Figures, marks: Sequence[str]) -> Figures:
    """Figures with the marks of stand-ins before all others, if there are any."""
    labels = sorted({*marks, *figures.pop(STANDIN, ())})
    return {STANDIN: labels, **figures} if labels else figures


# Lengths may be tiny, percentages are not; SSIM and LPIPS are between 0 and 1.
_FORMATS = {"epsilon": ".2g", "SSIM": ".4f", "SSIM inside": ".4f", "SSIM outside": ".4f", "LPIPS": ".4f"}


def _print(figures: Figures, protocol: str) -> None:
    console, marks = Console(), figures.get(STANDIN, ())
    for label in marks:
        said = f"{label}: these figures say nothing about any data set."
        console.print(said, style="bold red", markup=False, highlight=False, soft_wrap=True)
    level = f", {figures[LEVEL]}" if LEVEL in figures else ""
    table = Table(title=f"{protocol} protocol{level}" + (", STAND-IN" if marks else ""))
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        if isinstance(value, float):
            table.add_row(name, f"{value:{_FORMATS.get(name, '.2f')}}")
        elif isinstance(value, int):
            table.add_row(name, str(value))
        elif value is None:
            table.add_row(name, "no weights: see above")
    console.print(table)
