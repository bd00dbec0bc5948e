"""From the mask options and the images of a split to one checked label map per view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Int, Int32
from nerfstudio.utils.rich_utils import CONSOLE
from rich.markup import escape
from torch import Tensor

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.kernels.device import network_device
from proto_saga_ns.labels import (
    LINES,
    MASK_FOLDERS,
    check_label_maps,
    check_no_other_masks,
    find_masks_of,
    has_mask_of,
    index_masks,
    named_mask_folder,
    read_label_map,
    renumber,
    resize_label_map,
)
from proto_saga_ns.masks.cache import ensure_masks, find_cached_masks
from proto_saga_ns.masks.segmenters import ModelSegmenter
from proto_saga_ns.mastsam.frames import Camera
from proto_saga_ns.plugin.console_bar import console_bar
from proto_saga_ns.plugin.data.mask_options import MaskOptions
from proto_saga_ns.plugin.data.segmenter_choice import Backend, choose_automatically, make_segmenter
from proto_saga_ns.plugin.data.tracked_masks import track_views

T = TypeVar("T")


@dataclass(frozen=True)
class ViewLabelMaps:
    """The label maps of a split; the lists are parallel to its views."""

    paths: list[Path | None]
    """None for a view without a label map"""
    ids: list[Int32[np.ndarray, " _L"]]
    """the ids in each file; label l of a view is ids[l - 1] in its file"""
    source: str
    """where they come from, for people"""

    def read(self, view: int, height: int, width: int) -> Int[Tensor, "height width"]:
        """Label map of a view with labels 1..L without gaps, resized to an image of this size.

        All zeros without a file, so that batches always have the same keys. 16 bits where they suffice: the
        label maps of all views stay in memory.
        """
        path, ids = self.paths[view], self.ids[view]
        if path is None:
            return torch.zeros((height, width), dtype=torch.int16)
        labels = renumber(resize_label_map(read_label_map(path), height, width), ids)
        return torch.from_numpy(labels.astype(np.int16 if len(ids) < 2**15 else np.int32))


@dataclass(frozen=True)
class SplitImages:
    """The images of a split, and where they belong."""

    data_dir: Path
    paths: Sequence[Path]
    taken: frozenset[Path] = frozenset()
    """folders that hold something other than label maps, such as the masks of moving things of the parser"""
    shares_stems: bool = False
    """whether the images of other splits have the same names, as Blender's do"""
    is_train: bool = True
    cameras: Sequence[Camera] | None = None
    """None if they are not known, or the lenses are no pinholes"""


def label_maps_for(images: SplitImages, options: MaskOptions) -> ViewLabelMaps:
    """Find or make the label maps of a split, check them, and say what was found.

    Raises:
        ProtoSagaError: there are none and none can be made, or they are bad (see ``proto_saga_ns.labels``).
    """
    if options.mask_source == "mastsam":
        folder = _track(images, options)
    else:
        folder = _folder(images, options) or _make_masks(images, options)
    paths = index_masks(folder, images.paths)
    check = check_label_maps(paths, images.paths)
    CONSOLE.log(f"Masks from {escape(str(folder))}: {check.summary()}")
    if check.lines > LINES:
        CONSOLE.print(
            f"[bold yellow]{check.lines:.0%} of the masks in {escape(str(folder))} are no more than lines between "
            "others. Label maps that were resized with interpolation, drawn with smooth borders or saved as JPEG look "
            "like this: ids were blended as colours are, and made new ones. Make them again, without such steps."
        )
    _report_missing(paths, images.paths)
    return ViewLabelMaps(paths, check.ids, str(folder))


def existing_label_maps_for(images: SplitImages, options: MaskOptions) -> ViewLabelMaps | None:
    """The label maps of a split that does without them if need be, such as the test views; makes none."""
    if options.mask_source == "mastsam":
        return None  # Training views are tracked, no others.
    folder = _folder(images, options)
    if folder is None:
        folder = _cached(images, options)
    if folder is None or not has_mask_of(folder, images.paths):
        return None
    paths = index_masks(folder, images.paths)
    return ViewLabelMaps(paths, check_label_maps(paths, images.paths).ids, str(folder))


def _track(images: SplitImages, options: MaskOptions) -> Path:
    own = label_maps_for(images, replace(options, mask_source=options.mastsam_masks))
    return track_views(images.paths, own.paths, images.cameras, images.data_dir, options)


def _folder(images: SplitImages, options: MaskOptions) -> Path | None:
    """The folder of given masks; None if they are to be made."""
    if options.mask_source not in ("auto", "folder"):
        if options.mask_dir is not None:
            raise ProtoSagaError(
                f"--mask-dir names a folder of masks, but --mask-source {options.mask_source} makes them anew. "
                "Give one of the two, or --mask-source folder."
            )
        return None
    folder = _given_folder(images, options)
    if folder is None and images.is_train:
        check_no_other_masks(images.data_dir, images.taken)
    if folder is None and options.mask_source == "folder" and images.is_train:
        raise ProtoSagaError(
            f"No masks: none of {', '.join(MASK_FOLDERS)} in {images.data_dir} holds PNG files. Put one PNG "
            "per image there, with the image's name, or give their folder with --mask-dir."
        )
    return folder


