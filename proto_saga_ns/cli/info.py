"""``proto-saga info``: the instances of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proto_saga_ns.scene import Instance


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
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        from proto_saga_ns.cli.printing import swatch
        from proto_saga_ns.plugin.run import load_run
        from proto_saga_ns.recognition.agreement import DOUBT

        run = load_run(self.load_config, self.data)
        scene = run.scene
        table = Table(title=f"{len(scene.instances)} instances in {run.checkpoint.name}")
        for heading in ("id", "colour", "name", "pixels", "Gaussians", "views", "agreement"):
            table.add_column(heading, justify="left" if heading in ("colour", "name") else "right")
        for instance in sorted(scene.instances, key=lambda instance: -instance.pixels):
            counts = (instance.pixels, instance.n_gaussians, instance.n_views)
            sizes = (*map(str, counts), _agreement(instance))
            table.add_row(str(instance.id), swatch(instance), escape(instance.name), *sizes)
        console = Console(highlight=False)
        console.print(table)
        if any(instance.is_doubtful for instance in scene.instances):
            console.print(f"? = doubtful: {DOUBT}.")


def _agreement(instance: Instance) -> str:
    if instance.agreement is None:
        return "unknown"
    return f"{'? ' if instance.is_doubtful else ''}{100 * instance.agreement:.0f} %"
