"""How long work tells how far it is: whoever does it names it, whoever asked for it may show a bar."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

T = TypeVar("T")


class Progress(Protocol):
    """Hands items on, one by one, and may show how many are done."""

    def __call__(self, items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        """The same items.

        Args:
            items: to work on.
            what: is done with them, for the eye: "Tracking frames".
            total: how many there are, where ``items`` has no length.
        """
        ...


def unseen(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Shows nothing."""
    del what, total
    return items


def progress_bar(
    items: Iterable[T],
    what: str,
    total: int | None = None,
    *,
    console: Console | None = None,
    transient: bool = False,
) -> Iterable[T]:
    """Shows a bar with the time that is left; nothing if there is nothing to do.

    Args:
        items: see ``Progress``, as the next two.
        what: see there.
        total: see there.
        console: where to; rich's if None.
        transient: whether the bar vanishes once all is done.
    """
    count = len(items) if total is None and isinstance(items, Sized) else total
    if count == 0:
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=transient) as bars:
        yield from bars.track(items, total=count, description=what)
