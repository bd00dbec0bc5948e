"""``proto-saga panels``: pictures of views for papers and slides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import check_output_folder


@dataclass
class Panels:
    """Write pictures of a run for papers and slides, what was made of a view side by side; or compare several runs.

    Of one run: OUTPUT-DIR/train/<image stem>.png (photo, the view's masks in colours of their own, associated masks,
    rendering, segmentation), OUTPUT-DIR/test/<image stem>.png (photo, rendering, segmentation; with ground truth that
    and the errors), and all of them in OUTPUT-DIR/overview.png. An instance has one colour in all views.

    Of several runs on the same data: OUTPUT-DIR/compared/<image stem>.png (photo, the segmentation by each run, ground
    truth), and all of them in OUTPUT-DIR/compared.png. Instances have the colour of the true one that they are matched
    with one to one over all test views, by the instance protocol, and are hatched in grey without a match. Without
    ground truth they are matched with the first run's.
    """

    load_config: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction]
    """config.yml of a training run; given again for every run that is compared with it"""
    output_dir: Path
    """folder for the pictures; made if it is not there. Pictures of the same names are replaced"""
    ground_truth: Path | None = None
    """folder of label maps with the true instance ids, one for every test view"""
    names: tuple[str, ...] = ()
    """several runs: what stands over their columns, in their order; else the names of the folders that they lie in"""
    views: int = 4
    """test views to show at most, evenly spread, and as many training views"""
    stems: tuple[str, ...] = ()
    """the views to show, in place of evenly spread ones: names of images without folder and ending"""
    longest: int = 480
    """pixels of the longer side of a picture at most; larger ones are scaled down"""
    format: Literal["png", "pdf", "svg"] = "png"
    """of the files; in pdf and svg captions stay sharp at any size, for LaTeX"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        _check_arguments(self)
        names = run_names(self.load_config, self.names)

        from proto_saga_ns.cli.work.panels import Wanted, write_sheets

        wanted = Wanted(self.ground_truth, self.views, self.stems, self.longest)
        write_sheets(self.load_config, names, self.data, wanted, self.output_dir, self.format)


def run_names(configs: tuple[Path, ...], names: tuple[str, ...]) -> list[str]:
    """What stands over the column of each run: the given names, or those of the folders.

    Raises:
        ProtoSagaError: not one name a run, or two are the same.
    """
    if names and len(names) != len(configs):
        raise ProtoSagaError(f"--names has {len(names)} names for {len(configs)} runs. Give one name a run, in order.")
    chosen = list(names) or [config.resolve().parent.name for config in configs]
    name, count = Counter(chosen).most_common(1)[0]
    if count > 1:
        raise ProtoSagaError(f"{count} of the runs are called {name}. Give each a name of its own with --names.")
    return chosen


def _check_arguments(arguments: Panels) -> None:
    """What can be known before a run is loaded."""
    check_output_folder(arguments.output_dir)
    if not arguments.load_config:
        raise ProtoSagaError("Give --load-config RUN/config.yml, and again for every run to compare it with.")
    for name, least in (("views", 1), ("longest", 16)):
        if getattr(arguments, name) < least:
            raise ProtoSagaError(f"--{name} is {getattr(arguments, name)}. Expected {least} or more.")
    if arguments.names and len(arguments.load_config) == 1:
        raise ProtoSagaError("--names is for the columns of several runs, and --load-config names one. Leave it out.")
    if arguments.ground_truth is not None and not arguments.ground_truth.is_dir():
        raise ProtoSagaError(
            f"--ground-truth {arguments.ground_truth} is not a folder; expected one with a PNG label map for every "
            "test view. Check the path."
        )
