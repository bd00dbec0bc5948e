"""Masks of one object in the layouts of NVOS and SPIn-NeRF, and in plain folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.object_masks import masks_of_views, object_masks, read_object_mask

IMAGES = [Path(f"scene/images/IMG_{number}.JPG") for number in (7, 10, 9)]
MASK = np.array([[0, 1], [0, 1]], np.uint8)


def save(file: Path, pixels: np.ndarray = MASK) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def names(folder: Path) -> list[str]:
    return [*masks_of_views(object_masks(folder).files, IMAGES)]


def test_a_plain_folder_is_in_natural_order(tmp_path: Path) -> None:
    for image in IMAGES:
        save(tmp_path / f"{image.stem}.png")
    assert names(tmp_path) == ["IMG_7", "IMG_9", "IMG_10"]
    assert object_masks(tmp_path).reference is None


def test_spin_nerf_has_pictures_beside_its_masks(tmp_path: Path) -> None:
    for ending in ("", "_pseudo", "_cutout"):
        save(tmp_path / f"IMG_7{ending}.png")
    (tmp_path / "annotations.json").write_text("{}")
    assert names(tmp_path) == ["IMG_7"]


def test_spin_nerf_counts_images_of_some_scenes(tmp_path: Path) -> None:
    """In name order: IMG_10, IMG_7, IMG_9; a number that is left out moves none of the others."""
    for number in (0, 2):
        save(tmp_path / f"image{number:03d}.png", MASK * (number + 1))
    found = masks_of_views(object_masks(tmp_path).files, IMAGES)
    assert {name: file.stem for name, file in found.items()} == {"IMG_10": "image000", "IMG_9": "image002"}
    save(tmp_path / "image003.png")
    with pytest.raises(ProtoSagaError, match="image000"):
        names(tmp_path)


def test_spin_nerf_writes_the_split_before_some_names(tmp_path: Path) -> None:
    save(tmp_path / "0_IMG_7.png"), save(tmp_path / "1_IMG_9.png")
    assert names(tmp_path) == ["IMG_7", "IMG_9"]


def test_a_mask_of_no_view_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "IMG_7.png"), save(tmp_path / "IMG_8.png")
    with pytest.raises(ProtoSagaError, match=r"IMG_8\.png is the mask of a view IMG_8 that the run does not have"):
        names(tmp_path)


def write_nvos(root: Path, task: str = "horns_left") -> Path:
    save(root / "masks" / task / "IMG_9_mask.png", MASK * 255)
    save(root / "masks" / task / "IMG_9.JPG")
    save(root / "reference_image" / task / "IMG_7.JPG")
    for kind in ("pos_0", "neg_0", "vis_0"):
        save(root / "scribbles" / task / f"{kind}_horns.png")
    return root / "masks" / task


def test_nvos(tmp_path: Path) -> None:
    folder = write_nvos(tmp_path / "llff")
    found = object_masks(folder)
    assert names(folder) == ["IMG_9"] and found.reference == "IMG_7"
    assert found.scribbles is not None and found.scribbles.negative.name == "neg_0_horns.png"
    with pytest.raises(ProtoSagaError, match=r"several objects.*horns_left"):
        object_masks(tmp_path / "llff")
    found.scribbles.positive.unlink()
    with pytest.raises(ProtoSagaError, match="needs one pos_"):
        object_masks(folder)


@pytest.mark.parametrize("largest", [1, 255])
def test_what_is_not_0_is_inside(tmp_path: Path, largest: int) -> None:
    wanted = MASK.astype(bool)
    assert (read_object_mask(save(tmp_path / "grey.png", MASK * largest)) == wanted).all()
    assert (read_object_mask(save(tmp_path / "16.png", MASK.astype(np.uint16) * largest)) == wanted).all()
    colour = np.stack([MASK * 0, MASK * largest, MASK * 0, MASK * 0 + 255], -1)
    assert (read_object_mask(save(tmp_path / "rgb.png", colour[..., :3])) == wanted).all()
    assert (read_object_mask(save(tmp_path / "rgba.png", colour)) == wanted).all()
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ProtoSagaError, match=r"bad\.png cannot be read"):
        read_object_mask(tmp_path / "bad.png")
