"""One scene of LERF-Mask, as Gaussian Grouping's ``docs/dataset.md`` shows it and its scripts read it.

Test views are the images that are not in ``images_train``, counted from 0 in name order::

    figurines/images/frame_00001.jpg              all views
    figurines/images_train/frame_00001.jpg        training views again; only their names count
    figurines/sparse/0/cameras.bin, images.bin, points3D.bin
    figurines/test_mask/0/green apple.png         mask of a phrase in test view 0
    figurines/object_mask/                        Gaussian Grouping's tracked masks; not needed
    figurines/distorted/, figurines/stereo/       left over from COLMAP; not needed

Known: test view 1 of teatime has no masks (gaussian-grouping, issues 16 and 25), and object masks of test views are
black (issue 78).
"""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.evaluation.datasets.checks import check_maps, check_split_lists
from proto_saga_ns.evaluation.datasets.colmap import check_model, check_posed_images, posed_images
from proto_saga_ns.evaluation.datasets.findings import (
    PHOTOS,
    PNG,
    Finding,
    SceneReport,
    about,
    by_severity,
    files_in,
    folders_in,
)
from proto_saga_ns.labels.folder import find_mask_folder

PHRASES = {
    "figurines": (
        *("green apple", "green toy chair", "old camera", "porcelain hand", "red apple", "red toy chair"),
        "rubber duck with red hat",
    ),
    "ramen": ("chopsticks", "egg", "glass of water", "pork belly", "wavy noodles in bowl", "yellow bowl"),
    "teatime": (
        *("apple", "bag of cookies", "coffee mug", "cookies on a plate", "paper napkin", "plate", "sheep"),
        *("spoon handle", "stuffed bear", "tea in a glass"),
    ),
}
"""What ``render_lerf_mask.py`` asks for in each scene."""
SCENES = tuple(PHRASES)
WITHOUT_TRUTH = {"teatime": 1}
"""The test view of a scene whose masks were never published."""

_ARCHIVE = "Take it from the folder data/lerf_mask of Gaussian Grouping's files on huggingface.co."


def check_lerf_mask(scene: Path) -> SceneReport:
    """What is in one scene, and what is missing."""
    name, images = scene.resolve().name, files_in(scene / "images", PHOTOS)
    train = files_in(scene / "images_train", PHOTOS)
    views = _all_views(scene, images)
    test = [view for view in views if Path(view).stem not in train]
    masks = {number: files_in(scene / "test_mask" / str(number), PNG) for number in range(len(test))}
    findings = [
        *check_posed_images(scene, scene / "images", _ARCHIVE),
        *check_model(scene, _ARCHIVE),
        *_check_train(scene, images, train),
        *_check_masks(scene, test, masks, WITHOUT_TRUTH.get(name)),
        *_check_phrases(scene, {phrase for found in masks.values() for phrase in found}),
        *_tracked_masks(scene),
        *check_split_lists(scene, [view for view in views if view not in test], test),
    ]
    count = sum(map(len, masks.values()))
    return SceneReport(name, scene, len(views) - len(test), len(test), count, by_severity(findings))


def _all_views(scene: Path, images: dict[str, Path]) -> list[str]:
    """Names in the order in which test views are counted: that of the names that have a pose."""
    names = posed_images(scene / "sparse" / "0")
    return sorted(path.name for path in images.values()) if names is None else list(names)


def _check_train(scene: Path, images: dict[str, Path], train: dict[str, Path]) -> list[Finding]:
    folder = scene / "images_train"
    if not train:
        what = "no images in this folder, whose names tell training views from test views"
        return [Finding("error", folder, what, _ARCHIVE)]
    alone = [path for stem, path in train.items() if stem not in images]
    return about("error", alone if images else [], f"{len(alone)} training views are not in images/", _ARCHIVE)


def _check_masks(
    scene: Path, test: list[str], masks: dict[int, dict[str, Path]], without_truth: int | None
) -> list[Finding]:
    folder = scene / "test_mask"
    empty = [number for number, found in masks.items() if not found]
    views = ", ".join(f"{number} is {name}" for number, name in list(enumerate(test))[:8])
    missing = [folder / str(number) for number in empty if number != without_truth]
    extra = [path for path in folders_in(folder) if path.name not in map(str, masks)]
    findings = [
        *about(
            "error", missing, f"{len(missing)} of {len(test)} test views have no masks (test view {views})", _ARCHIVE
        ),
        *about("error", extra, f"masks of test views that are not there (there are {len(test)}: {views})", _ARCHIVE),
        *([Finding("error", folder, "there are no test views", _ARCHIVE)] if not test else []),
    ]
    if without_truth in empty:
        what = f"test view {without_truth} ({test[without_truth]}) has no masks; none were ever published"
        how = "Nothing to do: it takes no part in the figures, nor in those of the peers."
        findings.append(Finding("note", folder / str(without_truth), what, how))
    pairs = [(scene / "images" / test[number], mask) for number, found in masks.items() for mask in found.values()]
    return findings + check_maps(pairs, _ARCHIVE, colours_are_fine=True)


def _check_phrases(scene: Path, found: set[str]) -> list[Finding]:
    wanted = PHRASES.get(scene.resolve().name, ())
    missing = [Path(f"{phrase}.png") for phrase in wanted if phrase not in found]
    if not found or not missing:
        return []
    phrases = about("warning", missing, f"{len(missing)} phrases of the protocol have no mask in any view", _ARCHIVE)
    return [Finding(one.severity, scene / "test_mask", one.what, one.remedy) for one in phrases]


def _tracked_masks(scene: Path) -> list[Finding]:
    if find_mask_folder(scene) != scene / "object_mask":
        return []
    return [
        Finding(
            "note",
            scene / "object_mask",
            "--mask-source auto takes these masks, which Gaussian Grouping tracked over the views",
            "For the tables with masks that disagree between views, train with --mask-source sam.",
        )
    ]
