"""What is strange about a data set as published is a note; the same elsewhere is an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from proto_saga_ns.evaluation.datasets.benchmarks import find_benchmark, is_test_image
from proto_saga_ns.evaluation.datasets.findings import Dataset, Finding
from proto_saga_ns.evaluation.datasets.layouts import check
from proto_saga_ns.plugin.data.dataparsers import MaskedColmapConfig
from tests.evaluation.datasets.folders import write_spin_nerf_removal

Copy = Callable[..., Path]


def about(dataset: Dataset, folder: Path, word: str) -> list[Finding]:
    return [finding for finding in check(dataset, folder).all_findings() if word in f"{finding.path} {finding.what}"]


@pytest.mark.parametrize(
    ("scene", "view", "severity"), [("teatime", 1, "note"), ("teatime", 0, "error"), ("ramen", 1, "error")]
)
def test_only_the_second_view_of_teatime_may_lack_masks(scene: str, view: int, severity: str, copy_of: Copy) -> None:
    folder = copy_of("lerf-mask", scene)
    shutil.rmtree(folder / "test_mask" / str(view))
    found = about("lerf-mask", folder, f"test_mask/{view}")
    assert [finding.severity for finding in found] == [severity]
    # It says which image the view is.
    test = [path.name for path in sorted((folder / "images").iterdir())]
    test = [name for name in test if not (folder / "images_train" / name).exists()]
    assert test[view] in found[0].what


def test_phrases_of_the_protocol_are_missed(copy_of: Copy) -> None:
    folder = copy_of("lerf-mask", "ramen")
    for phrase in ("chopsticks", "egg", "glass of water", "pork belly", "wavy noodles in bowl"):
        shutil.copy(next((folder / "test_mask" / "0").glob("*.png")), folder / "test_mask" / "1" / f"{phrase}.png")
    (finding,) = about("lerf-mask", folder, "phrases of the protocol")
    assert finding.severity == "warning" and finding.what.endswith("yellow bowl.png")


def test_masks_of_a_view_that_is_not_there_are_an_error(copy_of: Copy) -> None:
    folder = copy_of("lerf-mask")
    shutil.copytree(folder / "test_mask" / "0", folder / "test_mask" / "2")
    assert [finding.severity for finding in about("lerf-mask", folder, "test_mask/2")] == ["error"]


def test_tracked_masks_are_a_note_where_training_would_take_them(copy_of: Copy) -> None:
    folder = copy_of("lerf-mask")
    shutil.copytree(folder / "raw_sam_mask", folder / "object_mask")
    assert about("lerf-mask", folder, "object_mask") == []
    shutil.rmtree(folder / "raw_sam_mask")
    assert [finding.severity for finding in about("lerf-mask", folder, "object_mask")] == ["note"]


@pytest.mark.parametrize("dataset", ["replica", "scannet", "lerf-mask"])
def test_lists_that_make_nerfstudio_split_as_published_end_the_note(dataset: Dataset, copy_of: Copy) -> None:
    folder = copy_of(dataset)
    (finding,) = about(dataset, folder, "_list.txt")
    assert finding.severity == "note" and "4 names of training images" in finding.remedy
    images = sorted(path.name for path in (folder / "images").iterdir())
    if dataset == "replica":
        train = [name for name in images if name.startswith("train")]
    elif dataset == "scannet":
        train = [f"{frame}.jpg" for frame in (folder / "train_split.txt").read_text().split()]
    else:
        train = [path.name for path in (folder / "images_train").iterdir()]
    test = [name for name in images if name not in train]
    for split, names in (("train", train), ("val", test), ("test", test)):
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    assert about(dataset, folder, "_list.txt") == []
    (folder / "test_list.txt").write_text("\n".join(images))
    assert [finding.path.name for finding in about(dataset, folder, "_list.txt")] == ["test_list.txt"]


def test_images_of_no_split_are_errors(copy_of: Copy) -> None:
    replica, scannet = copy_of("replica", "replica"), copy_of("scannet", "scannet")
    shutil.copy(replica / "images/train_rgb_0000.png", replica / "images/IMG_1.png")
    shutil.copy(scannet / "images/0.jpg", scannet / "images/999.jpg")
    assert [finding.severity for finding in about("replica", replica, "no split")] == ["error"]
    assert [finding.path.name for finding in about("scannet", scannet, "no split")] == ["999.jpg"]


def test_a_frame_of_both_splits_is_an_error(copy_of: Copy) -> None:
    folder = copy_of("scannet")
    with (folder / "test_split.txt").open("a") as file:
        file.write("0\n")
    assert [finding.severity for finding in about("scannet", folder, "for training and for testing")] == ["error"]


def test_views_that_colmap_did_not_place_are_warnings(copy_of: Copy) -> None:
    """Peers leave them out of their figures without a word."""
    folder = copy_of("replica")
    (folder / "sparse/0/images.bin").unlink()
    placed = sorted(path.name for path in (folder / "images").iterdir())[1:]
    lines = "".join(f"{index} 1 0 0 0 0 0 0 1 {name}\n\n" for index, name in enumerate(placed, 1))
    (folder / "sparse/0/images.txt").write_text(lines)
    (unposed,) = about("replica", folder, "no pose")
    assert unposed.severity == "warning" and unposed.path.name == "test_rgb_0007.png"
    unposed.path.unlink()
    (alone,) = about("replica", folder, "no image")
    assert alone.severity == "warning" and alone.path.name == "test_semantic_instance_0007.png"


def test_images_before_colmap_say_how_to_go_on(copy_of: Copy) -> None:
    folder = copy_of("replica")
    (folder / "images").rename(folder / "input")
    shutil.rmtree(folder / "sparse")
    errors = [finding for finding in check("replica", folder).all_findings() if finding.severity == "error"]
    assert errors and all("convert.py" in finding.remedy for finding in errors)


def test_a_model_outside_of_its_folder_is_to_be_moved(copy_of: Copy) -> None:
    folder = copy_of("replica")
    for path in list((folder / "sparse/0").iterdir()):
        path.rename(folder / "sparse" / path.name)
    errors = [finding for finding in check("replica", folder).all_findings() if finding.severity == "error"]
    assert [finding.remedy.startswith("Move the model") for finding in errors] == [True]


def test_mipnerf360_has_no_ground_truth_and_right_sizes(copy_of: Copy) -> None:
    folder = copy_of("mipnerf360", "garden")
    assert [finding.severity for finding in about("mipnerf360", folder, "no ground truth")] == ["note"]
    assert [finding.severity for finding in about("mipnerf360", folder, "185 are published")] == ["warning"]
    shutil.rmtree(folder / "images_4")
    shutil.copytree(folder / "images_2", folder / "images_4")
    (finding,) = about("mipnerf360", folder, "1/4")
    assert finding.severity == "error" and finding.what.startswith("6 images")


def test_nerfstudio_splits_by_the_lists_that_the_check_asks_for(copy_of: Copy) -> None:
    folder = copy_of("replica")

    def names(split: str) -> list[str]:
        config = MaskedColmapConfig(data=folder, colmap_path=Path("sparse/0"), downscale_factor=1)
        return sorted(path.name for path in config.setup().get_dataparser_outputs(split).image_filenames)

    published = {split: sorted(path.name for path in folder.glob(f"images/{split}_*")) for split in ("train", "test")}
    assert set(names("train")) & set(published["test"])
    for split, images in (("train", "train"), ("val", "test"), ("test", "test")):
        (folder / f"{split}_list.txt").write_text("\n".join(published[images]) + "\n")
    assert about("replica", folder, "_list.txt") == []
    assert [names(split) for split in ("train", "val")] == [published["train"], published["test"]]


def test_spin_nerf_knows_how_many_masks_and_what_belongs_together(copy_of: Copy) -> None:
    folder = copy_of("spin-nerf", "fern (llff)")
    assert [finding.severity for finding in about("spin-nerf", folder, "20 are published")] == ["warning"]
    (folder / "image002.png").unlink()
    (finding,) = about("spin-nerf", folder, "no mask of the same view")
    assert finding.severity == "error" and "image002_cutout.png, image002_pseudo.png" in finding.what
    Image.new("L", (9, 6)).save(folder / "image001.png")
    (finding,) = about("spin-nerf", folder, "not 8x6 pixels")
    assert "image001.png" in finding.what


def test_spin_nerf_has_scenes_with_and_without_the_object(tmp_path: Path) -> None:
    folder = write_spin_nerf_removal(tmp_path / "10")
    report = check("spin-nerf", folder)
    assert report.all_findings() == ()
    assert [(one.train_views, one.test_views, one.ground_truth) for one in report.scenes] == [(2, 1, 3)]
    images = [folder / "images" / f"{name}.png" for name in "abc"]
    assert find_benchmark(folder, images) == "spin-nerf"
    assert is_test_image("spin-nerf", folder, images) == [False, False, True]
    (folder / "images_4/test_label/c.png").unlink()
    (folder / "images_4/b.png").unlink()
    assert [finding.severity for finding in about("spin-nerf", folder, "test views have no label")] == ["warning"]
    assert [finding.severity for finding in about("spin-nerf", folder, "labels have no image")] == ["error"]


def test_nvos_shows_an_object_in_one_view_and_measures_it_in_another(copy_of: Copy) -> None:
    folder = copy_of("nvos", "llff")
    assert [finding.severity for finding in about("nvos", folder, "7 of 8 published objects")] == ["warning"]
    masks = folder / "masks/horns_left"
    (masks / "IMG_9_mask.png").rename(masks / "IMG_7_mask.png")
    (finding,) = about("nvos", folder, "one of the reference view")
    assert finding.severity == "error"
    for pattern in ("masks/*/*_mask.png", "reference_image/*/*", "scribbles/*/pos_*", "scribbles/*/neg_*"):
        next(folder.glob(pattern)).unlink()
    assert len(about("nvos", folder, "expected one")) == 4
