"""The report's charts, drawn by matplotlib: as SVG for the page, and on one sheet with the pictures as a PNG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from proto_saga_ns.labels.overview.statistics import AREA_BINS, SMALL, ReportStatistics

if TYPE_CHECKING:
    from jaxtyping import UInt8

_BLUE, _ORANGE = "#0072b2", "#d55e00"
_INK = "#333333"


def masks_chart(axes: Any, statistics: ReportStatistics) -> None:
    """Masks in each view, in file-name order; views without any are marked."""
    axes.set_title("masks a view")
    _bars(axes, statistics.masks, statistics)


def coverage_chart(axes: Any, statistics: ReportStatistics) -> None:
    """Labelled share of each view."""
    axes.set_title("coverage: % of the view that is labelled")
    axes.set_ylim(0, 100)
    _bars(axes, 100 * statistics.coverage, statistics)


def size_chart(axes: Any, statistics: ReportStatistics) -> None:
    """Masks of all views by size; the small ones stand out."""
    counts = statistics.histogram
    is_small = [upper <= SMALL for upper in AREA_BINS[1:]]
    axes.bar(range(len(counts)), counts, width=0.9, color=[_ORANGE if small else _BLUE for small in is_small])
    labels = [f"{100 * edge:g}" for edge in AREA_BINS]
    axes.set_xticks(np.arange(len(AREA_BINS)) - 0.5, labels, fontsize=6.5)
    axes.set_xlabel("mask size, % of the image")
    axes.set_title(f"masks by size (orange: under {100 * SMALL:g}%)")
    _style(axes)


CHARTS = (masks_chart, coverage_chart, size_chart)


def svg(chart: Any, statistics: ReportStatistics) -> bytes:
    """One chart as an SVG file."""
    from matplotlib.figure import Figure  # takes as long as all else that a command about masks imports

    figure = Figure(figsize=(4.6, 2.5), layout="constrained")
    chart(figure.subplots(), statistics)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def overview(statistics: ReportStatistics, sheet: UInt8[np.ndarray, "H W 3"], title: str) -> bytes:
    """The whole overview as a PNG file: figures, charts and a contact sheet."""
    from matplotlib.figure import Figure  # takes as long as all else that a command about masks imports

    width = 15.0
    picture = width * sheet.shape[0] / sheet.shape[1]
    figure = Figure(figsize=(width, 4.4 + picture), layout="constrained", dpi=100)
    parts: Any = figure.subfigures(3, 1, height_ratios=[1.1, 3.3, picture])
    head, charts, pictures = parts
    head.text(0.01, 0.66, title, fontsize=13, weight="bold", color=_INK)
    facts = "     ".join(f"{name}: {value}" for name, value in statistics.summary().items())
    head.text(0.01, 0.2, facts, fontsize=9.5, color=_INK)
    for axes, chart in zip(charts.subplots(1, len(CHARTS)), CHARTS, strict=True):
        chart(axes, statistics)
    axes = pictures.subplots()
    axes.imshow(sheet, interpolation="none", aspect="auto")
    axes.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _bars(axes: Any, heights: np.ndarray, statistics: ReportStatistics) -> None:
    views = np.arange(len(heights))
    axes.bar(views, heights, width=1.0 if len(heights) > 40 else 0.85, color=_BLUE)
    bare = views[statistics.masks == 0]
    if len(bare):
        axes.plot(bare, np.zeros(len(bare)), "^", color=_ORANGE, clip_on=False)
    axes.set_xlim(-0.6, max(len(heights), 1) - 0.4)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("view, in file-name order" + (" (orange: no masks)" if len(bare) else ""))
    axes.xaxis.get_major_locator().set_params(integer=True)
    _style(axes)


def _style(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.title.set_fontsize(10)
    axes.tick_params(axis="y", labelsize=8)
    axes.xaxis.label.set_fontsize(8)
