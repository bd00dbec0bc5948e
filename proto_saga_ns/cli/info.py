"""``proto-saga info``: the instances of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Info:
    """List the instances of a segmented scene: id, colour, name, size, views, and how far their masks agree.

    Doubtful instances, which may be no objects, have a question mark.
    """

    load_config: Path
    """config.yml of a training run"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from proto_saga_ns.cli.work.info import print_instances

        print_instances(self.load_config, self.data)
