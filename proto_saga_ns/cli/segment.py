"""``proto-saga segment``: a consistent label map for every view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proto_saga_ns.files import check_output_folder
from proto_saga_ns.recognition.granularity import LevelName, granularity_of


@dataclass
class Segment:
    """Write one 16-bit label map a view, with the same id for the same instance in all of them.

    OUTPUT-DIR/<image stem>.png, and OUTPUT-DIR/instances.json with names, colours and sizes of the instances (or
    groups, or parts), written last: without it the maps are not all of one segmentation.
    """

    load_config: Path
    """config.yml of a training run"""
    output_dir: Path
    """folder for the label maps; made if it is not there"""
    split: Literal["train", "test", "all"] = "test"
    """which views"""
    granularity: LevelName | float = "object"
    """what has an id of its own: group, object, part, or a number from 0 (coarsest) to 1 (finest), of which 0.5 is
    object. A group has the id of its largest instance, the largest part of an instance that of the instance, other
    parts have ids of their own. Needs the strategy consensus"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        check_output_folder(self.output_dir)
        granularity = granularity_of(self.granularity)

        from proto_saga_ns.cli.work.segment import write_label_maps

        write_label_maps(self.load_config, self.data, self.split, granularity, self.output_dir)
