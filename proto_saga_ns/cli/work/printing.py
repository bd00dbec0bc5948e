"""What commands print beside their tables, and their progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from proto_saga_ns.mastsam.frames import Progress as Begin
    from proto_saga_ns.scene import Instance

T = TypeVar("T")


def say(text: str) -> None:
    """Print a line as it is, however long."""
    Console(soft_wrap=True).print(text, highlight=False, markup=False)


def swatch(instance: Instance) -> str:
    """A patch of the colour and its hexadecimal digits, in rich's markup."""
    r, g, b = instance.color
    return f"[on rgb({r},{g},{b})]    [/] #{r:02x}{g:02x}{b:02x}"


def progress_bar(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A progress bar with the time that is left; silent when there is nothing to do."""
    if total == 0:
        return
    with _bars() as bars:
        yield from bars.track(items, total=total, description=what)


@contextmanager
def progress_bars() -> Iterator[Begin]:
    """Begins a bar for each piece of work, below those before."""
    with _bars() as bars:

        def begin(what: str, total: int) -> Callable[[], None]:
            task = bars.add_task(what, total=total)
            return lambda: bars.advance(task)

        yield begin


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("left"), TimeRemainingColumn())
