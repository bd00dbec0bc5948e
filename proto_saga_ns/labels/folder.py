"""Folders of label maps beside a folder of images: finding them, matching names, checking them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.label_map import label_ids, read_label_map
from proto_saga_ns.labels.view_names import files_by_name, match_views, unique_names, view_name

MASK_FOLDERS = ("masks", "raw_sam_mask", "sam_mask", "object_mask")
"""Names looked for beside the images, the first one wins: ours, Gaga's two, Gaussian Grouping's."""

FOLDERS = "/"
CONVERTED = {".tif": "tiff", ".tiff": "tiff", ".npy": "npy", ".npz": "npy", ".json": "sam-json", FOLDERS: "sam-pngs"}
"""Files that other programs keep masks in, and the format by which ``convert-masks`` reads them."""

FILES_OF_WINDOWS = frozenset({"thumbs.db", "desktop.ini"})
LINES = 0.5
"""Share of ids in no more than lines of pixels, from which on label maps look as though colours had been blended."""

_DOWNSCALED = re.compile(r"(.+)_\d+")


@dataclass(frozen=True)
class LabelMapCheck:
    """What a look at every label map found; the lists are parallel to the views."""

    ids: list[Int32[np.ndarray, " _L"]]
    """ids in each view's file, ascending; empty without a file"""
    labelled: list[float]
    """share of labelled pixels; 0 without a file"""
    lines: float = 0.0
    """share of all ids that have no pixel amid others of theirs"""

    def summary(self) -> str:
        """One line: label maps, masks a view, labelled pixels."""
        shares = [share for share, ids in zip(self.labelled, self.ids, strict=True) if len(ids)]
        masks = [len(ids) for ids in self.ids if len(ids)]
        return (
            f"{len(masks)} label maps, {np.mean(masks):.0f} masks a view ({min(masks)} to {max(masks)}), "
            f"{np.mean(shares):.0%} of the pixels labelled"
        )


def find_mask_folder(folder: Path, exclude: Collection[Path] = ()) -> Path | None:
    """The first of ``MASK_FOLDERS`` in ``folder`` that holds a PNG, there or below.

    Args:
        exclude: folders known to hold something else.
    """
    for candidate in (folder / name for name in MASK_FOLDERS):
        if candidate not in exclude and any(_is_png(path) for path in _files_below(candidate)):
            return candidate
    return None


def check_no_other_masks(data: Path, exclude: Collection[Path] = ()) -> None:
    """None of ``MASK_FOLDERS`` is full of masks that are no PNGs.

    Raises:
        ProtoSagaError: one is; what it holds, and how to convert it.
    """
    for candidate in (data / name for name in MASK_FOLDERS):
        kinds = Counter(path.suffix.lower() for path in _files_below(candidate))
        if kinds and candidate not in exclude and ".png" not in kinds:
            kind, count = kinds.most_common(1)[0]
            raise ProtoSagaError(
                f"{candidate} holds no PNG, but {count} files {kind or 'without suffix'}. "
                f"{_conversion(data, candidate, kind)}"
            )


def _conversion(data: Path, folder: Path, kind: str) -> str:
    if kind not in CONVERTED:
        return "Save the ids of its masks as grey PNGs of 8 or 16 bits, or choose another source with --mask-source."
    into = data / "label_maps"
    return (
        f"Convert them: proto-saga convert-masks {data} --from {CONVERTED[kind]} {folder} --to label-maps {into}; then "
        f"train with --mask-dir {into}."
    )


def mask_files(folder: Path) -> list[Path]:
    """The PNGs of a folder and of those below, one for each folder of images."""
    return sorted(path for path in _files_below(folder) if _is_png(path))


def has_mask_of(folder: Path, image_paths: Sequence[Path]) -> bool:
    """Whether a folder has the label map of one of the images."""
    return folder.is_dir() and any(match_views(files_by_name(folder, mask_files(folder)), image_paths))


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if _is_mask_file(path))


def _is_mask_file(path: Path) -> bool:
    """Whether somebody put it there, and not a file manager (._a.png, .DS_Store, Thumbs.db)."""
    return not path.name.startswith(".") and path.name.lower() not in FILES_OF_WINDOWS and path.is_file()


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def find_masks_of(data: Path, images: Sequence[Path], exclude: Collection[Path] = ()) -> Path | None:
    """The mask folder that belongs to some images: in the data folder, or beside the folder of the first image.

    Args:
        exclude: folders known to hold something else.
    """
    places = dict.fromkeys([data, *(path.parent.parent for path in images[:1])])
    return next(filter(None, (find_mask_folder(place, exclude) for place in places)), None)


