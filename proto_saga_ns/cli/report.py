"""``proto-saga report``: a run in pictures and figures, as one HTML file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError


@dataclass
class Report:
    """Write one HTML file about a training run: figures, pictures of views, and the instances.

    The file has all pictures in itself and needs neither a network nor any other file. With ground truth it has the
    instance protocol's table too, error maps, the IoU of every instance, and the worst instances with what happened to
    them.
    """

    load_config: Path
    """config.yml of a training run"""
    ground_truth: Path | None = None
    """folder of label maps with the true instance ids, one for every test view"""
    output: Path = Path("report.html")
    """the HTML file; replaced if it is there"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""
    views: int = 6
    """test views to show at most, evenly spread; figures are always of all"""

    def run(self) -> None:
        _check_arguments(self)

        from proto_saga_ns.cli.work.report import write_report

        write_report(self.load_config, self.data, self.ground_truth, self.views, command(self), self.output)


def command(arguments: Report) -> str:
    """How to make the report again; absolute paths are cut down to their ends, for they are nobody else's business."""
    words = ["proto-saga", "report", "--load-config", _end(arguments.load_config, 2)]
    for name in ("ground_truth", "output", "data"):
        path = getattr(arguments, name)
        if path is not None:
            words += [f"--{name.replace('_', '-')}", _end(path, 1)]
    return shlex.join([*words, "--views", str(arguments.views)])


def _end(path: Path, parts: int) -> str:
    return "/".join(("...", *path.parts[-parts:])) if path.is_absolute() else str(path)


def _check_arguments(arguments: Report) -> None:
    """What can be known before the run is loaded."""
    if arguments.views < 1:
        raise ProtoSagaError(f"--views is {arguments.views}. Expected 1 or more.")
    if arguments.output.is_dir():
        raise ProtoSagaError(f"--output {arguments.output} is a folder. Expected a file, such as report.html in it.")
    if arguments.ground_truth is not None and not arguments.ground_truth.is_dir():
        raise ProtoSagaError(
            f"--ground-truth {arguments.ground_truth} is not a folder; expected one with a PNG label map for every "
            "test view. Check the path."
        )
