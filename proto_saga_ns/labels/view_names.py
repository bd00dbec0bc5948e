"""What a view is called: its label map, and every other file of it, has this name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from proto_saga_ns.errors import ProtoSagaError

_IMAGES = re.compile(r"images(_\d+)?")
"""A folder of images: nerfstudio's and COLMAP's, and nerfstudio's downscaled ones."""

File = TypeVar("File")


def view_name(image: PurePath) -> str:
    """The name of a view: its file's, without the suffix, and in sub-folders of images/ with these.

    A rig keeps the photos of each camera in a folder of its own, under the same names: ``images/left/0001.jpg`` is
    the view ``left/0001``, and its label map ``masks/left/0001.png``.
    """
    return "/".join((*(_folders_in_images(image) or ()), image.stem))


def unique_names(images: Iterable[Path]) -> dict[str, Path]:
    """Images by the name of their view.

    Raises:
        ProtoSagaError: two images have the same; the message names both.
    """
    by_name: dict[str, Path] = {}
    for path in images:
        other = by_name.setdefault(view_name(path), path)
        if other != path:
            raise ProtoSagaError(
                f"Two images share the name {view_name(path)!r}: {other} and {path}. Label maps are matched to images "
                "by name without extension: rename one of them, or give each camera a sub-folder of images/."
            )
    return by_name


def files_by_name(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Files by their place in ``folder`` without the suffix, as ``match_views`` takes them.

    Raises:
        ProtoSagaError: two differ in nothing but the suffix.
    """
    by_name: dict[str, Path] = {}
    for path in files:
        other = by_name.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        if other != path:
            raise ProtoSagaError(f"{other} and {path} have the same name but for the suffix: remove one of them.")
    return by_name


def match_views(files: Mapping[str, File], images: Sequence[Path]) -> list[File | None]:
    """What belongs to every image; None where there is nothing.

    Args:
        files: by name, each with the sub-folders that it has, such as ``left/0001``; those before a folder images/
            mean nothing.
        images: of the views. If none of them has a file of its whole name, the last part of names counts alone: the
            masks of ``images/left/0001.jpg`` may all lie in one folder, those of ``images/0001.jpg`` in several.

    Raises:
        ProtoSagaError: by the last part alone, two files belong to one image, or one to two.
    """
    whole = {_name_of_file(PurePath(name)): file for name, file in files.items()}
    found = [whole.get(view_name(image)) for image in images]
    return found if any(file is not None for file in found) else _match_last_parts(files, images)


def _match_last_parts(files: Mapping[str, File], images: Sequence[Path]) -> list[File | None]:
    wanted: dict[str, Path] = {}
    for image in images:
        wanted.setdefault(image.stem, image)
    found: dict[str, str] = {}
    for name in files:
        last = name.rpartition("/")[2]
        if last in wanted and found.setdefault(last, name) != name:
            raise ProtoSagaError(
                f"The image {wanted[last]} has two label maps, {found[last]} and {name}. Lay them out as the images "
                f"are, in the same sub-folders: {view_name(wanted[last])}."
            )
    for image in images:
        if image.stem in found and wanted[image.stem] != image:
            raise ProtoSagaError(
                f"The label map {found[image.stem]} fits two images by its name, {wanted[image.stem]} and {image}. Lay "
                f"label maps out as the images are, in the same sub-folders: {view_name(image)}."
            )
    return [files[found[image.stem]] if image.stem in found else None for image in images]


def _name_of_file(path: PurePath) -> str:
    folders = _folders_in_images(path)
    return "/".join((*(path.parts[:-1] if folders is None else folders), path.name))


def _folders_in_images(path: PurePath) -> tuple[str, ...] | None:
    """The folders between a folder of images and a file in it; None if it is in no such folder."""
    folders = path.parts[:-1]
    places = [index for index, folder in enumerate(folders) if _IMAGES.fullmatch(folder)]
    return folders[places[-1] + 1 :] if places else None
