"""What commands print beside their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from proto_saga_ns.scene import Instance


def say(text: str) -> None:
    """Print a line as it is, however long."""
    Console(soft_wrap=True).print(text, highlight=False, markup=False)


def swatch(instance: Instance) -> str:
    """A patch of the colour and its hexadecimal digits, in rich's markup."""
    r, g, b = instance.color
    return f"[on rgb({r},{g},{b})]    [/] #{r:02x}{g:02x}{b:02x}"
