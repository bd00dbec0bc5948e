"""What is there of a data set and what is missing, as a table and findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from proto_saga_ns.cli.work.printing import say
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import Dataset, Finding, Report, SceneReport
from proto_saga_ns.evaluation.datasets.hints import HINTS
from proto_saga_ns.evaluation.datasets.layouts import check
from proto_saga_ns.files import write_json

MAX_ROWS = 40
"""Of more scenes than that, only those with errors or warnings have a row, and so many of them."""
MAX_FINDINGS = 60
"""So many are printed; a file has all."""
_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


def check_folder(dataset: Dataset, folder: Path, json: Path | None) -> None:
    """Print what was found, and write it to ``json`` if that is given.

    Raises:
        ProtoSagaError: the folder is missing or empty, or there is an error in it.
    """
    if _is_missing_or_empty(folder):
        print_hints(dataset)
        raise ProtoSagaError(f"{folder} is no folder, or is empty. Put {dataset} there as printed above.")
    report = check(dataset, folder)
    _print(report)
    if json is not None:
        write_json(json, report.to_json())
    errors = report.count("error")
    if errors:
        raise ProtoSagaError(
            f"{dataset} in {folder} has {errors} error{'s' * (errors > 1)}; the first: "
            f"{_line(report.all_findings()[0])}"
        )


def print_hints(dataset: Dataset) -> None:
    """Where the data set comes from, on what terms, and how its folders lie."""
    say(HINTS[dataset].text())


def _is_missing_or_empty(folder: Path) -> bool:
    try:
        return not folder.is_dir() or not any(folder.iterdir())
    except OSError:
        # The check says why it cannot be read.
        return False


def _print(report: Report) -> None:

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
