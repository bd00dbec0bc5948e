"""The reliability diagram: accuracy over confidence, and how many pixels have which confidence."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from proto_saga_ns.evaluation.calibration import Reliability

_BLUE, _ORANGE, _INK = "#0072b2", "#d55e00", "#333333"


def reliability_diagram(found: Mapping[str, Reliability]) -> bytes:
    """A PNG file with a column for each entry, under its name.

    Bars show the accuracy of each bin, a line of points its mean confidence; where both are the same, the confidence
    is calibrated. Below, the share of all pixels in each bin.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.4 + 3.2 * len(found), 4.2), layout="constrained", dpi=100)
    rows: Any = figure.subplots(2, len(found), squeeze=False, sharex=True, height_ratios=[3, 1])
    for column, (name, reliability) in enumerate(found.items()):
        _accuracies(rows[0, column], name, reliability)
        _shares(rows[1, column], reliability)
    rows[0, 0].set_ylabel("share that is right", fontsize=8)
    rows[1, 0].set_ylabel("share of pixels", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _accuracies(axes: Any, name: str, found: Reliability) -> None:
    used = found.counts > 0
    axes.bar(_centres(found)[used], found.accuracy[used], width=_width(found), color=_BLUE, label="accuracy")
    axes.plot(found.confidence[used], found.confidence[used], ".", color=_ORANGE, label="confidence")
    axes.plot([0, 1], [0, 1], "--", color=_INK, linewidth=0.8)
    figures = ", ".join(f"{key} {value:.1f} %" for key, value in found.figures().items())
    axes.set_title(f"{name}\n{figures}", fontsize=9)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7, loc="upper left", frameon=False)
    _style(axes)


def _shares(axes: Any, found: Reliability) -> None:
    axes.bar(_centres(found), found.counts / max(found.counts.sum(), 1), width=_width(found), color=_BLUE)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence", fontsize=8)
    _style(axes)


def _centres(found: Reliability) -> np.ndarray:
    return (np.arange(len(found.counts)) + 0.5) / len(found.counts)


def _width(found: Reliability) -> float:
    return 0.9 / len(found.counts)


def _style(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7)
