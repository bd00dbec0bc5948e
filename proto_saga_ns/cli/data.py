"""``proto-saga data``: whether a data set is complete, and where to get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from proto_saga_ns.cli.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import Dataset

if TYPE_CHECKING:
    from proto_saga_ns.evaluation.datasets.findings import Finding, Report, SceneReport

MAX_ROWS = 40
"""Of more scenes than that, only those with errors or warnings have a row, and so many of them."""
MAX_FINDINGS = 60
"""So many are printed; a file has all."""
_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


@dataclass
class CheckData:
    """Look at the folder of a data set, or of one scene of it, and say what is there and what is missing.

    Reads names and headers only. Ends with exit code 0 if there is no error, else with 2. Warnings: it will run, but is
    not what published tables were made on. Notes: quirks that are as published.
    """

    dataset: tyro.conf.Positional[Dataset]
    """which data set it is meant to be"""
    folder: tyro.conf.Positional[Path]
    """with a folder for each scene, or of one scene; of DAVIS and MOSE what their archives unpack to, or the frames of
    one sequence"""
    json: Path | None = None
    """also write all that was found to this file"""

    def run(self) -> None:
        from proto_saga_ns.evaluation.datasets.hints import HINTS
        from proto_saga_ns.evaluation.datasets.layouts import check
        from proto_saga_ns.files import write_json

        if _is_missing_or_empty(self.folder):
            say(HINTS[self.dataset].text())
            raise ProtoSagaError(f"{self.folder} is no folder, or is empty. Put {self.dataset} there as printed above.")
        report = check(self.dataset, self.folder)
        _print(report)
        if self.json is not None:
            write_json(self.json, report.to_json())
        errors = report.count("error")
        if errors:
            raise ProtoSagaError(
                f"{self.dataset} in {self.folder} has {errors} error{'s' * (errors > 1)}; the first: "
                f"{_line(report.all_findings()[0])}"
            )


@dataclass
class DataHints:
    """Print where a data set comes from, on what terms, and how its folders lie. Nothing is downloaded."""

    dataset: tyro.conf.Positional[Dataset]
    """which data set"""

    def run(self) -> None:
        from proto_saga_ns.evaluation.datasets.hints import HINTS

        say(HINTS[self.dataset].text())


@dataclass
class Data:
    """Data sets of the papers: check a folder, or print where to get one."""

    action: Annotated[CheckData, tyro.conf.subcommand("check")] | Annotated[DataHints, tyro.conf.subcommand("hints")]

    def run(self) -> None:
        self.action.run()


def _is_missing_or_empty(folder: Path) -> bool:
    try:
        return not folder.is_dir() or not any(folder.iterdir())
    except OSError:
        # The check says why it cannot be read.
        return False


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{report.dataset}: {report.folder}")
    table.add_column("scene")
    for heading in ("training", "test", "ground truth", "errors", "warnings", "notes"):
        table.add_column(heading, justify="right")
    shown = _shown(report.scenes)
    for scene in shown:
        table.add_row(scene.name, *_counts([scene]))
    if len(report.scenes) > 1:
        table.add_section()
        table.add_row(f"all {len(report.scenes)}", *_counts(report.scenes))
    Console().print(table)
    if len(shown) < len(report.scenes):
        say(f"Of so many scenes, only the first {MAX_ROWS} with errors or warnings have a row.")
    findings = report.all_findings()
    for finding in findings[:MAX_FINDINGS]:
        Console(soft_wrap=True).print(Text(f"{finding.severity}: ", _COLORS[finding.severity]) + Text(_line(finding)))
    if len(findings) > MAX_FINDINGS:
        say(f"and {len(findings) - MAX_FINDINGS} more; --json FILE has them all")


def _counts(scenes: Sequence[SceneReport]) -> list[str]:
    """Sums over scenes, in the order of the columns."""
    findings = [finding for scene in scenes for finding in scene.findings]
    views = [(scene.train_views, scene.test_views, scene.ground_truth) for scene in scenes]
    kinds = [sum(finding.severity == kind for finding in findings) for kind in _COLORS]
    return [str(count) for count in [*map(sum, zip(*views, strict=True)), *kinds]]


def _shown(scenes: tuple[SceneReport, ...]) -> list[SceneReport]:
    if len(scenes) <= MAX_ROWS:
        return list(scenes)
    matter = [scene for scene in scenes if any(finding.severity != "note" for finding in scene.findings)]
    return matter[:MAX_ROWS]


def _line(finding: Finding) -> str:
    return f"{finding.path}: {finding.what}. {finding.remedy}"
