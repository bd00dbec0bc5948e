"""The commands of ``proto-saga`` by name, without loading any of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Command:
    """Where a command is, and what it is for.

    Attributes:
        module: of ``proto_saga_ns.cli``.
        name: of the dataclass there, whose fields are the options and which has a method ``run``.
        help: for the list of commands; the first sentence of the docstring of the class, word for word.
        is_flat: whether options and actions within its fields are called without the names of the fields.
    """

    module: str
    name: str
    help: str
    is_flat: bool = False

    def load(self) -> type[Any]:
        """The class. Imports its module, and what that needs to know the options."""
        return getattr(import_module(f"proto_saga_ns.cli.{self.module}"), self.name)


COMMANDS: dict[str, Command] = {
    "segment": Command(
        "segment",
        "Segment",
        "Write one 16-bit label map a view, with the same id for the same instance in all of them.",
    ),
    "associate": Command(
        "associate",
        "Associate",
        "Associate the masks of a scene again and rewrite its checkpoint; or segment a splat that knows no masks yet.",
        is_flat=True,
    ),
    "render": Command("render", "Render", "Write a video, an animation or pictures of a segmented scene."),
    "evaluate": Command(
        "evaluate", "Evaluate", "Measure label maps by a published protocol, most often against ground truth."
    ),
    "report": Command(
        "report",
        "Report",
        "Write one HTML file about a training run: figures, pictures of views, and the instances.",
    ),
    "panels": Command(
        "panels",
        "Panels",
        "Write pictures of a run for papers and slides, what was made of a view side by side; or compare several runs.",
    ),
    "find": Command(
        "find", "Find", 'Find the instances that a phrase means, such as "red chair", in the rendering of one view.'
    ),
    "export": Command(
        "export",
        "Export",
        "Take a segmented scene apart: a splat of each instance, of the rest, and of the scene without some.",
    ),
    "info": Command(
        "info",
        "Info",
        "List the instances of a segmented scene: id, colour, name, size, views, and how far their masks agree.",
    ),
    "masks": Command(
        "masks",
        "Masks",
        "Make the masks of all images of one or more data folders, and keep them in the mask cache.",
    ),
    "track": Command(
        "track",
        "TrackCommand",
        "Track the masks of a folder of images or of a video: label maps in which an id means one instance throughout.",
    ),
    "convert-masks": Command(
        "convert_masks",
        "ConvertMasks",
        "Convert the masks of a data folder from or to the format of another program.",
    ),
    "data": Command(
        "data", "Data", "Data sets of the papers: check a folder, or print where to get one.", is_flat=True
    ),
    "make-standin": Command(
        "standin",
        "MakeStandin",
        "Render a made-up scene with ground truth and simulated masks, in the layout of a data set that is absent.",
    ),
    "demo": Command("demo", "Demo", "Train on the embedded dining room, then render, segment and evaluate it."),
    "doctor": Command(
        "doctor",
        "Doctor",
        "Show what this machine has and what follows from it: GPU, compiler, kernels, programs, extras, weights.",
    ),
}
