"""One scene of Replica, as Gaga's ``data/replica/__init__.py`` and ``convert.py`` leave it.

Frames 0, 5, 10, ... of 900 are for training, frames 2, 7, 12, ... for testing::

    office_0/images/train_rgb_0000.png                                undistorted by COLMAP
    office_0/images/test_rgb_0002.png
    office_0/semantic_instance/test_semantic_instance_0002.png        ids; of the distorted images, as input/ is
    office_0/sparse/0/cameras.bin, images.bin, points3D.bin
    office_0/vis_sem_instance/                                        the same ids as colours; not needed
"""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.evaluation.datasets.benchmarks import is_test_image, replica_truth_name
from proto_saga_ns.evaluation.datasets.checks import check_maps, check_split_lists, check_there
from proto_saga_ns.evaluation.datasets.colmap import check_model, check_posed_images, posed_images
from proto_saga_ns.evaluation.datasets.findings import PHOTOS, PNG, Finding, SceneReport, about, by_severity, files_in

SCENES = ("office_0", "office_1", "office_2", "office_3", "office_4", "room_0", "room_1", "room_2")
VIEWS = 180
"""Published number of training views of a scene, and of its test views."""

_ARCHIVE = "Take it from Gaga's prepared archive, or run its data/process.py again."


def check_replica(scene: Path) -> SceneReport:
    """What is in one scene, and what is missing."""
    images = files_in(scene / "images", PHOTOS)
    is_test = dict(zip(images.values(), is_test_image("replica", scene, [*images.values()]), strict=True))
    train, test = (
        {path: _truth(scene, path.stem) for path, test in is_test.items() if test is wanted} for wanted in (False, True)
    )
    findings = [
        *check_posed_images(scene, scene / "images", _source_of_images(scene)),
        *check_model(scene, _source_of_images(scene)),
        *_of_no_split([path for path, test in is_test.items() if test is None]),
        *check_there(test, "test views", _ARCHIVE),
        *check_there(train, "training views", "Only the figures of associated masks need it. " + _ARCHIVE, "warning"),
        *check_maps([*train.items(), *test.items()], _ARCHIVE),
        *_truth_alone(scene, images),
        *_check_counts(scene, len(train), len(test)),
        *check_split_lists(scene, [path.name for path in train], [path.name for path in test]),
    ]
    truth = files_in(scene / "semantic_instance", PNG)
    return SceneReport(scene.resolve().name, scene, len(train), len(test), len(truth), by_severity(findings))


def _check_counts(scene: Path, train: int, test: int) -> list[Finding]:
    if scene.resolve().name not in SCENES or (train, test) == (VIEWS, VIEWS):
        return []
    what = f"{train} training and {test} test views, where {VIEWS} and {VIEWS} are published"
    return [Finding("warning", scene / "images", what, f"Figures do not compare with published ones. {_ARCHIVE}")]


def _truth(scene: Path, stem: str) -> Path:
    return scene / "semantic_instance" / replica_truth_name(stem)


def _source_of_images(scene: Path) -> str:
    if (scene / "input").is_dir():
        return f"Run COLMAP on {scene / 'input'}, as Gaga's convert.py does, or take Gaga's prepared archive."
    return _ARCHIVE


def _of_no_split(files: list[Path]) -> list[Finding]:
    return about(
        "error",
        files,
        f"{len(files)} images are named neither train_rgb_NNNN nor test_rgb_NNNN, so they belong to no split",
        "Remove them, and run COLMAP again if it has seen them.",
    )


def _truth_alone(scene: Path, images: dict[str, Path]) -> list[Finding]:
    # An image with a pose that is missing is reported as such.
    posed = [Path(name).stem for name in posed_images(scene / "sparse" / "0") or ()]
    known = {_truth(scene, stem) for stem in [*images, *posed]}
    alone = [path for path in files_in(scene / "semantic_instance", PNG).values() if path not in known]
    return about(
        "warning",
        alone,
        f"{len(alone)} ground-truth maps have no image",
        f"Peers leave such views out without a word, which is not the published test set. {_source_of_images(scene)}",
    )