def named_mask_folder(folder: Path, data: Path) -> Path:
    """The folder that ``--mask-dir`` names, absolute: seen from the current folder, else from the folder of the data.

    Raises:
        ProtoSagaError: it is in neither.
    """
    places = list(dict.fromkeys((place / folder).resolve() for place in (Path.cwd(), data)))
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        looked = " or ".join(map(str, places))
        raise ProtoSagaError(f"--mask-dir {folder} does not exist: no folder {looked}. Give an existing one.")
    return found


def index_masks(folder: Path, image_paths: Sequence[Path]) -> list[Path | None]:
    """The label map of every image, matched by name as ``match_views`` does; None where there is none.

    Raises:
        ProtoSagaError: the folder does not exist, two views share a name, two masks fit one view, or no image has a
            mask.
    """
    if not folder.is_dir():
        raise ProtoSagaError(f"The mask folder {folder} does not exist. Give an existing one with --mask-dir.")
    unique_names(image_paths)
    masks = files_by_name(folder, mask_files(folder))
    found = match_views(masks, image_paths)
    if not any(found):
        if any((folder / view_name(image)).is_dir() for image in image_paths):
            raise ProtoSagaError(
                f"{folder} holds a folder of PNGs for each image, one file a mask. "
                f"{_conversion(folder.parent, folder, FOLDERS)}"
            )
        example = f"{folder / view_name(image_paths[0])}.png" if image_paths else f"{folder}/<image name>.png"
        raise ProtoSagaError(
            f"None of the {len(image_paths)} images has a label map in {folder} ({len(masks)} PNG files "
            f"there). Expected one PNG per image with the same name, for example {example}."
        )
    return found


def check_label_maps(mask_paths: Sequence[Path | None], image_paths: Sequence[Path]) -> LabelMapCheck:
    """Read every label map once.

    Args:
        mask_paths: parallel to ``image_paths``; None for a view without a label map.

    Raises:
        ProtoSagaError: a file is unreadable, is of another size than its image, or no file has any label.
    """
    ids, labelled, bodies = [], [], 0
    for mask_path, image_path in zip(mask_paths, image_paths, strict=True):
        labels = np.zeros((1, 1), np.int32) if mask_path is None else read_label_map(mask_path)
        if mask_path is not None:
            check_size(mask_path, (labels.shape[1], labels.shape[0]), image_path)
        ids.append(label_ids(labels))
        labelled.append(float(np.count_nonzero(labels) / labels.size))
        bodies += len(label_ids(amid_others(labels)))
    files = [path for path in mask_paths if path is not None]
    if files and not any(len(view) for view in ids):
        raise ProtoSagaError(
            f"All {len(files)} label maps in {files[0].parent} are empty (0 everywhere). Expected ids from 1 "
            "for the masks of a view: make the masks again, or choose another source with --mask-source."
        )
    total = sum(map(len, ids))
    return LabelMapCheck(ids, labelled, (total - bodies) / max(total, 1))


def amid_others(
    labels: Int32[np.ndarray, "H W"],
) -> Int32[np.ndarray, "{max(0,labels.shape[0]-2)} {max(0,labels.shape[1]-2)}"]:
    """The pixels whose eight neighbours have the same id, in an image without its border; 0 elsewhere."""
    rows = (labels[:-2] == labels[1:-1]) & (labels[1:-1] == labels[2:])
    columns = (labels[:, :-2] == labels[:, 1:-1]) & (labels[:, 1:-1] == labels[:, 2:])
    return np.where(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:] & columns[1:-1], labels[1:-1, 1:-1], 0)


def check_size(mask_path: Path, mask_size: tuple[int, int], image_path: Path) -> None:
    """A label map fits its image, or the full-size original of an image that was downscaled.

    Args:
        mask_size: width and height.

    Raises:
        ProtoSagaError: neither size is the mask's.
    """
    size = image_size(image_path)
    if mask_size == size:
        return
    original = full_size_image(image_path)
    if original is not None and mask_size == image_size(original):
        return
    raise ProtoSagaError(
        f"The label map {mask_path} is {mask_size[0]}x{mask_size[1]}, but its image {image_path} is "
        f"{size[0]}x{size[1]}. Make the label map from this image, at its full size."
    )


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file.

    Raises:
        ProtoSagaError: it is unreadable.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ProtoSagaError(f"Cannot read the image {path}: {error}.") from error


def full_size_image(image_path: Path) -> Path | None:
    """The original of an image in nerfstudio's downscaled folders: images_4/a.jpg came from images/a.jpg."""
    for folder in image_path.parents:
        if match := _DOWNSCALED.fullmatch(folder.name):
            original = folder.with_name(match[1]) / image_path.relative_to(folder)
            if original.is_file():
                return original
    return None
