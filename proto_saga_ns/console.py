"""Printing where not every character can be printed."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from proto_saga_ns.library_warnings import NERFSTUDIO


def replace_what_cannot_be_printed() -> None:
    """Let a character that the terminal's encoding lacks be a question mark, and not the end of the process.

    Nerfstudio prints frames and pictograms, which Latin-1 and ASCII lack; and names of files need not be text at all.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def replace_in_nerfstudio() -> None:
    """The same if this process is a command of nerfstudio."""
    if sys.argv and Path(sys.argv[0]).name.startswith(NERFSTUDIO):
        replace_what_cannot_be_printed()