def _given_folder(images: SplitImages, options: MaskOptions) -> Path | None:
    if options.mask_dir is not None:
        folder: Path | None = named_mask_folder(options.mask_dir, images.data_dir)
    else:
        folder = find_masks_of(images.data_dir, images.paths, images.taken)
    if folder is None or not images.shares_stems:
        return folder
    # Blender's train/r_0.png and test/r_0.png: masks/train/ if there is one, else masks/ is of the training
    # views.
    nested = folder / images.paths[0].parent.name
    if nested.is_dir():
        return nested
    return folder if images.is_train else None


def _cached(images: SplitImages, options: MaskOptions) -> Path | None:
    """The folder of masks that were made before for all of these images, if there is one."""
    found = (_cached_by(backend, images, options) for backend in _candidates(options))
    return next((folder for folder in found if folder is not None), None)


def _cached_by(backend: Backend, images: SplitImages, options: MaskOptions) -> Path | None:
    return find_cached_masks(images.paths, make_segmenter(backend, options), images.data_dir)


def _candidates(options: MaskOptions) -> list[Backend]:
    """The backends whose masks are welcome, the best first."""
    match options.mask_source:
        case "sam" | "sam2" | "superpixel":
            return [options.mask_source]
        case "auto":
            # Masks that Segment Anything made before, perhaps on another machine, need neither weights nor GPU.
            return ["sam", "superpixel"]
        case "folder" | "mastsam":
            return []


def _make_masks(images: SplitImages, options: MaskOptions) -> Path:
    backend = _automatic_backend(images, options) if options.mask_source == "auto" else options.mask_source
    assert backend not in ("folder", "mastsam")
    segmenter = make_segmenter(backend, options)
    if backend == "superpixel" and options.mask_source != "auto":
        CONSOLE.log("Masks are regions of similar colour (superpixel), a stand-in that knows no objects.")

    def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        # Before the bar: loading may show a bar of its own, or fail.
        if isinstance(segmenter, ModelSegmenter):
            _load(segmenter)
        return console_bar(items, f"{what} ({backend})", total)

    return ensure_masks(images.paths, segmenter, images.data_dir, progress)


def _automatic_backend(images: SplitImages, options: MaskOptions) -> Backend:
    """What ``auto`` means for images without a folder of masks; says so where everybody sees it."""
    missing = f"[bold yellow]No folder of masks ({', '.join(MASK_FOLDERS)}) beside the images:"
    if _cached_by("sam", images, options):
        CONSOLE.print(f"{missing} taking those that Segment Anything (sam) made before.")
        return "sam"
    choice = choose_automatically(options)
    # It may hold brackets, as in proto_saga_ns[sam], which are no markup.
    reason = escape(choice.reason)
    if choice.backend == "sam" and options.sam.checkpoint is None and _cached_by("superpixel", images, options):
        # A scene that was trained with them shall find them again, also after weights or a GPU have turned up.
        CONSOLE.print(
            f"{missing} taking the regions of similar colour (superpixel) that were made before. This stand-in knows "
            f"no objects. Better: --mask-source sam, for {reason}"
        )
        return "superpixel"
    if choice.backend == "superpixel":
        CONSOLE.print(
            f"{missing} cutting them into regions of similar colour instead (superpixel). This stand-in knows no "
            f"objects, and the segmentation will be no better than it is. {reason} into "
            f"{escape(str(images.data_dir / MASK_FOLDERS[0]))}, or name their folder with --mask-dir."
        )
    else:
        CONSOLE.print(
            f"{missing} making them with Segment Anything ({choice.backend}), because {reason} For a "
            "quick stand-in give --mask-source superpixel."
        )
    return choice.backend


def _load(segmenter: ModelSegmenter) -> None:
    device = network_device()
    if device.type == "cpu":
        CONSOLE.print(
            f"[bold yellow]Making masks ({segmenter.name}) without a GPU takes minutes a view. Smaller models "
            f"(--{segmenter.name}.model) and fewer points (--{segmenter.name}.points-per-side) are faster; what "
            "is done is kept if you stop."
        )
    segmenter.load()
    CONSOLE.log(f"The model for the masks ({segmenter.name}) is ready on {device}.")


def _report_missing(paths: Sequence[Path | None], image_paths: Sequence[Path]) -> None:
    missing = [image.name for path, image in zip(paths, image_paths, strict=True) if path is None]
    if missing:
        names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        CONSOLE.print(
            f"[bold yellow]{len(missing)} of {len(image_paths)} training views have no label map and train "
            f"colour alone: {names}"
        )
