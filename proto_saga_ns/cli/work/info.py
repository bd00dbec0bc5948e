"""The table of the instances of a scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proto_saga_ns.cli.work.printing import swatch
from proto_saga_ns.plugin.run import load_run
from proto_saga_ns.recognition.agreement import DOUBT

if TYPE_CHECKING:
    from proto_saga_ns.scene import Instance


def print_instances(load_config: Path, data: Path | None) -> None:
    """Print the instances of a run, the largest first.

    Args:
        load_config: its config.yml.
        data: where its data lies now, if it has moved.
    """
    run = load_run(load_config, data)
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
