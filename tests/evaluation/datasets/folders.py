"""Folders as the data sets lie: stand-ins at a tiny size, and what is made of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from proto_saga_ns.evaluation.datasets.findings import Dataset, files_in
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin

VIEWS, TEST_VIEWS = 4, 2


def write_dataset(dataset: Dataset, folder: Path) -> Path:
    """One scene, or for videos a data set of one sequence."""
    layout = {"mipnerf360": "lerf-mask", "mose": "davis", "nvos": "davis", "spin-nerf": "davis"}.get(dataset, dataset)
    options = StandinOptions(
        layout=layout,  # type: ignore[arg-type]
        seed=0,
        views=VIEWS,
        test_views=TEST_VIEWS,
        width=64,
        height=48,
        points=20,
        samples=1,
    )
    write_standin(folder, options, PRESETS["default"], "default")
    if dataset == "mipnerf360":
        for part in ("images_train", "test_mask"):
            shutil.rmtree(folder / part)
        for factor in (2, 4, 8):
            shrink(folder / "images", folder / f"images_{factor}", factor)
    if dataset == "mose":
        for split in ("train", "valid"):
            for kind in ("JPEGImages", "Annotations"):
                shutil.copytree(folder / kind / "480p", folder / split / kind)
        for path in list(files_in(folder / "valid" / "Annotations" / "standin", {".png"}).values())[1:]:
            path.unlink()
        for kind in ("JPEGImages", "Annotations", "ImageSets"):
            shutil.rmtree(folder / kind)
    if dataset in ("nvos", "spin-nerf"):
        for kind in ("JPEGImages", "Annotations", "ImageSets", "Masks", "parts"):
            shutil.rmtree(folder / kind)
        (write_nvos_object if dataset == "nvos" else write_spin_nerf_masks)(folder)
    return folder


def write_nvos_object(folder: Path, name: str = "horns_left", size: tuple[int, int] = (64, 48)) -> None:
    """Target view 9, reference view 7."""
    for kind in ("masks", "reference_image", "scribbles"):
        (folder / kind / name).mkdir(parents=True)
    Image.new("L", size, 255).save(folder / "masks" / name / "IMG_9_mask.png")
    Image.new("RGB", size).save(folder / "reference_image" / name / "IMG_7.JPG")
    for kind in ("pos", "neg", "vis"):
        Image.new("L", (size[0] // 4, size[1] // 4), 255).save(folder / "scribbles" / name / f"{kind}_0_horns.png")


def write_spin_nerf_masks(folder: Path, count: int = 4) -> None:
    """Masks that are called by the number of the image, with what is beside them."""
    for number in range(count):
        for ending in ("", "_pseudo", "_cutout"):
            Image.new("L", (8, 6), 1).save(folder / f"image{number:03d}{ending}.png")
    (folder / "annotations.json").write_text("{}")


def write_spin_nerf_removal(folder: Path) -> Path:
    """Views a and b show the object, c does not."""
    for name in "abc":
        for kind in ("images", "images_4"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6)).save(folder / kind / f"{name}.png")
        label = folder / "images_4" / ("test_label" if name == "c" else "label") / f"{name}.png"
        label.parent.mkdir(exist_ok=True)
        Image.new("L", (8, 6), 1).save(label)
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "sparse/0/images.txt").write_text(
        "".join(f"{i} 1 0 0 0 0 0 0 1 {n}.png\n\n" for i, n in enumerate("abc"))
    )
    for part in ("cameras", "points3D"):
        (folder / f"sparse/0/{part}.txt").write_text("1\n")
    return folder


def shrink(images: Path, folder: Path, factor: int) -> None:
    """Smaller images under the same names."""
    folder.mkdir()
    for path in images.iterdir():
        with Image.open(path) as image:
            image.resize((image.width // factor, image.height // factor)).save(folder / path.name)


def write_published_replica(scene: Path, count: int = 180) -> None:
    """All that a scene of Replica has, with as many views, of 4x3 pixels."""
    names = [f"{split}_rgb_{5 * i + k:04d}.png" for split, k in (("train", 0), ("test", 2)) for i in range(count)]
    for part in ("images", "semantic_instance", "sparse/0"):
        (scene / part).mkdir(parents=True)
    for name in names:
        Image.new("RGB", (4, 3)).save(scene / "images" / name)
        truth = scene / "semantic_instance" / name.replace("_rgb_", "_semantic_instance_")
        Image.fromarray(np.ones((3, 4), np.uint16)).save(truth)
    poses = "".join(f"{i} 1 0 0 0 0 0 0 1 {name}\n\n" for i, name in enumerate(names, 1))
    (scene / "sparse/0/images.txt").write_text("# Image list\n" + poses)
    for part in ("cameras", "points3D"):
        (scene / f"sparse/0/{part}.txt").write_text("1\n")
    for list_, split in (("train", "train"), ("val", "test"), ("test", "test")):
        (scene / f"{list_}_list.txt").write_text("".join(f"{name}\n" for name in names if name.startswith(split)))
