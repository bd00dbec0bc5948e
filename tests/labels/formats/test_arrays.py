"""Masks as TIFFs, as numpy's arrays and as folders of PNGs, in all the forms that programs leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.flatten import flatten_masks
from proto_saga_ns.labels.formats import FORMATS

SHAPE = (6, 8)
LABELS = np.random.default_rng(0).choice([0, 2, 5, 200], SHAPE).astype(np.int32)
LARGE, SMALL = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
LARGE[:4], SMALL[1:3, 1:3] = True, True


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "images" / "a.jpg"
    path.parent.mkdir()
    Image.new("RGB", SHAPE[::-1]).save(path)
    return path


def read(name: str, path: Path, image: Path) -> np.ndarray:
    [(_, labels)] = FORMATS[name].read(path, [image], flatten_masks)
    return labels


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32])
def test_tiffs_of_every_depth_keep_their_ids(tmp_path: Path, image: Path, kind: Any) -> None:
    Image.fromarray(LABELS.astype(kind)).save(tmp_path / "a.TIFF")
    np.testing.assert_array_equal(read("tiff", tmp_path, image), LABELS)


@pytest.mark.parametrize("kind", [np.uint8, np.uint32, np.int64, np.float64])
def test_arrays_of_every_type_keep_their_ids(tmp_path: Path, image: Path, kind: Any) -> None:
    np.save(tmp_path / "a.npy", LABELS.astype(kind))
    np.testing.assert_array_equal(read("npy", tmp_path, image), LABELS)


def test_ids_beyond_16_bits_are_renumbered(tmp_path: Path, image: Path) -> None:
    large = np.where(LABELS > 0, LABELS.astype(np.int64) * 10**10, 0)
    np.save(tmp_path / "a.npy", large)
    found = read("npy", tmp_path, image)
    assert set(found.flat) == {0, 1, 2, 3} and ((found == 0) == (LABELS == 0)).all()
    np.save(tmp_path / "a.npy", large + 10**10)
    assert set(read("npy", tmp_path, image).flat) == {1, 2, 3, 4}


@pytest.mark.parametrize("names", [{"masks"}, {"whatever"}, {"labels", "scores"}])
def test_overlapping_masks_in_an_archive_are_flattened_with_the_smaller_on_top(
    tmp_path: Path, image: Path, names: set[str]
) -> None:
    masks = np.stack([SMALL, LARGE]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", **{name: masks if name != "scores" else np.ones(2) for name in names})
    found = read("npy", tmp_path, image)
    assert (found[SMALL] == 2).all() and (found[LARGE & ~SMALL] == 1).all() and (found[~LARGE] == 0).all()


@pytest.mark.parametrize(
    "array", [np.full(SHAPE, 0.5), np.full(SHAPE, -1), np.full((2, *SHAPE), 7), np.zeros(5), np.zeros(SHAPE, "U3")]
)
def test_arrays_that_are_no_masks_are_named(tmp_path: Path, image: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ProtoSagaError, match=r"a\.npy is an array.*Expected integers"):
        read("npy", tmp_path, image)


def test_files_that_are_damaged_or_of_another_size_are_named(tmp_path: Path, image: Path) -> None:
    np.save(tmp_path / "a.npy", LABELS[:3])
    with pytest.raises(ProtoSagaError, match=r"a\.npy is 8x3, but its image"):
        read("npy", tmp_path, image)
    for name, file in {"npy": "a.npy", "tiff": "a.tif"}.items():
        (tmp_path / file).write_bytes(b"half")
        with pytest.raises(ProtoSagaError, match=rf"Cannot read .*{file}"):
            read(name, tmp_path, image)
    np.savez(tmp_path / "a.npz", first=LABELS, second=LABELS)
    (tmp_path / "a.npy").unlink()
    with pytest.raises(ProtoSagaError, match="first, second"):
        read("npy", tmp_path, image)
    with pytest.raises(ProtoSagaError, match="holds no"):
        read("tiff", tmp_path / "images", image)


def write_masks(folder: Path, metadata: str | None) -> None:
    folder.mkdir()
    for number, mask in enumerate((LARGE, SMALL)):
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(folder / f"{number}.png")
    if metadata is not None:
        (folder / "metadata.csv").write_text(metadata)


def test_folders_of_pngs_are_flattened_by_predicted_iou_or_by_size(tmp_path: Path, image: Path) -> None:
    write_masks(tmp_path / "a", "id,area,predicted_iou,stability_score\n0,32,0.9,1\n1,4,0.8,1\n")
    assert set(read("sam-pngs", tmp_path, image).flat) == {0, 1}, "the large one is better and hides the small one"
    (tmp_path / "a" / "metadata.csv").unlink()
    assert (read("sam-pngs", tmp_path, image)[SMALL] == 2).all()


def test_a_table_that_lacks_a_mask_and_a_mask_of_another_size_are_named(tmp_path: Path, image: Path) -> None:
    write_masks(tmp_path / "a", "id,area,predicted_iou\n0,32,0.9\n")
    with pytest.raises(ProtoSagaError, match=r"metadata\.csv has no predicted_iou"):
        read("sam-pngs", tmp_path, image)
    Image.new("L", (3, 3)).save(tmp_path / "a" / "1.png")
    with pytest.raises(ProtoSagaError, match=r"1\.png is 3x3"):
        read("sam-pngs", tmp_path, image)
