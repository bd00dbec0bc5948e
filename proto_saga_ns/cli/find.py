"""``proto-saga find``: the instances that a phrase means."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.masks.phrases.options import TextOptions
from proto_saga_ns.plugin.run import Split

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8
    from nerfstudio.cameras.cameras import Cameras
    from rich.console import Console

    from proto_saga_ns.masks.phrases.find import FoundInstance, TextFinder, TextMask
    from proto_saga_ns.masks.phrases.grounding import FoundBoxes
    from proto_saga_ns.plugin.run import Run
    from proto_saga_ns.scene import SegmentedScene

    Options = TextOptions
else:
    # Its options stand on the command line without a prefix.
    Options = Annotated[TextOptions, tyro.conf.arg(name="")]

SPLITS: tuple[Split, ...] = ("test", "train")
"""Where a view is looked for, in this order."""

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
        from proto_saga_ns.masks.phrases.find import TextFinder, instances_on

        finder = TextFinder(self.options)
        self._check(finder)

        # Later, since these imports take seconds and bad input shall be answered at once.
        from rich.console import Console

        from proto_saga_ns.masks.phrases.picture import picture
        from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
        from proto_saga_ns.plugin.model.views import segment_view
        from proto_saga_ns.plugin.run import load_run

        console = Console()
        run = load_run(self.load_config, self.data)
        scene = run.scene
        stem, camera = _view(run, self.view)
        view = segment_view(run.model, scene, camera)
        rgb = (view.rgb.cpu().numpy() * 255).round().astype("uint8")
        found = self._find(finder, rgb)
        console.print(f"View {stem}, {rgb.shape[1]} x {rgb.shape[0]} pixels", highlight=False)
        if not self.boxes:
            _print_boxes(console, found.boxes)
        chosen = instances_on(view.labels, found.mask, self.options.min_share)
        _print_instances(console, chosen, scene)
        ids = [instance.id for instance in chosen]
        if self.output_dir is not None:
            file = self.output_dir / f"{stem}_{_file_name(self.phrase)}.png"
            _write_png(file, picture(rgb, found.boxes.xyxy, found.mask, view.labels, ids))
            console.print(f"Picture: {file}", soft_wrap=True)
        if self.save and ids:
            run.model.scene = replace(scene, display=scene.display.selecting(ids))
            kept = rewrite_checkpoint(run.checkpoint, run.pipeline.state_dict())
            console.print(f"Selected and saved; the checkpoint before is {kept}", soft_wrap=True)

    def _check(self, finder: TextFinder) -> None:
        """All that can be wrong with phrase and models, before the scene is loaded."""
        from proto_saga_ns.masks.phrases.grounding import normalise_phrase

        if not self.boxes:
            normalise_phrase(self.phrase)
        finder.load(with_text=not self.boxes)

    def _find(self, finder: TextFinder, rgb: UInt8[np.ndarray, "H W 3"]) -> TextMask:
        import numpy as np

        if self.boxes:
            return finder.find_in_boxes(rgb, np.array(self.boxes, np.float64))
        return finder.find(rgb, self.phrase)


def _view(run: Run, stem: str | None) -> tuple[str, Cameras]:
    """Stem and camera of a view, the test views first.

    Raises:
        ProtoSagaError: there is no such view.
    """
    test, train = ({view_name(image): camera for image, camera, _ in run.cameras(split)} for split in SPLITS)
    known = {**test, **train}
    if stem is None:
        return next(iter(known.items()))
    if stem not in known:
        examples = ", ".join(list(known)[:5])
        raise ProtoSagaError(
            f"The run has no view {stem}. Expected the name of an image without its ending; it has {len(known)}, such "
            f"as {examples}. Without --view it is the first test view."
        )
    return stem, known[stem]


def _print_boxes(console: Console, boxes: FoundBoxes) -> None:
    console.print(f"{len(boxes.xyxy)} boxes (left, top, right, bottom; score; words):", highlight=False)
    for box, score, words in zip(boxes.xyxy, boxes.scores, boxes.words, strict=True):
        corners = " ".join(f"{value:.0f}" for value in box)
        console.print(f"  {corners}  {score:.2f}  {words}".rstrip(), highlight=False, markup=False)


def _print_instances(console: Console, chosen: list[FoundInstance], scene: SegmentedScene) -> None:
    from rich.markup import escape
    from rich.table import Table

    from proto_saga_ns.cli.printing import swatch

    if not chosen:
        console.print("No instance lies on the mask for the most part. A lower --min-share chooses more.")
        return
    table = Table(title=f"{len(chosen)} of {len(scene.instances)} instances")
    for heading in ("id", "colour", "name", "on the mask"):
        table.add_column(heading, justify="left" if heading in ("colour", "name") else "right")
    instances = {instance.id: instance for instance in scene.instances}
    for number, share in chosen:
        instance = instances[number]
        table.add_row(str(number), swatch(instance), escape(instance.name), f"{share:.1%}")
    console.print(table)


def _file_name(phrase: str) -> str:
    """Letters and digits of the phrase; "boxes" where there is none."""
    return "_".join(re.findall(r"\w+", phrase))[:80] or "boxes"


def _write_png(file: Path, content: UInt8[np.ndarray, "H W 3"]) -> None:
    from PIL import Image

    from proto_saga_ns.files import atomic_file

    with atomic_file(file) as stream:
        Image.fromarray(content).save(stream, format="PNG")
