"""Every layout passes its own check and no other, and whatever is taken from it is missed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.findings import DATASETS, Dataset, Finding
from proto_saga_ns.evaluation.datasets.layouts import check
from tests.evaluation.datasets.folders import TEST_VIEWS, VIEWS, write_published_replica

Copy = Callable[..., Path]

NEEDED: dict[Dataset, tuple[str, ...]] = {
    "replica": ("images/*", "semantic_instance/*", "sparse/0/*", "images", "semantic_instance", "sparse"),
    "scannet": ("images/*", "*/*_ins_full/*", "sparse/0/*", "*_split.txt", "images", "sparse", "test/test_ins_full"),
    "lerf-mask": ("images/*", "images_train/*", "test_mask/?", "sparse/0/*", "images", "images_train", "sparse"),
    "mipnerf360": ("images/*", "images_[248]/*", "sparse/0/*", "images", "images_4", "images_8", "sparse"),
    "davis": ("JPEGImages/480p/*/*", "Annotations/480p/*/*", "Annotations/480p/*", "JPEGImages/480p/*", "ImageSets"),
    "mose": (
        "train/JPEGImages/*/*",
        "valid/JPEGImages/*/0000[0-4].jpg",
        "train/Annotations/*/*",
        "valid/Annotations/*/*",
        "*/Annotations/*",
    ),
    "nvos": ("masks/horns_left", "reference_image/horns_left", "scribbles/horns_left"),
    "spin-nerf": ("image00[0-9].png",),
}
OPENED: dict[Dataset, tuple[str, ...]] = {
    "replica": ("images/*", "semantic_instance/*", "sparse/0/*"),
    "scannet": ("images/*", "*/*_ins_full/*", "sparse/0/*", "*_split.txt"),
    "lerf-mask": ("images/*", "test_mask/*/*", "sparse/0/*"),
    "mipnerf360": ("images/*", "images_[248]/*", "sparse/0/*"),
    "davis": ("JPEGImages/480p/*/00000.jpg", "Annotations/480p/*/00000.png", "Annotations/480p/*/00005.png"),
    "mose": ("*/JPEGImages/*/00000.jpg", "*/Annotations/*/00000.png", "train/Annotations/*/00005.png"),
    "nvos": ("masks/*/*_mask.png", "reference_image/*/*", "scribbles/*/pos_*", "scribbles/*/neg_*"),
    "spin-nerf": ("image00[0-9].png",),
}


@contextmanager
def without(path: Path) -> Iterator[None]:
    """While a file or folder is gone."""
    away = path.with_name(f".{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def matched(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """What matches; each pattern has to match something."""
    found = [sorted(path for path in folder.glob(pattern) if path.name[0] != ".") for pattern in patterns]
    assert all(found)
    return [path for paths in found for path in paths]


def names(finding: Finding, path: Path) -> bool:
    return path.stem in f"{finding.path} {finding.what}"


def new_findings(dataset: Dataset, folder: Path, before: set[Finding]) -> list[Finding]:
    found = check(dataset, folder).all_findings()
    return [finding for finding in found if finding not in before and finding.severity != "note"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_stand_in_passes_the_check_of_its_data_set(dataset: Dataset, originals: dict[Dataset, Path]) -> None:
    report = check(dataset, originals[dataset])
    assert report.count("error") == 0, report.all_findings()
    assert any("STAND-IN" in finding.what for finding in report.all_findings())
    scene = report.scenes[0]
    if dataset in ("davis", "mose"):
        assert (scene.test_views, scene.ground_truth) == (VIEWS + TEST_VIEWS, VIEWS + TEST_VIEWS)
    elif dataset in ("nvos", "spin-nerf"):
        assert scene.test_views == scene.ground_truth == {"nvos": 1, "spin-nerf": 4}[dataset]
    elif dataset == "mipnerf360":
        assert (scene.train_views, scene.test_views, scene.ground_truth) == (5, 1, 0)
    else:
        assert (scene.train_views, scene.test_views) == (VIEWS, TEST_VIEWS) and scene.ground_truth >= TEST_VIEWS


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_needed_file_or_folder_is_missed_and_named(dataset: Dataset, originals: dict[Dataset, Path]) -> None:
    folder = originals[dataset]
    before = set(check(dataset, folder).all_findings())
    for path in matched(folder, NEEDED[dataset]):
        with without(path):
            found = new_findings(dataset, folder, before)
        assert any(names(finding, path) for finding in found), (path, found)
        assert all(finding.remedy for finding in found)
    assert set(check(dataset, folder).all_findings()) == before


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_empty_file_is_an_error_that_names_it(dataset: Dataset, originals: dict[Dataset, Path]) -> None:
    folder = originals[dataset]
    before = set(check(dataset, folder).all_findings())
    for path in matched(folder, OPENED[dataset]):
        with without(path):
            path.touch()
            found = new_findings(dataset, folder, before)
            path.unlink()
        assert any(names(finding, path) and finding.severity == "error" for finding in found), (path, found)


@pytest.mark.parametrize("dataset", ["replica", "scannet", "lerf-mask", "davis"])
def test_ground_truth_that_is_cut_off_is_an_error(dataset: Dataset, copy_of: Copy) -> None:
    folder = copy_of(dataset)
    pattern = {"lerf-mask": "test_mask/*/*.png", "davis": "Annotations/480p/*/00000.png"}.get(dataset, "**/*ins*/*.png")
    path = matched(folder, (pattern,))[0]
    path.write_bytes(path.read_bytes()[:-5])
    assert any(names(finding, path) for finding in new_findings(dataset, folder, set()) if finding.severity == "error")


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_folder_of_another_data_set_is_refused(dataset: Dataset, originals: dict[Dataset, Path]) -> None:
    for other in set(DATASETS) - {dataset}:
        with pytest.raises(ProtoSagaError, match=r"is no|is laid out as|holds neither"):
            check(dataset, originals[other])


def test_a_folder_of_something_else_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    with pytest.raises(ProtoSagaError, match=r"semantic_instance/test_semantic_instance_0002\.png"):
        check("replica", tmp_path)
    with pytest.raises(ProtoSagaError, match="not a folder"):
        check("replica", tmp_path / "gone")


def test_a_folder_that_may_not_be_read_is_a_user_error(copy_of: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_of("scannet")

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ProtoSagaError, match=r"Cannot read .*images: Permission denied"):
        check("scannet", folder)


def test_the_folder_one_too_high_is_told_from_something_else(copy_of: Copy, tmp_path: Path) -> None:
    copy_of("replica", "data/replica/office_0")
    with pytest.raises(ProtoSagaError, match=r"data/replica holds such scenes: give that folder"):
        check("replica", tmp_path / "data")


def test_a_data_set_lists_its_scenes_and_those_that_it_lacks(copy_of: Copy, tmp_path: Path) -> None:
    for name in ("office_0", "room_1"):
        copy_of("replica", f"replica/{name}")
    (tmp_path / "replica" / "notes").mkdir()
    report = check("replica", tmp_path / "replica")
    assert [scene.name for scene in report.scenes] == ["office_0", "room_1"]
    assert ["6 of 8 published scenes are missing" in finding.what for finding in report.findings] == [True]
    published = [finding for scene in report.scenes for finding in scene.findings if "published" in finding.what]
    assert len(published) == 2 and {finding.severity for finding in published} == {"warning"}


def test_a_published_scene_without_its_own_folders_is_a_scene_still(copy_of: Copy) -> None:
    scene = copy_of("replica", "office_3")
    shutil.rmtree(scene / "semantic_instance")
    for path in (scene / "images").iterdir():
        path.unlink()
    assert check("replica", scene).count("error") > 0


def test_a_scene_as_published_is_perfect(tmp_path: Path) -> None:
    scene = tmp_path / "office_4"
    write_published_replica(scene)
    report = check("replica", scene)
    assert report.all_findings() == ()
    assert [(one.train_views, one.test_views, one.ground_truth) for one in report.scenes] == [(180, 180, 360)]
    for number in (7, 12, 17, 22):
        (scene / f"semantic_instance/test_semantic_instance_{number:04d}.png").unlink()
    (finding,) = check("replica", scene).all_findings()
    assert finding.severity == "error" and finding.path.name == "test_semantic_instance_0007.png"
    assert finding.what.startswith("4 of 180 test views") and finding.what.endswith("0017.png and 1 more")


def resize(path: Path, share: float) -> None:
    with Image.open(path) as image:
        smaller = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.NEAREST)
    smaller.save(path)


@pytest.mark.parametrize(
    ("dataset", "pattern"), [("replica", "semantic_instance/test_*"), ("scannet", "test/test_ins_full/*")]
)
@pytest.mark.parametrize(("share", "severity"), [(0.96, "note"), (0.85, "error"), (0.5, "error")])
def test_undistorted_images_against_distorted_truth_are_a_note(
    dataset: Dataset, pattern: str, share: float, severity: str, copy_of: Copy
) -> None:
    folder = copy_of(dataset)
    path = matched(folder, (pattern,))[0]
    resize(path, share)
    found = [finding for finding in check(dataset, folder).all_findings() if finding.path == path]
    assert [finding.severity for finding in found] == [severity]
    assert f"{round(64 * share)}x{round(48 * share)} for an image of 64x48" in found[0].what


@pytest.mark.parametrize(
    ("dataset", "pattern", "severity"),
    [("replica", "semantic_instance/test_*", "error"), ("lerf-mask", "test_mask/0/*", "note")],
)
def test_colour_pictures_in_place_of_ids(
    dataset: Dataset, pattern: str, severity: str, originals: dict[Dataset, Path], copy_of: Copy
) -> None:
    folder = copy_of(dataset)
    path = matched(folder, (pattern,))[0]
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
    found = [finding for finding in check(dataset, folder).all_findings() if finding.path == path]
    assert [(finding.severity, "colour" in finding.what) for finding in found] == [(severity, True)]
    assert not any("colour" in finding.what for finding in check(dataset, originals[dataset]).all_findings())
