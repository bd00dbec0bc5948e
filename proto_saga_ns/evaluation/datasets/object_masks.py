"""Where the masks of one object lie, of plain folders and as NVOS and SPIn-NeRF lay them out, and which view is whose.

A plain folder holds ``<view>.png``; what is not 0 is the object. SPIn-NeRF has ``<view>_pseudo.png`` and
``<view>_cutout.png`` beside each, for looking at. NVOS has one mask for each object, in folders side by side::

    llff/masks/horns_left/<view>_mask.png, <view>.JPG            true mask of the only view that counts
         reference_image/horns_left/<view>.JPG                   says by its name which view is the reference
         scribbles/horns_left/pos_0_horns.png, neg_0_horns.png   on the object and beside it, at a quarter of the size
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image, UnidentifiedImageError

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import PHOTOS, files_in
from proto_saga_ns.evaluation.folders import label_maps_in
from proto_saga_ns.files import natural_key
from proto_saga_ns.labels.view_names import match_views, view_name

FOR_LOOKING = ("_pseudo", "_cutout")
"""How names of SPIn-NeRF's pictures end that are no masks."""
MASK = "_mask"
"""How names of NVOS's masks end."""
NVOS_FOLDERS = ("masks", "reference_image", "scribbles")
_NUMBERED = re.compile(r"image(\d+)")
_SPLIT = re.compile(r"[01]_")


@dataclass(frozen=True)
class Scribbles:
    """Strokes in the reference view, as masks of any size.

    Attributes:
        positive: on the object.
        negative: beside it.
    """

    positive: Path
    negative: Path


@dataclass(frozen=True)
class ObjectMasks:
    """The true masks of one object.

    Attributes:
        files: by the names that the data set gives to views.
        reference: the view in which the object is shown, where the layout says so.
        scribbles: in that view, where there are some.
    """

    files: dict[str, Path]
    reference: str | None = None
    scribbles: Scribbles | None = None


def object_masks(folder: Path) -> ObjectMasks:
    """The masks in a folder of any of these layouts.

    Raises:
        ProtoSagaError: there is none, or it is the folder of all objects of NVOS, or a part of NVOS is missing.
    """
    if all((folder / name).is_dir() for name in NVOS_FOLDERS):
        tasks = ", ".join(sorted(path.name for path in (folder / "masks").iterdir() if path.is_dir()))
        raise ProtoSagaError(f"{folder} holds several objects of NVOS. Give one of them: {folder / 'masks'}/({tasks}).")
    found = label_maps_in(folder)
    files = {name: path for name, path in found.items() if not _is_for_looking(name, found)}
    root, task = folder.resolve().parent.parent, folder.resolve().name
    if not all((root / name).is_dir() for name in NVOS_FOLDERS):
        return ObjectMasks(files)
    files = {name.removesuffix(MASK): path for name, path in files.items() if name.endswith(MASK)}
    if not files:
        raise ProtoSagaError(f"{folder} holds no <view>{MASK}.png, the true mask of NVOS.")
    return ObjectMasks(files, nvos_reference(root, task), nvos_scribbles(root, task))


def _is_for_looking(name: str, all_names: Mapping[str, Path]) -> bool:
    return any(name.endswith(ending) and name.removesuffix(ending) in all_names for ending in FOR_LOOKING)


def nvos_reference(root: Path, task: str) -> str:
    """Name of the reference view of one object of NVOS.

    Raises:
        ProtoSagaError: there is no such image, or several.
    """
    images = files_in(root / "reference_image" / task, PHOTOS)
    if len(images) != 1:
        raise ProtoSagaError(
            f"{root / 'reference_image' / task} holds {len(images)} images; expected one, called as the reference view."
        )
    return next(iter(images))


def nvos_scribbles(root: Path, task: str) -> Scribbles:
    """The strokes of one object of NVOS.

    Raises:
        ProtoSagaError: one of the two is missing, or there are several.
    """
    folder = root / "scribbles" / task
    found = [sorted(folder.glob(f"{kind}_*.png")) for kind in ("pos", "neg")]
    if any(len(files) != 1 for files in found):
        raise ProtoSagaError(f"{folder} needs one pos_*.png and one neg_*.png, the scribbles of NVOS.")
    return Scribbles(found[0][0], found[1][0])


def masks_of_views(files: Mapping[str, Path], images: Sequence[Path]) -> dict[str, Path]:
    """The masks by the names of the views of a run, in natural order.

    Names are those of the images; or, in some scenes of SPIn-NeRF, of the images after ``0_`` or ``1_``, or
    ``image007`` for the eighth image in name order. One rule holds for all masks.

    Args:
        files: by the names that the data set gives.
        images: of all views of the run.

    Raises:
        ProtoSagaError: a mask belongs to no view.
    """
    for renamed in (dict(files), _without_split(files), _numbered(files, images)):
        found = match_views(renamed, images) if len(renamed) == len(files) else []
        pairs = {view_name(image): file for image, file in zip(images, found, strict=False) if file is not None}
        if len(pairs) == len(files):
            return {name: pairs[name] for name in sorted(pairs, key=natural_key)}
    known = {*match_views(dict(files), images)}
    name, file = next((name, file) for name, file in files.items() if file not in known)
    some = ", ".join(view_name(image) for image in images[:3])
    raise ProtoSagaError(
        f"{file} is the mask of a view {name} that the run does not have: it has {len(images)}, such as {some}. Masks "
        "are called as the images; train on all images that have one, for training or for testing."
    )


def _without_split(files: Mapping[str, Path]) -> dict[str, Path]:
    return {_SPLIT.sub("", name, count=1) if _SPLIT.match(name) else name: file for name, file in files.items()}


def _numbered(files: Mapping[str, Path], images: Sequence[Path]) -> dict[str, Path]:
    names = sorted(view_name(image) for image in images)
    numbers = [_NUMBERED.fullmatch(name) for name in files]
    found = [int(number[1]) for number in numbers if number and int(number[1]) < len(names)]
    return dict(zip((names[number] for number in found), files.values(), strict=False))


def read_object_mask(file: Path) -> Bool[np.ndarray, "H W"]:
    """An image as a mask: what is not 0 is inside, in a colour picture what is not black.

    Raises:
        ProtoSagaError: it cannot be read.
    """
    try:
        with Image.open(file) as image:
            keeps_ids = (image.mode or "") in ("1", "L", "P") or (image.mode or "").startswith("I")
            values = np.asarray(image if keeps_ids else image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise ProtoSagaError(f"The mask {file} cannot be read ({error}). Expected a PNG, 0 outside.") from error
    return (values > 0) if values.ndim == 2 else (values > 0).any(axis=-1)
