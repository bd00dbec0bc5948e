"""Masks are found in a fixed order, matched by stem and checked against their images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import (
    MASK_FOLDERS,
    check_label_maps,
    check_no_other_masks,
    find_mask_folder,
    has_mask_of,
    index_masks,
    named_mask_folder,
    write_label_map,
)
from proto_saga_ns.labels.folder import amid_others, mask_files


def write_image(path, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    return [write_image(tmp_path / "images" / f"{name}.jpg") for name in "abc"]


def write_masks(folder, names="abc", shape=(6, 8), value=1):
    for name in names:
        write_label_map(folder / f"{name}.png", np.full(shape, value))
    return folder


def test_folders_are_tried_in_order(tmp_path):
    assert find_mask_folder(tmp_path) is None
    for name in reversed(MASK_FOLDERS):
        write_masks(tmp_path / name)
        assert find_mask_folder(tmp_path) == tmp_path / name
    assert find_mask_folder(tmp_path, exclude=[tmp_path / "masks"]) == tmp_path / "raw_sam_mask"


def test_empty_folder_is_no_mask_folder(tmp_path):
    (tmp_path / "masks").mkdir()
    assert find_mask_folder(tmp_path) is None


def test_a_named_folder_is_seen_from_here_then_from_the_data(tmp_path, monkeypatch):
    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here, data / "theirs", data / "both"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert named_mask_folder(Path("theirs"), data) == data / "theirs"
    assert named_mask_folder(Path("both"), data) == data / "both"
    (here / "both").mkdir()
    assert named_mask_folder(Path("both"), data) == here / "both" == named_mask_folder(here / "both", data)
    with pytest.raises(ProtoSagaError) as error:
        named_mask_folder(Path("nowhere"), data)
    assert all(str(place / "nowhere") in str(error.value) for place in (here, data))


def test_masks_are_matched_by_stem_and_may_be_missing(tmp_path, images):
    folder = write_masks(tmp_path / "masks", "ca")
    assert index_masks(folder, images) == [folder / "a.png", None, folder / "c.png"]


def test_suffixes_of_cameras_and_folders_for_each_camera_are_found(tmp_path, images):
    masks = write_masks(tmp_path / "masks", "a")
    (masks / "a.png").rename(masks / "a.PNG")
    assert find_mask_folder(tmp_path) == masks and index_masks(masks, images)[0] == masks / "a.PNG"
    assert has_mask_of(masks, images) and not has_mask_of(masks, images[1:])
    nested = tmp_path / "other" / "masks"
    left, right = write_masks(nested / "left", "a"), write_masks(nested / "right", "bc")
    assert find_mask_folder(tmp_path / "other") == nested
    assert index_masks(nested, images) == [left / "a.png", right / "b.png", right / "c.png"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("a.tif", "--from tiff"), ("a.npz", "--from npy"), ("a.json", "--from sam-json"), ("a.jpg", "grey PNGs")],
)
def test_masks_that_are_no_pngs_are_told_with_the_command_that_converts_them(tmp_path, name, remedy):
    check_no_other_masks(tmp_path)
    folder = tmp_path / "masks"
    folder.mkdir()
    check_no_other_masks(tmp_path)
    (folder / name).touch()
    with pytest.raises(ProtoSagaError, match=rf"masks holds no PNG, but 1 files \{name[1:]}.*{remedy}"):
        check_no_other_masks(tmp_path)
    check_no_other_masks(tmp_path, exclude=[folder])
    (folder / "b.png").touch()
    check_no_other_masks(tmp_path)


def test_no_mask_at_all_is_an_error_with_an_example(tmp_path, images):
    with pytest.raises(ProtoSagaError, match=r"None of the 3 images.*a\.png"):
        index_masks(write_masks(tmp_path / "masks", "xyz"), images)
    with pytest.raises(ProtoSagaError, match="does not exist"):
        index_masks(tmp_path / "nowhere", images)


def test_folders_of_binary_masks_are_told_with_their_conversion(tmp_path, images):
    write_masks(tmp_path / "masks" / "a", "01")
    with pytest.raises(ProtoSagaError, match=r"a folder of PNGs for each image.*--from sam-pngs"):
        index_masks(tmp_path / "masks", images)


def test_names_must_differ(tmp_path, images):
    folder = write_masks(tmp_path / "masks")
    with pytest.raises(ProtoSagaError, match=r"images share.*a\.jpg.*a\.png"):
        index_masks(folder, [*images, tmp_path / "images" / "a.png"])
    write_label_map(folder / "b.PNG", np.ones((6, 8), int))
    with pytest.raises(ProtoSagaError, match=r"b\.PNG and .*b\.png have the same name"):
        index_masks(folder, images)


def test_check_reports_ids_and_coverage(tmp_path, images):
    folder = write_masks(tmp_path / "masks", "a", value=300)
    labels = np.zeros((6, 8), int)
    labels[:3] = 2
    write_label_map(folder / "c.png", labels)
    check = check_label_maps(index_masks(folder, images), images)
    assert [list(ids) for ids in check.ids] == [[300], [], [2]]
    assert check.labelled == [1.0, 0.0, 0.5]
    assert "2 label maps, 1 masks a view (1 to 1), 75%" in check.summary()


def test_all_empty_is_an_error(tmp_path, images):
    folder = write_masks(tmp_path / "masks", value=0)
    with pytest.raises(ProtoSagaError, match=r"All 3 label maps .* are empty"):
        check_label_maps(index_masks(folder, images), images)


def test_other_size_is_an_error_that_names_both(tmp_path, images):
    folder = write_masks(tmp_path / "masks", shape=(3, 4))
    with pytest.raises(ProtoSagaError, match=r"a\.png is 4x3, but its image .*a\.jpg is 8x6"):
        check_label_maps(index_masks(folder, images), images)


def test_downscaled_images_take_masks_of_the_full_size_or_their_own(tmp_path, images):
    small = [write_image(tmp_path / "images_2" / path.name, (4, 3)) for path in images]
    for shape in ((6, 8), (3, 4)):
        folder = write_masks(tmp_path / "masks", shape=shape)
        check_label_maps(index_masks(folder, small), small)
    folder = write_masks(tmp_path / "masks", shape=(5, 8))
    with pytest.raises(ProtoSagaError, match="8x5"):
        check_label_maps(index_masks(folder, small), small)


def test_what_file_managers_leave_behind_is_no_mask(tmp_path):
    folder = write_masks(tmp_path / "masks")
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"no mask")
    assert [path.name for path in mask_files(folder)] == ["a.png", "b.png", "c.png"]
    for path in folder.glob("[abc].png"):
        path.unlink()
    assert find_mask_folder(tmp_path) is None
    check_no_other_masks(tmp_path)


def test_ids_that_are_no_more_than_lines_are_counted(images):
    labels = np.zeros((6, 8), int)
    labels[:, :4], labels[:, 4], labels[:, 5:] = 9, 6, 2  # between 9 and 2, as a blend of both
    write_label_map(images[0].parent / "a.png", labels)
    assert check_label_maps([images[0].parent / "a.png"], images[:1]).lines == pytest.approx(1 / 3)
    assert check_label_maps([None], images[:1]).lines == 0


def test_pixels_amid_others_of_their_id_are_those_that_an_erosion_leaves():
    labels = np.random.default_rng(0).integers(0, 2, (30, 40), np.int32).repeat(2, 0).repeat(3, 1)
    windows = np.lib.stride_tricks.sliding_window_view(labels, (3, 3))
    same = (windows == windows[..., 1:2, 1:2]).all((-1, -2))
    np.testing.assert_array_equal(amid_others(labels), np.where(same, labels[1:-1, 1:-1], 0))
    assert amid_others(labels).any()
