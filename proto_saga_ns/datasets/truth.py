"""Ground truth beside images: each view has it, as whole numbers, at the right size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from proto_saga_ns.datasets.files import Header, read_header
from proto_saga_ns.datasets.report import Finding, Severity, about
from proto_saga_ns.labels.png import is_whole

UNDISTORTION = 0.1
"""COLMAP crops and scales an image a little when it removes lens distortion; by less than this share of a side."""


def check_there(views: Mapping[Path, Path], what: str, remedy: str, severity: Severity = "error") -> list[Finding]:
    """That the ground truth of views is there.

    Args:
        views: where the truth of each image should lie.
        what: kind of views, such as ``test views``.
    """
    folders = {truth.parent for truth in views.values()}
    there = {path for folder in folders if folder.is_dir() for path in folder.iterdir()}
    missing = [truth for truth in views.values() if truth not in there]
    return about(severity, missing, f"{len(missing)} of {len(views)} {what} have no ground truth", remedy)


def check_maps(views: Iterable[tuple[Path, Path]], remedy: str, *, colours_are_fine: bool = False) -> list[Finding]:
    """That the ground truth that is there is whole, holds ids, and is as large as the images.

    Args:
        views: images and their ground truth; where one is missing, others say so.
        colours_are_fine: masks of phrases count as grey, so colours are no error.
    """
    images = {truth: image for image, truth in views if image.is_file() and truth.is_file()}
    headers = {truth: read_header(truth) for truth in images}
    damaged = [truth for truth, header in headers.items() if header is None or not is_whole(truth)]
    sound = {truth: header for truth, header in headers.items() if header is not None and truth not in damaged}
    return [
        *about("error", damaged, f"{len(damaged)} ground-truth maps are no PNG files, or are cut off", remedy),
        *_check_modes(sound, colours_are_fine, remedy),
        *_check_sizes(images, sound, remedy),
    ]


def _check_modes(headers: Mapping[Path, Header], colours_are_fine: bool, remedy: str) -> list[Finding]:
    colours = [truth for truth, header in headers.items() if not header.holds_ids]
    if colours_are_fine:
        how = "Nothing to do: as in Gaussian Grouping's script, over 128 in grey is the mask."
        return about("note", colours, f"{len(colours)} masks are colour pictures", how)
    return about(
        "error",
        colours,
        f"{len(colours)} ground-truth maps are colour pictures, not ids in one channel",
        f"Those are for looking at (vis_...). {remedy}",
    )


def _check_sizes(images: Mapping[Path, Path], headers: Mapping[Path, Header], remedy: str) -> list[Finding]:
    cropped: dict[Path, str] = {}
    wrong: dict[Path, str] = {}
    photos = {image: read_header(image) for image in set(images.values())}
    for truth, header in headers.items():
        photo = photos[images[truth]]
        if photo is not None and photo.size != header.size:
            group = cropped if _is_near(photo, header) else wrong
            group[truth] = f"{header.size} for an image of {photo.size}"
    return [
        *about(
            "note",
            list(cropped),
            f"{len(cropped)} ground-truth maps are of the distorted images, while the images were undistorted "
            f"({_first(cropped)})",
            "Nothing to do: the protocol resizes predictions to the ground truth (nearest), so borders are a little "
            "off, in the peers' figures too.",
        ),
        *about(
            "error",
            list(wrong),
            f"{len(wrong)} ground-truth maps are of quite another size than their images ({_first(wrong)})",
            remedy,
        ),
    ]


def _is_near(photo: Header, truth: Header) -> bool:
    sides = ((photo.width, truth.width), (photo.height, truth.height))
    return all(abs(a - b) <= UNDISTORTION * b for a, b in sides)


def _first(examples: Mapping[Path, str]) -> str:
    return next(iter(examples.values()), "")
