"""``proto-saga data``: whether a data set is complete, and where to get it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from proto_saga_ns.evaluation.datasets.findings import Dataset


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
        from proto_saga_ns.cli.work.data import check_folder

        check_folder(self.dataset, self.folder, self.json)


@dataclass
class DataHints:
    """Print where a data set comes from, on what terms, and how its folders lie. Nothing is downloaded."""

    dataset: tyro.conf.Positional[Dataset]
    """which data set"""

    def run(self) -> None:
        from proto_saga_ns.cli.work.data import print_hints

        print_hints(self.dataset)


@dataclass
class Data:
    """Data sets of the papers: check a folder, or print where to get one."""

    action: Annotated[CheckData, tyro.conf.subcommand("check")] | Annotated[DataHints, tyro.conf.subcommand("hints")]

    def run(self) -> None:
        self.action.run()
