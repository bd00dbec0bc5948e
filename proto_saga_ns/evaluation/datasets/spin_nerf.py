"""One scene of SPIn-NeRF: of its masks, or of its photos with and without an object.

The archive of multiview segmentation holds masks alone; images and poses are those of LLFF, Tanks and Temples and
others::

    fern (llff)/image000.png                        mask; the number counts LLFF's images in name order
                image000_pseudo.png, image000_cutout.png, annotations.json            not needed
    room (llff)/DJI_20200226_143850_006.png         in other scenes the name is that of the image

The archive of removal holds whole scenes. Views without a label show the scene without the object::

    10/images/, images_4/20220823_095135.png        100 views, at full size and at a quarter
       images_4/label/20220823_093810.png           where the object is, in the 60 views that show it
       images_4/test_label/20220823_095135.png      where it would be in the 40 others
       sparse/0/cameras.bin, images.bin, points3D.bin

Scenes, counts and names as public code and an audit of the archives give them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from proto_saga_ns.evaluation.datasets.benchmarks import labels_folder
from proto_saga_ns.evaluation.datasets.checks import check_maps
from proto_saga_ns.evaluation.datasets.colmap import check_model, check_posed_images
from proto_saga_ns.evaluation.datasets.findings import (
    PHOTOS,
    PNG,
    Finding,
    SceneReport,
    about,
    by_severity,
    check_readable,
    files_in,
    read_header,
)
from proto_saga_ns.evaluation.datasets.object_masks import FOR_LOOKING

MASKS = {
    **{"orchids (llff)": 24, "leaves (llff)": 26, "fern (llff)": 20, "room (llff)": 41, "horns (llff)": 62},
    **{"fortress (llff)": 42, "fork (nerf_supervision)": 38, "pinecone (nerf_real_360)": 99},
    **{"Truck (Tanks & Temples)": 65, "lego_real_night_radial": 44},
}
"""How many masks each scene of the archive of segmentation has."""
SCENES = tuple(MASKS)
REMOVAL_SCENES = ("1", "2", "3", "4", "7", "9", "10", "12", "book", "trash")

_SEGMENTATION = "Unpack Multiview-Segmentation-Data.zip of SPIn-NeRF again."
_REMOVAL = "Unpack spinnerf-dataset.zip of SPIn-NeRF again."


def check_spin_nerf(scene: Path) -> SceneReport:
    """What is in one scene, and what is missing."""
    labels = labels_folder(scene)
    return _check_masks(scene) if labels is None else _check_removal(scene, labels)


def _check_masks(scene: Path) -> SceneReport:
    pictures = files_in(scene, PNG)
    masks = {stem: path for stem, path in pictures.items() if not stem.endswith(FOR_LOOKING)}
    name, published = scene.resolve().name, MASKS.get(scene.resolve().name, len(masks))
    alone = [path for stem, path in pictures.items() if _without_ending(stem) not in masks]
    sizes = {path: header.size for path in masks.values() if (header := read_header(path)) is not None}
    findings = [
        *check_readable(masks.values(), _SEGMENTATION),
        *about("error", alone, f"{len(alone)} pictures have no mask of the same view", _SEGMENTATION),
        *_odd_sizes(sizes),
        Finding(
            "note",
            scene,
            "there are masks alone, no images and poses",
            "Train on all images of the scene from where it was published; proto-saga data hints spin-nerf says where.",
        ),
    ]
    if not masks:
        findings.append(Finding("error", scene, "no masks in this folder", _SEGMENTATION))
    elif len(masks) != published:
        what = f"{len(masks)} masks, where {published} are published"
        findings.append(Finding("warning", scene, what, f"Figures do not compare. {_SEGMENTATION}"))
    return SceneReport(name, scene, 0, len(masks), len(masks), by_severity(findings))


def _without_ending(stem: str) -> str:
    return next((stem.removesuffix(ending) for ending in FOR_LOOKING if stem.endswith(ending)), stem)


def _odd_sizes(sizes: Mapping[Path, str]) -> list[Finding]:
    usual = Counter(sizes.values()).most_common(1)[0][0] if sizes else ""
    odd = [path for path, size in sizes.items() if size != usual]
    return about("warning", odd, f"{len(odd)} masks are not {usual} pixels as the others", _SEGMENTATION)


def _check_removal(scene: Path, folder: Path) -> SceneReport:
    images, labels = files_in(folder.parent, PHOTOS), files_in(folder, PNG)
    train = [stem for stem in images if stem in labels]
    test = [stem for stem in images if stem not in labels]
    regions = files_in(folder.parent / "test_label", PNG)
    lost = [path for stem, path in labels.items() if stem not in images]
    missing = [folder.parent / "test_label" / f"{stem}.png" for stem in test if stem not in regions]
    pairs = [(images[stem], path) for stem, path in [*labels.items(), *regions.items()] if stem in images]
    findings = [
        *check_posed_images(scene, folder.parent, _REMOVAL),
        *check_model(scene, _REMOVAL),
        *about("error", lost, f"{len(lost)} labels have no image", _REMOVAL),
        *about(
            "warning",
            missing,
            f"{len(missing)} of {len(test)} test views have no label of where the object would be",
            "Without them, evaluate --protocol removal takes the pixels that the run itself gives to the object.",
        ),
        *check_maps(pairs, _REMOVAL, colours_are_fine=True),
    ]
    if not train or not test:
        what = f"{len(train)} views with the object, {len(test)} without; expected 60 and 40"
        findings.append(Finding("error", folder, what, _REMOVAL))
    name = scene.resolve().name
    return SceneReport(name, scene, len(train), len(test), len(labels) + len(regions), by_severity(findings))
