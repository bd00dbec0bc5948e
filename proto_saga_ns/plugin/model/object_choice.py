"""Choosing an object of a trained model in one view, by its mask, by clicks or by scribbles, and finding it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.object_masks import (
    ObjectMasks,
    Scribbles,
    masks_of_views,
    object_masks,
    read_object_mask,
)
from proto_saga_ns.evaluation.prompt import Click, Prompt
from proto_saga_ns.evaluation.reference_mask import (
    MIN_STROKE,
    Choice,
    ReferenceMaskProtocol,
    chosen_by_mask,
    chosen_by_points,
)
from proto_saga_ns.labels import resize_label_map
from proto_saga_ns.labels.view_names import unique_names, view_name
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.recognition.granularity import NAMED, OBJECTS, granularity_of

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras
    from torch import Tensor

    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene import SegmentedScene

Views = Mapping[str, tuple[Path, "Cameras"]]


def views_by_name(views: Sequence[tuple[Path, Cameras, Tensor]]) -> dict[str, tuple[Path, Cameras]]:
    """Image file and camera of each view by its name; one that is for training and for testing is one.

    Raises:
        ProtoSagaError: two images share a name.
    """
    unique_names(path for path, _, _ in views)
    return {view_name(path): (path, camera) for path, camera, _ in views}


@dataclass(frozen=True)
class ShownObject:
    """The masks of an object, and the view that shows which one is meant.

    Attributes:
        masks: by the names of views, in natural order; the reference may be among them.
        reference: name of a view.
        scribbles: in the reference view, where the layout has some.
    """

    masks: dict[str, Path]
    reference: str
    scribbles: Scribbles | None


def shown_object(views: Views, folder: Path, reference: str | None) -> ShownObject:
    """Which masks a folder has of the views of a run, and which view is the reference.

    Raises:
        ProtoSagaError: a mask belongs to no view, or the run has no such reference view.
    """
    found: ObjectMasks = object_masks(folder)
    masks = masks_of_views(found.files, [path for path, _ in views.values()])
    name = reference or found.reference or next(iter(masks))
    check_has_view(views, name)
    return ShownObject(masks, name, found.scribbles if name == found.reference else None)


def check_has_view(views: Views, reference: str) -> None:
    """Raise a ``ProtoSagaError`` if a run has no view of that name."""
    if reference not in views:
        raise ProtoSagaError(
            f"The run has no view {reference}, which is the reference. It has {len(views)}, such as "
            f"{', '.join([*views][:3])}. Choose another with --reference VIEW."
        )


def choose(model: ProtoSagaModel, scene: SegmentedScene, camera: Cameras, shown: ShownObject, prompt: Prompt) -> Choice:
    """The instances of the reference view that are meant.

    Raises:
        ProtoSagaError: nothing shows the object, a click lies outside of the view, or the scene has no such level.
    """
    if prompt.clicks or shown.scribbles is not None:
        labels = segment_view(model, scene, camera, prompt.granularity).labels
        on, off, share = _under_clicks(labels, prompt) if prompt.clicks else _under_strokes(labels, shown.scribbles)
        return Choice(prompt.granularity, chosen_by_points(on, off, share))
    if shown.reference not in shown.masks:
        raise ProtoSagaError(
            f"The reference view {shown.reference} has no mask. Give clicks on the object (--clicks COLUMN ROW), or "
            f"another view with --reference, such as {next(iter(shown.masks))}."
        )
    if prompt.granularity != OBJECTS:
        raise ProtoSagaError("--granularity is for clicks and scribbles: the level that fits a mask best is found.")
    mask = read_object_mask(shown.masks[shown.reference])
    if not mask.any():
        raise ProtoSagaError(
            f"{shown.masks[shown.reference]} is empty: the object is not seen in the reference view {shown.reference}. "
            "Choose another with --reference VIEW."
        )
    found = {level: segment_view(model, scene, camera, level).labels for level in levels_there(scene, model.num_points)}
    return chosen_by_mask({level: resize_label_map(labels, *mask.shape) for level, labels in found.items()}, mask)


def levels_there(scene: SegmentedScene, num_gaussians: int) -> list[float]:
    """Granularities of the levels that a scene has, the coarsest first."""
    if scene.levels is None:
        return [OBJECTS]
    levels = [granularity_of(name) for name in NAMED]
    has_parts = len(scene.levels.part_of_gaussian) == num_gaussians
    return [level for level in levels if level <= OBJECTS or has_parts]


Points = tuple[Int[np.ndarray, " P"], Int[np.ndarray, " Q"], float]
"""Ids at the points on the object and beside it, and the share of the former that has to lie on an instance."""


def _under_clicks(labels: Int[np.ndarray, "H W"], prompt: Prompt) -> Points:
    on, off = (np.array([_label_at(labels, click) for click in clicks], np.int32)
               for clicks in (prompt.clicks, prompt.negative_clicks))  # fmt: skip
    return on, off, 0.0


def _label_at(labels: Int[np.ndarray, "H W"], click: Click) -> int:
    height, width = labels.shape
    column, row = (int(np.floor(place)) for place in click)
    if not (0 <= column < width and 0 <= row < height):
        raise ProtoSagaError(
            f"The click {click[0]:g} {click[1]:g} lies outside of the view of {width}x{height} pixels."
        )
    return int(labels[row, column])


def _under_strokes(labels: Int[np.ndarray, "H W"], scribbles: Scribbles | None) -> Points:
    assert scribbles is not None
    strokes = [read_object_mask(file) for file in (scribbles.positive, scribbles.negative)]
    on, off = (resize_label_map(labels, *stroke.shape)[stroke] for stroke in strokes)
    return on, off, MIN_STROKE


def evaluate_reference(
    model: ProtoSagaModel,
    scene: SegmentedScene,
    views: Sequence[tuple[Path, Cameras, Tensor]],
    ground_truth: Path,
    prompt: Prompt,
) -> ReferenceMaskProtocol:
    """Choose an object in the reference view, and compare it with its true masks in the other views.

    Args:
        model: what is rendered.
        scene: its segmentation.
        views: image file, camera and image of all views, for training and for testing.
        ground_truth: folder of the object's masks (``evaluation/datasets/object_masks.py``).
        prompt: how the object is shown.

    Raises:
        ProtoSagaError: see ``shown_object`` and ``choose``; or no view but the reference has a mask.
    """
    by_name = views_by_name(views)
    shown = shown_object(by_name, ground_truth, prompt.reference)
    others = [name for name in shown.masks if name != shown.reference]
    if not others:
        raise ProtoSagaError(f"{ground_truth} has a mask of the reference view {shown.reference} alone. Add others.")
    choice = choose(model, scene, by_name[shown.reference][1], shown, prompt)
    protocol = ReferenceMaskProtocol(shown.reference, choice)
    for name in console_bar(others, "Comparing views"):
        truth = read_object_mask(shown.masks[name])
        labels = segment_view(model, scene, by_name[name][1], choice.granularity).labels
        protocol.add(name, truth, resize_label_map(labels, *truth.shape))
    return protocol
