"""The page: what it says as a frozen dataclass, and that as HTML. Everything that it says is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import jinja2

from proto_saga_ns.recognition.agreement import DOUBT


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: what it shows, in a word or two.
        source: a data URI.
    """

    title: str
    source: str


@dataclass(frozen=True)
class PanelRow:
    """Panels side by side under a name."""

    name: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Figure:
    """A figure of the instance protocol.

    Attributes:
        value: over all pixels.
        without_void: the same with void ignored; empty if it has none.
    """

    name: str
    value: str
    without_void: str = ""


@dataclass(frozen=True)
class PredictedRow:
    """A predicted instance in the table.

    Attributes:
        color: such as "#e69f00".
        confidence: mean over its pixels in the test views, in [0, 1]; None if it is in none of them.
        truth: the true instance that it is matched with; None without a match.
        iou: with that.
        agreement: share of the training views in which its pixels and its masks agree; None if that is not known.
        is_doubtful: whether that is so little that it may be no object.
    """

    id: int
    name: str
    color: str
    pixels: int
    gaussians: int
    views: int
    confidence: float | None
    truth: int | None = None
    iou: float | None = None
    agreement: float | None = None
    is_doubtful: bool = False


@dataclass(frozen=True)
class TrueRow:
    """A true instance, and what became of it.

    Attributes:
        pixels: over the test views.
        views: test views that show it.
        match: the predicted instance; None without a match.
        sentence: what happened.
        crop: name of the view it was cut from and its panels; None if none are shown.
    """

    id: int
    pixels: int
    views: int
    match: int | None
    iou: float
    sentence: str
    crop: PanelRow | None = None


@dataclass(frozen=True)
class Page:
    """All that a report says, from top to bottom.

    Attributes:
        title: name of the run.
        mark: what a stand-in says about itself; None for other data.
        facts: about the run.
        options: of the association, dotted names.
        command: that made the report.
        figures: of the instance protocol, and PSNR; empty without ground truth.
        notes: whatever a reader has to know about the pictures.
        test_views, training_views: rows of panels.
        predicted: in the order of the table.
        true_instances: the worst first; those at the front have crops.
    """

    title: str
    facts: Mapping[str, str]
    options: Mapping[str, str]
    command: str
    mark: str | None = None
    figures: Sequence[Figure] = ()
    notes: Sequence[str] = ()
    test_views: Sequence[PanelRow] = ()
    training_views: Sequence[PanelRow] = ()
    predicted: Sequence[PredictedRow] = ()
    true_instances: Sequence[TrueRow] = ()

    @property
    def worst(self) -> list[TrueRow]:
        """The true instances that are shown with crops."""
        return [row for row in self.true_instances if row.crop is not None]


def render_page(page: Page) -> str:
    """HTML that asks for no other file."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    content = {item.name: getattr(page, item.name) for item in fields(page)}
    return template.render(content, worst=page.worst, doubt=DOUBT)
