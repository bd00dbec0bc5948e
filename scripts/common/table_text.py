"""Tables and curves of the sweep as text and pictures: what was measured, and the published figure in brackets."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TextRow:
    """A row.

    Attributes:
        name: of the method.
        cells: figures by the name of their column, of each scene and seed that was measured.
        expected: how many of these there should be; 0 for a row that is only quoted.
        published: in the order of the columns; as many as there are.
        note: what differs from the published method, for a line below the table.
    """

    name: str
    cells: Sequence[Mapping[str, float]] = ()
    expected: int = 0
    published: tuple[float | None, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Text:
    """A table that can be written.

    Attributes:
        head: the line above it.
        columns: names of the figures.
        rows: in order.
        missing: a line for each cell that could not be made.
    """

    head: str
    columns: tuple[str, ...]
    rows: tuple[TextRow, ...]
    missing: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """The lines below the table."""
        quoted = [row.name for row in self.rows if not row.expected]
        lines = [f"Only quoted: {', '.join(quoted)}."] if quoted else []
        lines += [f"{row.name}: {row.note}" for row in self.rows if row.note]
        return [*lines, *(f"MISSING: {' '.join(line.split())}" for line in self.missing)]


def markdown(text: Text) -> str:
    """Mean and deviation over scenes and seeds, the published figure behind it in brackets; notes below."""
    lines = [text.head, "", f"| method | {' | '.join(text.columns)} |", f"|---|{'---|' * len(text.columns)}"]
    lines += [f"| {row.name} | {' | '.join(_figures(text, row))} |" for row in text.rows]
    notes = [f"- {line}" for line in text.notes]
    return "\n".join([*lines, *(["", *notes] if notes else []), ""])


def latex(text: Text) -> str:
    """The same as a LaTeX table (booktabs)."""
    rows = [["method", *text.columns], *([row.name, *_figures(text, row)] for row in text.rows)]
    head, *body = (" & ".join(map(_escaped, row)) + r" \\" for row in rows)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(text.head)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(text.columns)}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par {_escaped(line)}" for line in text.notes),
        r"\end{table}",
    ]
    return "\n".join([*lines, ""])


_LATEX = {
    **{letter: f"\\{letter}" for letter in "_%#&${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"},
}


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _figures(text: Text, row: TextRow) -> Iterator[str]:
    for index, column in enumerate(text.columns):
        values = [cell[column] for cell in row.cells if column in cell]
        none = "" if not row.expected else "-" if row.cells else "missing"
        measured = f"{statistics.mean(values):.1f}" if values else none
        measured += f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        measured += f" [{len(values)} of {row.expected}]" if values and len(values) < row.expected else ""
        known = row.published[index] if index < len(row.published) else None
        yield f"{measured} {'' if known is None else f'({known:.1f})'}".strip()


def plot(text: Text, label: str, file: Path) -> None:
    """mIoU over the value that is varied (the names of the rows), as PNG and SVG; nothing if nothing was measured."""
    import matplotlib.pyplot as plt

    found = {float(row.name): [cell["mIoU"] for cell in row.cells] for row in text.rows if row.cells}
    if not found:
        return
    means = [statistics.mean(values) for values in found.values()]
    spread = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in found.values()]
    canvas, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
    axes.errorbar(list(found), means, spread, marker="o", capsize=3)
    axes.set(xscale="log", xlabel=label, ylabel="mIoU")
    axes.set_xticks(list(found), [f"{value:g}" for value in found])
    axes.minorticks_off()
    axes.set_title(textwrap.fill(text.head, 75, break_on_hyphens=False), fontsize=7)
    for suffix in (".png", ".svg"):
        canvas.savefig(file.with_suffix(suffix), dpi=150)
    plt.close(canvas)


def slug(name: str) -> str:
    """A file name for a row."""
    return "-".join(re.findall(r"[a-z0-9.]+", name.lower()))
