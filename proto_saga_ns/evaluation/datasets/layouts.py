"""Checking a data set: how to tell a scene of each from something else, and what looks at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets import lerf_mask, mipnerf360, replica, scannet, spin_nerf
from proto_saga_ns.evaluation.datasets.benchmarks import SPIN_NERF_LABELS
from proto_saga_ns.evaluation.datasets.findings import (
    Dataset,
    Finding,
    Report,
    SceneReport,
    about,
    by_severity,
    folders_in,
)
from proto_saga_ns.evaluation.datasets.nvos import check_nvos
from proto_saga_ns.evaluation.datasets.videos import check_videos
from proto_saga_ns.evaluation.standins.marks import find_mark


@dataclass(frozen=True)
class Layout:
    """A data set of scenes that lie side by side.

    Attributes:
        scenes: names of those that published tables are means of.
        others: further names that scenes of it may have.
        marks: patterns of which a scene has one at least, and a scene of another data set none.
        check: looks at one scene.
        expected: what a scene holds, for people.
    """

    scenes: tuple[str, ...]
    others: tuple[str, ...]
    marks: tuple[str, ...]
    check: Callable[[Path], SceneReport]
    expected: str


LAYOUTS: dict[Dataset, Layout] = {
    "replica": Layout(
        replica.SCENES,
        (),
        ("semantic_instance", "images/train_rgb_*", "images/test_rgb_*", "input/train_rgb_*"),
        replica.check_replica,
        "images/train_rgb_0000.png, semantic_instance/test_semantic_instance_0002.png and sparse/0",
    ),
    "lerf-mask": Layout(
        lerf_mask.SCENES,
        (),
        ("images_train", "test_mask"),
        lerf_mask.check_lerf_mask,
        "images/, images_train/, test_mask/0/<phrase>.png and sparse/0",
    ),
    "scannet": Layout(
        scannet.SCENES,
        (),
        ("train_split.txt", "test_split.txt", "test/test_ins_full", "train/train_ins_full"),
        scannet.check_scannet,
        "images/, train_split.txt, test_split.txt, test/test_ins_full/<frame>.png and sparse/0",
    ),
    "mipnerf360": Layout(
        mipnerf360.SCENES,
        mipnerf360.EXTRA_SCENES,
        ("images_2", "images_4", "images_8", "poses_bounds.npy"),
        mipnerf360.check_mipnerf360,
        "images/, images_2/, images_4/, images_8/ and sparse/0",
    ),
    "spin-nerf": Layout(
        spin_nerf.SCENES,
        spin_nerf.REMOVAL_SCENES,
        ("*_pseudo.png", "*_cutout.png", SPIN_NERF_LABELS),
        spin_nerf.check_spin_nerf,
        "<view>.png and <view>_pseudo.png, or images_4/, images_4/label/ and sparse/0",
    ),
}


def check(dataset: Dataset, folder: Path) -> Report:
    """What is in the folder of a data set, or of one scene of it, and what is missing.

    Reads listings, the headers of images, lists of frames and the names in COLMAP's models.

    Args:
        folder: with a folder for each scene, or of one scene.

    Raises:
        ProtoSagaError: there is no such folder, it cannot be read, or there is nothing of that data set in it.
    """
    if not folder.is_dir():
        raise ProtoSagaError(f"{folder} is not a folder. Give the one that the data set was unpacked to.")
    try:
        return _report(dataset, folder)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot read {error.filename or folder}: {error.strerror or error}. Make it readable for you, then check "
            "again."
        ) from error


def _report(dataset: Dataset, folder: Path) -> Report:
    if dataset == "davis" or dataset == "mose":
        report = check_videos(dataset, folder)
        return replace(report, findings=by_severity([*report.findings, *_standin(folder)]))
    if dataset == "nvos":
        report = check_nvos(folder)
        return replace(report, findings=by_severity([*report.findings, *_standin(folder)]))
    layout = LAYOUTS[dataset]
    if _is_scene(layout, folder):
        return Report(dataset, folder, (_check_scene(layout, folder),), ())
    scenes = [path for path in folders_in(folder) if _is_scene(layout, path)]
    if not scenes:
        raise ProtoSagaError(_something_else(dataset, folder))
    missing = [folder / name for name in layout.scenes if folder / name not in scenes]
    what = f"{len(missing)} of {len(layout.scenes)} published scenes are missing"
    findings = about("warning", missing, what, "Means over other scenes do not compare with published ones.")
    return Report(dataset, folder, tuple(_check_scene(layout, scene) for scene in scenes), tuple(findings))


def _is_scene(layout: Layout, folder: Path) -> bool:
    if any(next(folder.glob(mark), None) is not None for mark in layout.marks):
        return True
    is_published = folder.resolve().name in (*layout.scenes, *layout.others)
    return is_published and any((folder / name).is_dir() for name in ("images", "sparse"))


def _check_scene(layout: Layout, folder: Path) -> SceneReport:
    report = layout.check(folder)
    findings = [*report.findings, *_standin(folder)]
    if report.name not in (*layout.scenes, *layout.others):
        what = f"{report.name} is not one of the published scenes ({', '.join(layout.scenes)})"
        findings.append(Finding("warning", folder, what, "No published figure belongs to it."))
    return replace(report, findings=by_severity(findings))


def _standin(folder: Path) -> list[Finding]:
    mark = find_mark(folder)
    if mark is None:
        return []
    return [Finding("warning", folder, mark.label, "No figure on it says anything about the data set.")]


def _something_else(dataset: Dataset, folder: Path) -> str:
    layout = LAYOUTS[dataset]
    deeper = [path for path in folders_in(folder) if any(_is_scene(layout, scene) for scene in folders_in(path))]
    what = f"{folder} is no {dataset}: neither it nor a folder in it is a scene with {layout.expected}."
    if deeper:
        return f"{what} But {deeper[0]} holds such scenes: give that folder."
    return f"{what} Give the folder of all scenes or of one; proto-saga data hints {dataset} says where it comes from."
