"""The list of instances as text for the panel. The viewer reads Markdown with JSX in it, so names are escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from proto_saga_ns.recognition.agreement import DOUBT
from proto_saga_ns.scene import Instance, SegmentedScene

MAX_ROWS = 40
DOUBT_MARK = "(?)"
_SPECIAL = re.compile(r"^(?=import\b|export\b).|[\\`*_{}\[\]()#+\-.!|<>~&$\"']")


def escape_markdown(text: str) -> str:
    """Text that Markdown and JSX show as it is, on one line; a line that starts like a JavaScript module included."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", " ".join(text.split()))


def by_size(scene: SegmentedScene) -> list[Instance]:
    """The largest first."""
    return sorted(scene.instances, key=lambda instance: (-instance.pixels, instance.id))


def choice(instance: Instance) -> str:
    """An instance as an entry of a list to choose from; ``chosen_id`` undoes it."""
    return f"{instance.id}: {instance.name}"


def chosen_id(entry: str) -> int:
    """The id in an entry of ``choice``."""
    return int(entry.split(":", 1)[0])


def table(scene: SegmentedScene) -> str:
    """Markdown table of the largest and of the selected instances.

    Selected ones are bold, hidden ones struck through; doubtful ones have a mark, which is explained below.
    """
    instances = by_size(scene)
    display = scene.display
    shown = [i for rank, i in enumerate(instances) if rank < MAX_ROWS or i.id in display.selected]
    rows = [_row(instance, display.selected, display.hidden) for instance in shown]
    more = len(instances) - len(shown)
    head = ["| | name | pixels |", "|---|---|---|"]
    notes = [f"… and {more} smaller ones"] if more else []
    if any(instance.is_doubtful for instance in shown):
        notes.append(escape_markdown(f"{DOUBT_MARK} doubtful: {DOUBT}"))
    return "\n\n".join(["\n".join([*head, *rows]), *notes])


def _row(instance: Instance, selected: Sequence[int], hidden: Sequence[int]) -> str:
    r, g, b = instance.color
    name = escape_markdown(choice(instance) + (f" {DOUBT_MARK}" if instance.is_doubtful else ""))
    shown = f"**{name}**" if instance.id in selected else f"~~{name}~~" if instance.id in hidden else name
    return f"| `#{r:02x}{g:02x}{b:02x}` | {shown} | {short_count(instance.pixels)} |"


def short_count(count: int) -> str:
    """987, 12.3k, 4.6M."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= 0.99995 * size:  # 999,950 is 1.0M: 1000.0k would be wider than its column
            return f"{count / size:.1f}{unit}"
    return str(count)


def explain_empty_panel(training: bool) -> str:
    """One line for a scene without instances."""
    when = "They are found when training ends" if training else "Association has not run yet"
    return f"No instances yet. {when}; the button finds those of the masks as they are now."


def summary(scene: SegmentedScene, unsaved: int, display_changed: bool) -> str:
    """One line on the state of the scene."""
    parts = [f"**{len(scene.ids)}** instances"]
    if scene.display.selected:
        parts.append(f"**{len(scene.display.selected)}** selected")
    hidden = [number for number in scene.display.hidden if number]
    if hidden:
        parts.append(f"**{len(hidden)}** hidden")
    doubtful = sum(instance.is_doubtful for instance in scene.instances)
    if doubtful:
        parts.append(f"**{doubtful}** doubtful")
    if unsaved:
        parts.append(f"**{unsaved}** unsaved change{'s' if unsaved > 1 else ''}")
    elif display_changed:
        parts.append("look not saved")
    return " · ".join(parts)
