"""Ground truth beside images: each view has it, as whole numbers, at the right size."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from proto_saga_ns.evaluation.datasets.findings import Finding, Header, Severity, about, read_header
from proto_saga_ns.labels.label_map import is_whole

UNDISTORTION = 0.1
"""COLMAP crops and scales an image a little when it removes lens distortion; by less than this share of a side."""
LISTS = ("train_list.txt", "val_list.txt", "test_list.txt")
"""Files in which nerfstudio's ``colmap`` data parser looks for the names of the images of each split."""


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


def check_split_lists(scene: Path, train: Collection[str], test: Collection[str]) -> list[Finding]:
    """A note if nerfstudio would not split a scene as the protocol does.

    Test views lie in ``images/`` beside the training views, and without lists nerfstudio trains on seven of eight.

    Args:
        train: names of the images to train on.
        test: names of those to evaluate on.
    """
    wanted = dict(zip(LISTS, (set(train), set(test), set(test)), strict=True))
    wrong = [name for name, images in wanted.items() if _listed(scene / name) != images]
    if not wrong or not test:
        return []
    return [
        Finding(
            "note",
            scene / wrong[0],
            "without these lists, nerfstudio's colmap parser holds out every eighth view and trains on test views",
            "Train with the data parser benchmark-data, which splits as the benchmark does. For other methods write "
            f"the {len(train)} names of training images into train_list.txt and the {len(test)} of test images into "
            "val_list.txt and test_list.txt, one a line, beside images/.",
        )
    ]


def _listed(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    return {line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line}
