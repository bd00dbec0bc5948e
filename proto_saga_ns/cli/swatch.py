"""The colour of an instance in a terminal."""

from __future__ import annotations

from proto_saga_ns.scene import Instance


def swatch(instance: Instance) -> str:
    """A patch of the colour and its hexadecimal digits, in rich's markup."""
    r, g, b = instance.color
    return f"[on rgb({r},{g},{b})]    [/] #{r:02x}{g:02x}{b:02x}"
