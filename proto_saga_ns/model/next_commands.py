"""What to type after a run is finished."""

from __future__ import annotations

import shlex
from pathlib import Path


def next_commands(config: Path) -> str:
    """Commands that show a run and take it apart, one a line.

    Args:
        config: its config.yml; named from the current folder if it lies in there.
    """
    place = config.resolve()
    shown = shlex.quote(str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place))
    return (
        f"  ns-viewer --load-config {shown}\n"
        f"  proto-saga segment --load-config {shown} --output-dir maps\n"
        f"  proto-saga export --load-config {shown} --output-dir objects"
    )
