"""``proto-saga find``: the instances that a phrase means."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from proto_saga_ns.masks.phrases.options import TextOptions

if TYPE_CHECKING:
    Options = TextOptions
else:
    # Its options stand on the command line without a prefix.
    Options = Annotated[TextOptions, tyro.conf.arg(name="")]

Box = tuple[float, float, float, float]


@dataclass(kw_only=True)
class Find:
    """Find the instances that a phrase means, such as "red chair", in the rendering of one view.

    Grounding DINO finds boxes, Segment Anything makes a mask of them, and those instances are chosen that lie on the
    mask for the most part. Boxes can be given instead, and then no text model is needed. Prints id, colour, name and
    how much of each lies on the mask.
    """

    phrase: tyro.conf.Positional[str] = ""
    """what to look for, in English; several things are parted by dots ("red chair. table")"""
    load_config: Path
    """config.yml of a training run"""
    view: str | None = None
    """stem of the image whose view is rendered; the first test view if not given, or training view where none is for
    tests"""
    boxes: tuple[Box, ...] = ()
    """boxes in place of those of the text model: left, top, right and bottom in pixels of the rendered view"""
    output_dir: Path | None = None
    """write a picture here, <image stem>_<phrase>.png: rendering with boxes, mask, chosen instances"""
    save: bool = False
    """select the found instances and save that into the checkpoint, for ns-viewer, ns-render and proto-saga render"""
    data: Path | None = None
    """where the data lies now, if it has moved since training"""
    options: Options = field(default_factory=TextOptions)

    def run(self) -> None:
        from proto_saga_ns.cli.work.phrases import loaded_finder

        # First, since it is quick to say that a phrase is bad or a model is missing, and to open a run takes seconds.
        finder = loaded_finder(self.options, None if self.boxes else self.phrase)

        from proto_saga_ns.cli.work.find import Wanted, find

        wanted = Wanted(self.phrase, self.boxes, self.view, self.options.min_share)
        find(finder, wanted, self.load_config, self.data, self.output_dir, self.save)
