"""Progress on nerfstudio's console."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from nerfstudio.utils.rich_utils import CONSOLE

from proto_saga_ns.progress import progress_bar

T = TypeVar("T")


def console_bar(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """A ``Progress`` whose bar vanishes when the work is done, as nerfstudio's own do."""
    return progress_bar(items, what, total, console=CONSOLE, transient=True)
