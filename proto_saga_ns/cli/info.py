"""``proto-saga info``: the instances of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Info:
    """List the instances of a segmented scene: id, colour, name, size, views."""

    load_config: Path
    """config.yml of a training run"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""

    def run(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        from proto_saga_ns.cli.run import load_run
        from proto_saga_ns.cli.swatch import swatch

        run = load_run(self.load_config, self.data)
        scene = run.scene
        table = Table(title=f"{len(scene.instances)} instances in {run.checkpoint.name}")
        for heading in ("id", "colour", "name", "pixels", "Gaussians", "views"):
            table.add_column(heading, justify="left" if heading in ("colour", "name") else "right")
        for instance in sorted(scene.instances, key=lambda instance: -instance.pixels):
            counts = (instance.pixels, instance.n_gaussians, instance.n_views)
            table.add_row(str(instance.id), swatch(instance), escape(instance.name), *map(str, counts))
        Console().print(table)
