"""One scene of Mip-NeRF 360, as its archives unpack. It has no ground truth of objects.

Every eighth view in name order is held out, as Gaussian Splatting and nerfstudio do::

    garden/images/DSC07956.JPG            images_2, images_4 and images_8 are smaller by that factor
    garden/sparse/0/cameras.bin, images.bin, points3D.bin
    garden/poses_bounds.npy               not needed
"""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.evaluation.datasets.benchmarks import INTERVAL
from proto_saga_ns.evaluation.datasets.colmap import check_model, check_posed_images
from proto_saga_ns.evaluation.datasets.findings import (
    PHOTOS,
    Finding,
    SceneReport,
    about,
    by_severity,
    files_in,
    read_header,
)

SCENES = ("bicycle", "bonsai", "counter", "garden", "kitchen", "room", "stump")
"""Those of 360_v2.zip."""
EXTRA_SCENES = ("flowers", "treehill")
"""Those of 360_extra_scenes.zip, which not all peers use."""
FACTORS = (2, 4, 8)

_IMAGES = {
    **{"bicycle": 194, "bonsai": 292, "counter": 240, "garden": 185, "kitchen": 279, "room": 311, "stump": 125},
    **{"flowers": 173, "treehill": 141},
}
_ARCHIVE = "Unpack the scene's archive again: 360_v2.zip, or for flowers and treehill 360_extra_scenes.zip."
_SLACK = 2
"""Pixels by which a side of a smaller image may be off."""


def check_mipnerf360(scene: Path) -> SceneReport:
    """What is in one scene, and what is missing."""
    name, images = scene.resolve().name, files_in(scene / "images", PHOTOS)
    test = -(-len(images) // INTERVAL)
    findings = [
        *check_posed_images(scene, scene / "images", _ARCHIVE),
        *check_model(scene, _ARCHIVE),
        *(finding for factor in FACTORS for finding in _check_smaller(scene, images, factor)),
        *_check_counts(scene, len(images)),
        Finding(
            "note",
            scene,
            "there is no ground truth of objects",
            "Look at pictures, or measure consistency (proto-saga evaluate --protocol consistency). proto-saga masks "
            "makes masks to train on.",
        ),
    ]
    return SceneReport(name, scene, len(images) - test, test, 0, by_severity(findings))


def _check_smaller(scene: Path, images: dict[str, Path], factor: int) -> list[Finding]:
    folder = scene / f"images_{factor}"
    smaller = files_in(folder, PHOTOS)
    if not smaller:
        how = f"{_ARCHIVE} Or let nerfstudio make it: it asks when --downscale-factor {factor} finds none."
        return [Finding("error", folder, f"no images at 1/{factor} of the size", how)]
    missing = [folder / path.name for stem, path in images.items() if stem not in smaller]
    wrong = [path for stem, path in smaller.items() if stem in images and not _fits(images[stem], path, factor)]
    return [
        *about("error", missing, f"{len(missing)} of {len(images)} images are missing at 1/{factor}", _ARCHIVE),
        *about("error", wrong, f"{len(wrong)} images have not 1/{factor} of the size of those in images/", _ARCHIVE),
    ]


def _fits(image: Path, smaller: Path, factor: int) -> bool:
    whole, part = read_header(image), read_header(smaller)
    if whole is None:
        # Reported as unreadable already.
        return True
    if part is None:
        return False
    sides = ((whole.width, part.width), (whole.height, part.height))
    return all(abs(a - b * factor) <= _SLACK * factor for a, b in sides)


def _check_counts(scene: Path, count: int) -> list[Finding]:
    published = _IMAGES.get(scene.resolve().name, count)
    if count == published:
        return []
    what = f"{count} images, where {published} are published"
    return [Finding("warning", scene / "images", what, f"Figures do not compare. {_ARCHIVE}")]
