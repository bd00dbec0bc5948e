"""One scene of ScanNet, as Gaga's ``data/scannet/split.py`` and ``convert.py`` leave it.

Names are frame numbers without leading zeros, so their order is not that of the frames::

    scene0010_00/train_split.txt, test_split.txt         a frame number a line
    scene0010_00/images/25.jpg                           both splits, undistorted by COLMAP
    scene0010_00/sparse/0/cameras.bin, images.bin, points3D.bin
    scene0010_00/test/test_images/30.jpg                 as in images/, before that; not needed
    scene0010_00/test/test_ins_full/30.png               ids; 0 is what nobody annotated
    scene0010_00/train/train_images, train_ins_full
"""

from __future__ import annotations

from pathlib import Path

from proto_saga_ns.evaluation.datasets.benchmarks import frames_in_split
from proto_saga_ns.evaluation.datasets.checks import check_maps, check_split_lists, check_there
from proto_saga_ns.evaluation.datasets.colmap import check_model, check_posed_images, posed_images
from proto_saga_ns.evaluation.datasets.findings import PHOTOS, PNG, Finding, SceneReport, about, by_severity, files_in

SCENES = (
    *("scene0010_00", "scene0012_00", "scene0033_00", "scene0038_00"),
    *("scene0088_00", "scene0113_00", "scene0192_00"),
)
MIN_TRAIN = 300
"""Gaga takes every so-manieth annotated frame for training, so that there are at least so many."""
TEST = (100, 101)
"""Numbers of test views that the rule of ``split.py`` can give."""

_ARCHIVE = "Take it from Gaga's prepared archive, or run its data/process.py again."


def check_scannet(scene: Path) -> SceneReport:
    """What is in one scene, and what is missing."""
    images = files_in(scene / "images", PHOTOS)
    frames = {split: frames_in_split(scene, f"{split}_split.txt") for split in ("train", "test")}
    views = {
        split: {images[frame]: _truth(scene, split, frame) for frame in listed if frame in images}
        for split, listed in frames.items()
    }
    findings = [
        *check_posed_images(scene, scene / "images", _source_of_images(scene)),
        *check_model(scene, _source_of_images(scene)),
        *_check_lists(scene, frames),
        *_check_listed(scene, images, frames),
        *check_there(views["test"], "test views", _ARCHIVE),
        *check_there(
            views["train"], "training views", "Only the figures of associated masks need it. " + _ARCHIVE, "warning"
        ),
        *check_maps([*views["train"].items(), *views["test"].items()], _ARCHIVE),
        *_check_counts(scene, len(frames["train"]), len(frames["test"])),
        *check_split_lists(scene, *([path.name for path in views[split]] for split in ("train", "test"))),
    ]
    truth = sum(len(files_in(_truth(scene, split, "").parent, PNG)) for split in frames)
    return SceneReport(
        scene.resolve().name, scene, len(views["train"]), len(views["test"]), truth, by_severity(findings)
    )


def _truth(scene: Path, split: str, frame: str) -> Path:
    return scene / split / f"{split}_ins_full" / f"{frame}.png"


def _check_lists(scene: Path, frames: dict[str, list[str]]) -> list[Finding]:
    empty = [scene / f"{split}_split.txt" for split, listed in frames.items() if not listed]
    both = sorted(set(frames["train"]) & set(frames["test"]))
    return [
        *about("error", empty, "lists of frames are missing or empty", f"Expected a frame number a line. {_ARCHIVE}"),
        *about(
            "error",
            [Path(frame) for frame in both],
            f"{len(both)} frames are listed for training and for testing",
            f"Figures would be of views that were trained on. {_ARCHIVE}",
        ),
    ]


def _check_listed(scene: Path, images: dict[str, Path], frames: dict[str, list[str]]) -> list[Finding]:
    """That lists and images name the same frames."""
    listed = list(dict.fromkeys(frames["train"] + frames["test"]))
    # An image with a pose that is missing is reported as such.
    posed = [Path(name).stem for name in posed_images(scene / "sparse" / "0") or ()]
    gone = [scene / "images" / f"{frame}.jpg" for frame in listed if frame not in images and frame not in posed]
    unlisted = [path for stem, path in images.items() if stem not in listed]
    return [
        *about(
            "warning",
            gone if images else [],
            f"{len(gone)} of {len(listed)} frames of the lists are not in images/",
            f"Peers leave such views out without a word, as where COLMAP could not place them. {_ARCHIVE}",
        ),
        *about(
            "error",
            unlisted if listed else [],
            f"{len(unlisted)} images are in no list, so they belong to no split",
            "Remove them, or take the lists that belong to these images.",
        ),
    ]


def _source_of_images(scene: Path) -> str:
    if (scene / "input").is_dir():
        return f"Run COLMAP on {scene / 'input'}, as Gaga's convert.py does, or take Gaga's prepared archive."
    return _ARCHIVE


def _check_counts(scene: Path, train: int, test: int) -> list[Finding]:
    if scene.resolve().name not in SCENES or (train >= MIN_TRAIN and test in TEST):
        return []
    what = (
        f"the lists name {train} training and {test} test views; Gaga's rule gives {MIN_TRAIN} or more, and {TEST[0]}"
    )
    return [Finding("warning", scene / "test_split.txt", what, f"Figures do not compare. {_ARCHIVE}")]
