"""Every format gives back what was written, reads what its own program writes, and names what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import compact_labels
from proto_saga_ns.labels.flatten import flatten_masks
from proto_saga_ns.labels.formats import FORMATS
from proto_saga_ns.labels.formats.base import check_some_masks
from proto_saga_ns.labels.formats.coco import ids_to_rgb, rgb_to_ids
from proto_saga_ns.labels.formats.omniseg3d import object_labels, patch_labels
from proto_saga_ns.labels.formats.rle import to_rle

SHAPE = (6, 8)
HAVE_NO_FOLDERS = ("gaga", "gaussian-grouping")
KEEPS_IDS = {"label-maps", "gaussian-grouping", "coco-panoptic", "tiff", "npy"}


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "images" / f"{name}.jpg" for name in ("a", "b", "c")]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("RGB", SHAPE[::-1]).save(path)
    return paths


def label_map(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 2, 5, 200], SHAPE).astype(np.int32)


def read(name: str, path: Path, images: list[Path]) -> dict[str, np.ndarray]:
    return {image.stem: labels for image, labels in FORMATS[name].read(path, images, flatten_masks)}


def same_regions(first: np.ndarray, second: np.ndarray) -> bool:
    pairs = set(zip(first.flat, second.flat, strict=True))
    return len(pairs) == len(set(first.flat)) == len(set(second.flat)) and ((first == 0) == (second == 0)).all()


@pytest.mark.parametrize("name", FORMATS)
def test_reading_inverts_writing(name: str, tmp_path: Path, images: list[Path]) -> None:
    # A view is without masks, another one is empty.
    maps = {images[0]: label_map(), images[2]: np.zeros(SHAPE, np.int32)}
    FORMATS[name].write(tmp_path / "out", iter(maps.items()))
    again = read(name, tmp_path / "out", images)
    assert set(again) == {"a", "c"}
    assert same_regions(again["a"], maps[images[0]]) and not again["c"].any()
    assert again["a"].dtype == np.int32
    if name in KEEPS_IDS:
        np.testing.assert_array_equal(again["a"], maps[images[0]])
    else:
        assert set(again["a"].flat) == {0, 1, 2, 3}


@pytest.mark.parametrize("name", FORMATS)
def test_cameras_of_a_rig_keep_their_masks_apart(name: str, tmp_path: Path) -> None:
    """Two photos of the same name, each in the folder of its camera."""
    maps = {tmp_path / "images" / camera / "0.jpg": label_map(seed) for seed, camera in enumerate(("left", "right"))}
    for image in maps:
        image.parent.mkdir(parents=True)
        Image.new("RGB", SHAPE[::-1]).save(image)
    if name in HAVE_NO_FOLDERS:
        with pytest.raises(ProtoSagaError, match="would have the same mask"):
            FORMATS[name].write(tmp_path / "out", iter(maps.items()))
        return
    FORMATS[name].write(tmp_path / "out", iter(maps.items()))
    again = dict(FORMATS[name].read(tmp_path / "out", list(maps), flatten_masks))
    assert again.keys() == maps.keys()
    assert all(same_regions(again[image], labels) for image, labels in maps.items())


@pytest.mark.parametrize("name", HAVE_NO_FOLDERS)
def test_photos_of_a_scene_without_masks_are_not_taken_for_masks(name: str, tmp_path: Path) -> None:
    photo = tmp_path / "images" / "a.png"
    photo.parent.mkdir()
    Image.new("L", SHAPE[::-1], 7).save(photo)
    with pytest.raises(ProtoSagaError, match=r"holds no \*\.png file, nor does"):
        read(name, tmp_path, [photo])


@pytest.mark.parametrize("name", FORMATS)
def test_masks_of_another_size_or_for_no_image_are_refused(name: str, tmp_path: Path, images: list[Path]) -> None:
    FORMATS[name].write(tmp_path / "wrong", iter([(images[0], np.ones((3, 3), np.int32))]))
    with pytest.raises(ProtoSagaError):
        read(name, tmp_path / "wrong", images)
    FORMATS[name].write(tmp_path / "other", iter([(images[0], label_map())]))
    with pytest.raises(ProtoSagaError, match="None of the 1 images"):
        read(name, tmp_path / "other", [images[0].with_name("z.jpg")])
    with pytest.raises(ProtoSagaError, match="nowhere"):
        read(name, tmp_path / "nowhere", images)


def test_eight_bit_formats_refuse_more(tmp_path: Path, images: list[Path]) -> None:
    labels = np.array([[0, 300]], np.int32)
    with pytest.raises(ProtoSagaError, match=r"a\.png.*8 bits"):
        FORMATS["gaussian-grouping"].write(tmp_path, iter([(images[0], labels)]))
    FORMATS["gaga"].write(tmp_path, iter([(images[0], labels)]))
    assert np.asarray(Image.open(tmp_path / "raw_sam_mask" / "a.png")).tolist() == [[0, 1]]
    many = np.arange(400, dtype=np.int32).reshape(20, 20)
    with pytest.raises(ProtoSagaError, match="399 masks"):
        FORMATS["gaga"].write(tmp_path, iter([(images[0], many)]))


def test_gaga_cuts_names_at_the_first_dot(tmp_path: Path) -> None:
    image = tmp_path / "images" / "view.rgb.png"
    image.parent.mkdir()
    Image.new("RGB", SHAPE[::-1]).save(image)
    FORMATS["gaga"].write(tmp_path, iter([(image, label_map())]))
    assert (tmp_path / "raw_sam_mask" / "view.png").exists()
    for place in (tmp_path, tmp_path / "raw_sam_mask"):
        assert same_regions(read("gaga", place, [image])["view.rgb"], label_map())


def test_omniseg3d_patches_and_objects() -> None:
    # Mask A holds patches 1 and 2, mask B patch 2 alone, mask C patch 4; nobody holds 0 and 3.
    correlation = np.zeros((5, 5), np.uint8)
    correlation[1, 1], correlation[2, 2], correlation[1, 2], correlation[2, 1], correlation[4, 4] = 1, 2, 1, 1, 1
    patches = np.array([[0, 1, 2, 3, 4]])
    assert patch_labels(patches, correlation).tolist() == [[0, 1, 2, 0, 3]]
    assert object_labels(patches, correlation).tolist() == [[0, 1, 1, 0, 2]]


def test_damaged_omniseg3d_files_are_named(tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "sam").mkdir()
    file = tmp_path / "sam" / "a.npz"
    for content in (b"", b"no archive"):
        file.write_bytes(content)
        with pytest.raises(ProtoSagaError, match=r"a\.npz"):
            read("omniseg3d", tmp_path, images)
    np.savez(file, indices=np.full(SHAPE, 7), correlation=np.eye(3))
    with pytest.raises(ProtoSagaError, match="do not fit together"):
        read("omniseg3d", tmp_path, images)
    np.savez(file, indices=np.array([object()]), correlation=np.eye(3))
    with pytest.raises(ProtoSagaError, match=r"a\.npz"):
        read("omniseg3d", tmp_path, images)


def overlapping() -> list[dict]:
    """A large mask of low score, a small one of high score inside it, and a rest below both."""
    large, small = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    large[:4], small[1:3, 1:3] = True, True
    return [
        {"segmentation": to_rle(small), "predicted_iou": 0.9, "score": 0.9},
        {"segmentation": to_rle(large), "predicted_iou": 0.7, "score": 0.7},
    ]


def test_sam_json_in_both_forms_is_flattened_by_predicted_iou(tmp_path: Path, images: list[Path]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(overlapping()))
    (tmp_path / "b.json").write_text(json.dumps({"image": {}, "annotations": overlapping()}))
    seen = []

    def flatten(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
        seen.append((masks.shape, masks.dtype, scores.tolist()))
        return flatten_masks(masks, scores)

    views = {image.stem: labels for image, labels in FORMATS["sam-json"].read(tmp_path, images, flatten)}
    assert seen == [((2, *SHAPE), np.dtype(bool), [0.9, 0.7])] * 2
    assert np.unique(views["a"], return_counts=True)[1].tolist() == [16, 28, 4]
    np.testing.assert_array_equal(views["a"], views["b"])


@pytest.mark.parametrize("content", ["{", "{}", "3", '[{"area": 3}]', '[{"segmentation": {"size": [6, 8]}}]', "[3]"])
def test_other_json_is_refused_by_name(tmp_path: Path, images: list[Path], content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    for name in ("sam-json", "coco-instances", "coco-panoptic"):
        with pytest.raises(ProtoSagaError, match=r"a\.json"):
            read(name, tmp_path, images)


def test_coco_instances_with_polygons_scores_and_crowds(tmp_path: Path, images: list[Path]) -> None:
    annotations = [{"image_id": 7, **record} for record in overlapping()]
    annotations.append({"image_id": 7, "segmentation": [[0, 5, 8, 5, 8, 6, 0, 6]]})
    annotations.append({"image_id": 7, "iscrowd": 1, "segmentation": {"size": list(SHAPE), "counts": [0, 48]}})
    content = {"images": [{"id": 7, "file_name": "folder/a.jpg"}], "annotations": annotations}
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    labels = read("coco-instances", file, images)["a"]
    assert np.unique(labels, return_counts=True)[1].tolist() == [8, 28, 4, 8]


def test_panoptic_ids_of_24_bits_are_renumbered_and_void_is_unlabelled(tmp_path: Path, images: list[Path]) -> None:
    FORMATS["coco-panoptic"].write(tmp_path / "p.json", iter([(images[0], label_map())]))
    ids = np.where(label_map() == 200, 5_000_000, label_map())
    Image.fromarray(ids_to_rgb(ids)).save(tmp_path / "p" / "a.png")
    np.testing.assert_array_equal(rgb_to_ids(ids_to_rgb(ids)), ids)
    content = json.loads((tmp_path / "p.json").read_text())
    content["annotations"][0]["segments_info"] = [{"id": 5_000_000}, {"id": 2}]
    (tmp_path / "p.json").write_text(json.dumps(content))
    labels = read("coco-panoptic", tmp_path / "p.json", images)["a"]
    expected = compact_labels(np.where(np.isin(label_map(), [2, 200]), label_map(), 0))[0]
    np.testing.assert_array_equal(labels, expected)
    (tmp_path / "p" / "a.png").unlink()
    with pytest.raises(ProtoSagaError, match=r"a\.png"):
        read("coco-panoptic", tmp_path / "p.json", images)


def test_coco_files_are_read_by_pycocotools(tmp_path: Path, images: list[Path]) -> None:
    from pycocotools.coco import COCO

    FORMATS["coco-instances"].write(tmp_path, iter([(images[0], label_map())]))
    dataset = COCO(str(tmp_path / "instances.json"))
    records = dataset.loadAnns(dataset.getAnnIds())
    assert [record["label"] for record in records] == [2, 5, 200]
    for record in records:
        np.testing.assert_array_equal(dataset.annToMask(record), label_map() == record["label"])
        assert record["area"] == (label_map() == record["label"]).sum()


def write_coco(path: Path, images: list[Path], **changes: object) -> Path:
    """An instances JSON with the same square in every image, its annotations and images changed."""
    square = [1, 1, 5, 1, 5, 4, 1, 4]
    entries = [{"id": index, "file_name": image.name} for index, image in enumerate(images)]
    records = [{"id": index, "image_id": index, "segmentation": [square]} for index in range(len(images))]
    content = {"images": entries, "annotations": [{**record, **changes} for record in records]}
    path.write_text(json.dumps(content))
    return path


def test_ids_of_images_may_be_text_in_one_place_and_numbers_in_the_other(tmp_path: Path, images: list[Path]) -> None:
    expected = read("coco-instances", write_coco(tmp_path / "a.json", images), images)
    content = json.loads((tmp_path / "a.json").read_text())
    for record in content["annotations"]:
        record["image_id"] = str(record["image_id"])
    (tmp_path / "b.json").write_text(json.dumps(content))
    found = read("coco-instances", tmp_path / "b.json", images)
    assert len(found) == 3
    for stem, labels in found.items():
        assert labels.any()
        np.testing.assert_array_equal(labels, expected[stem])


def test_polygons_of_images_of_another_size_are_refused_as_run_lengths_are(tmp_path: Path, images: list[Path]) -> None:
    file = write_coco(tmp_path / "a.json", images)
    content = json.loads(file.read_text())
    for entry in content["images"]:
        entry |= {"width": SHAPE[1] // 2, "height": SHAPE[0] // 2}
    file.write_text(json.dumps(content))
    with pytest.raises(ProtoSagaError, match=r"a\.json is 4x3, but its image .*a\.jpg is 8x6"):
        read("coco-instances", file, images)


def test_masks_that_sam_gave_as_lists_are_read(tmp_path: Path, images: list[Path]) -> None:
    mask = label_map() > 0
    records = [{"segmentation": mask.tolist(), "predicted_iou": 0.9}]
    (tmp_path / "a.json").write_text(json.dumps(records))
    np.testing.assert_array_equal(read("sam-json", tmp_path, images)["a"] > 0, mask)


def test_a_source_without_any_mask_is_told_before_anything_is_written(tmp_path: Path, images: list[Path]) -> None:
    file = write_coco(tmp_path / "a.json", images, segmentation=[])
    empty = FORMATS["coco-instances"].read(file, images, flatten_masks)
    with pytest.raises(ProtoSagaError, match=r"a\.json has no mask of any of the 3 images"):
        FORMATS["label-maps"].write(tmp_path / "out", check_some_masks(empty, file))
    assert not (tmp_path / "out").exists()


def test_views_before_the_first_mask_are_kept(tmp_path: Path) -> None:
    maps = [np.zeros(SHAPE, np.int32), np.zeros((2, 3), np.int32), label_map(), np.zeros(SHAPE, np.int32)]
    views = [(tmp_path / str(index), labels) for index, labels in enumerate(maps)]
    for (path, labels), (image, original) in zip(check_some_masks(iter(views), tmp_path), views, strict=True):
        assert path == image
        np.testing.assert_array_equal(labels, original)
