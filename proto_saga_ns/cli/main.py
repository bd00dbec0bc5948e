"""Entry point of the ``proto-saga`` command."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import tyro

from proto_saga_ns.cli.associate import Associate
from proto_saga_ns.cli.convert_masks import ConvertMasks
from proto_saga_ns.cli.data import Data
from proto_saga_ns.cli.demo import Demo
from proto_saga_ns.cli.doctor import Doctor
from proto_saga_ns.cli.evaluate import Evaluate
from proto_saga_ns.cli.export import Export
from proto_saga_ns.cli.find import Find
from proto_saga_ns.cli.info import Info
from proto_saga_ns.cli.masks import Masks
from proto_saga_ns.cli.panels import Panels
from proto_saga_ns.cli.render import Render
from proto_saga_ns.cli.report import Report
from proto_saga_ns.cli.segment import Segment
from proto_saga_ns.cli.standin import MakeStandin
from proto_saga_ns.cli.track import TrackCommand
from proto_saga_ns.errors import user_errors_end_the_process

STOPPED_EXIT_CODE = 130
"""As shells say it of a process that Ctrl-C ended."""

Command = (
    Annotated[Segment, tyro.conf.subcommand("segment")]
    | Annotated[tyro.conf.OmitArgPrefixes[Associate], tyro.conf.subcommand("associate")]
    | Annotated[Render, tyro.conf.subcommand("render")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Panels, tyro.conf.subcommand("panels")]
    | Annotated[Find, tyro.conf.subcommand("find")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Masks, tyro.conf.subcommand("masks")]
    | Annotated[TrackCommand, tyro.conf.subcommand("track")]
    | Annotated[ConvertMasks, tyro.conf.subcommand("convert-masks")]
    | Annotated[tyro.conf.OmitSubcommandPrefixes[tyro.conf.OmitArgPrefixes[Data]], tyro.conf.subcommand("data")]
    | Annotated[MakeStandin, tyro.conf.subcommand("make-standin")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def entrypoint() -> None:
    """Parse the command line and run the sub-command; a user error is one line on stderr and exit code 2."""
    if sys.argv[1:] == ["--version"]:
        print(f"proto-saga {version('proto_saga_ns')}")
        return
    command = tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="proto-saga",
        description="Take 3D Gaussian Splatting scenes apart into objects. Scenes are trained by "
        "`ns-train proto-saga --data DIR` or `ns-train proto-saga-lite --data DIR`. `proto-saga --version` says which "
        "version this is.",
    )
    with user_errors_end_the_process():
        try:
            command.run()
        except KeyboardInterrupt:
            print("\nproto-saga: stopped. The same command starts again or goes on.", file=sys.stderr, flush=True)
            sys.exit(STOPPED_EXIT_CODE)


if __name__ == "__main__":
    entrypoint()
