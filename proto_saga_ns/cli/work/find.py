"""The instances that a phrase means, or that lie in boxes, in the rendering of one view."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from proto_saga_ns.cli.work.printing import swatch
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.files import atomic_file
from proto_saga_ns.labels.view_names import view_name
from proto_saga_ns.masks.phrases.find import FoundInstance, TextFinder, TextMask, instances_on
from proto_saga_ns.masks.phrases.grounding import FoundBoxes
from proto_saga_ns.masks.phrases.picture import picture
from proto_saga_ns.plugin.model.checkpoint import rewrite_checkpoint
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, Split, load_run

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras

    from proto_saga_ns.scene import SegmentedScene

SPLITS: tuple[Split, ...] = ("test", "train")
"""Where a view is looked for, in this order."""


@dataclass(frozen=True)
class Wanted:
    """What is looked for.

    Attributes:
        phrase: in English.
        boxes: in place of those of the text model: left, top, right and bottom in pixels of the view.
        view: stem of its image; None: the first.
        min_share: of an instance that has to lie on the mask.
    """

    phrase: str
    boxes: tuple[tuple[float, float, float, float], ...]
    view: str | None
    min_share: float

    def mask(self, finder: TextFinder, rgb: UInt8[np.ndarray, "H W 3"]) -> TextMask:
        """Where in a view it is."""
        if self.boxes:
            return finder.find_in_boxes(rgb, np.array(self.boxes, np.float64))
        return finder.find(rgb, self.phrase)


def find(
    finder: TextFinder, wanted: Wanted, load_config: Path, data: Path | None, output: Path | None, save: bool
) -> None:
    """Print the instances that are wanted.

    Args:
        finder: with its models.
        load_config: config.yml of a run.
        data: where its data lies now, if it has moved.
        output: folder for a picture.
        save: select the instances in the checkpoint.
    """
    console = Console()
    run = load_run(load_config, data)
    scene = run.scene
    stem, camera = _view(run, wanted.view)
    view = segment_view(run.model, scene, camera)
    rgb = (view.rgb.cpu().numpy() * 255).round().astype("uint8")
    found = wanted.mask(finder, rgb)
    console.print(f"View {stem}, {rgb.shape[1]} x {rgb.shape[0]} pixels", highlight=False)
    if not wanted.boxes:
        _print_boxes(console, found.boxes)
    chosen = instances_on(view.labels, found.mask, wanted.min_share)
    _print_instances(console, chosen, scene)
    ids = [instance.id for instance in chosen]
    if output is not None:
        file = output / f"{stem}_{_file_name(wanted.phrase)}.png"
        _write_png(file, picture(rgb, found.boxes.xyxy, found.mask, view.labels, ids))
        console.print(f"Picture: {file}", soft_wrap=True)
    if save and ids:
        run.model.scene = replace(scene, display=scene.display.selecting(ids))
        kept = rewrite_checkpoint(run.checkpoint, run.pipeline.state_dict())
        console.print(f"Selected and saved; the checkpoint before is {kept}", soft_wrap=True)


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
    with atomic_file(file) as stream:
        Image.fromarray(content).save(stream, format="PNG")
