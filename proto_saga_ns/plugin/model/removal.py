"""An object is taken out of a trained model, and its views are compared with images without the object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import PHOTOS
from proto_saga_ns.evaluation.datasets.object_masks import read_object_mask
from proto_saga_ns.evaluation.prompt import Prompt
from proto_saga_ns.evaluation.reference_mask import Choice
from proto_saga_ns.evaluation.removal import Removal, RemovalProtocol, grown
from proto_saga_ns.labels import resize_label_map
from proto_saga_ns.labels.view_names import files_by_name, match_views, view_name
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.model.object_choice import (
    ShownObject,
    check_has_view,
    choose,
    shown_object,
    views_by_name,
)
from proto_saga_ns.plugin.model.render import render
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.scene.shown import at_granularity, instances_at_level

if TYPE_CHECKING:
    from nerfstudio.cameras.cameras import Cameras

    from proto_saga_ns.plugin.model.proto_saga import ProtoSagaModel
    from proto_saga_ns.scene import SegmentedScene

View = tuple[Path, "Cameras", Tensor]


@dataclass(frozen=True)
class RemovalResult:
    """Figures of one object.

    Attributes:
        choice: what was taken out.
        num_gaussians: that went with it.
        protocol: the figures.
    """

    choice: Choice
    num_gaussians: int
    protocol: RemovalProtocol


def evaluate_removal(
    model: ProtoSagaModel,
    scene: SegmentedScene,
    views: tuple[Sequence[View], Sequence[View]],
    ground_truth: Path,
    masks: Path | None,
    chosen: tuple[int, ...] | Prompt,
    granularity: float,
) -> RemovalResult:
    """Take an object out, and compare all test views with images that do not show it.

    Args:
        model: what is rendered.
        scene: its segmentation.
        views: of training, and of testing.
        ground_truth: folder of the images without the object, called as the test views.
        masks: folder with the object's mask in each test view; None for the pixels that the run itself gives to it.
        chosen: ids of what is taken out; or how it is shown in a view, which without masks is by clicks.
        granularity: of the level that ids are of.

    Raises:
        ProtoSagaError: no test view, no image or mask of one, no such instance, or nothing was chosen.
    """
    training, testing = views
    images = [path for path, _, _ in testing]
    if not images:
        raise ProtoSagaError("The run has no test view. The protocol removal compares these with the ground truth.")
    truths = _files_of(images, ground_truth, PHOTOS, "image without the object")
    regions = None if masks is None else _files_of(images, masks, {".png"}, "mask of the object")
    choice = _choice(model, scene, [*training, *testing], masks, chosen, granularity)
    gone = gaussians_of(model, scene, choice)
    protocol = RemovalProtocol()
    for index, (path, camera, _) in enumerate(console_bar(list(testing), "Comparing views")):
        removal = without(model, camera, gone)
        truth = _read_image(truths[index], removal.after.shape[:2])
        if regions is None:
            region = np.isin(segment_view(model, scene, camera, choice.granularity).labels, choice.ids)
        else:
            region = _resized(read_object_mask(regions[index]), *truth.shape[:2])
        protocol.add(view_name(path), truth, removal, grown(region) if region.any() else region)
    return RemovalResult(choice, int(gone.sum()), protocol)


def _choice(
    model: ProtoSagaModel,
    scene: SegmentedScene,
    views: Sequence[View],
    masks: Path | None,
    chosen: tuple[int, ...] | Prompt,
    granularity: float,
) -> Choice:
    if not isinstance(chosen, Prompt):
        return Choice(granularity, tuple(sorted(chosen)))
    by_name = views_by_name(views)
    if masks is not None:
        shown = shown_object(by_name, masks, chosen.reference)
    else:
        assert chosen.reference is not None and chosen.clicks
        check_has_view(by_name, chosen.reference)
        shown = ShownObject({}, chosen.reference, None)
    choice = choose(model, scene, by_name[shown.reference][1], shown, chosen)
    if not choice.ids:
        raise ProtoSagaError(
            f"Nothing was chosen in the reference view {shown.reference}: no instance lies mostly on the mask, or under"
            " the clicks. Choose another view with --reference, or ids with --instances."
        )
    return choice


@torch.no_grad()
def gaussians_of(model: ProtoSagaModel, scene: SegmentedScene, choice: Choice) -> Bool[Tensor, " N"]:
    """Which Gaussians go with what was chosen, as those of hidden instances do.

    Raises:
        ProtoSagaError: no Gaussian belongs to one of the ids.
    """
    level = at_granularity(scene, choice.granularity, model.num_points)
    ids = instances_at_level(level, model.embeddings, model.means.detach()).ids
    for number in choice.ids:
        if not bool((ids == number).any()):
            known = ", ".join(map(str, [number for number in ids.unique().tolist() if number][:20]))
            raise ProtoSagaError(f"--instances {number}: no Gaussian belongs to it. At this level there are {known}.")
    return torch.isin(ids, torch.tensor(choice.ids, dtype=ids.dtype, device=ids.device))


@torch.no_grad()
def without(model: ProtoSagaModel, camera: Cameras, gone: Bool[Tensor, " N"]) -> Removal:
    """A view with and without some Gaussians."""
    view, background = model.view_of(camera.to(model.device), corrected=False), model.background_color.to(model.device)
    degree = model.config.sh_degree or None
    pictures = [
        render(model.gaussians(kept, cropped=False), view, sh_degree=degree, with_depth=False)[0]
        for kept in (None, ~gone.to(model.device))
    ]
    before, after = (picture.over(background).cpu().numpy() for picture in pictures)
    alpha_before, alpha_after = (picture.alpha[..., 0].cpu().numpy() for picture in pictures)
    return Removal(before, after, alpha_before, alpha_after)


def _files_of(images: Sequence[Path], folder: Path, suffixes: frozenset[str] | set[str], what: str) -> list[Path]:
    there = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes] if folder.is_dir() else []
    found = match_views(files_by_name(folder, there), images)
    for image, file in zip(images, found, strict=True):
        if file is None:
            raise ProtoSagaError(
                f"The test view {view_name(image)} has no {what} in {folder}; every test view needs one."
            )
    return [file for file in found if file is not None]


def _read_image(file: Path, size: tuple[int, ...]) -> Float[np.ndarray, "H W 3"]:
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"), np.float32) / 255
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ProtoSagaError(f"The image {file} cannot be read ({error}).") from error
    if pixels.shape[:2] != tuple(size):
        sizes = " and ".join(f"{width}x{height}" for height, width in (pixels.shape[:2], size))
        raise ProtoSagaError(f"{file} and the rendered view are {sizes} pixels. Give images of the size of the run's.")
    return pixels


def _resized(mask: Bool[np.ndarray, "H W"], height: int, width: int) -> Bool[np.ndarray, "H2 W2"]:
    return resize_label_map(mask.astype(np.int32), height, width) > 0
