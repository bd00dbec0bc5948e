from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels.view_names import files_by_name, match_views, unique_names, view_name

RIG = [Path("/data/images/left/0.jpg"), Path("/data/images/right/0.jpg"), Path("/data/images/right/1.jpg")]


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/scene/images/0001.jpg", "0001"),
        ("/data/scene/images/left/0001.jpg", "left/0001"),
        ("/data/scene/images_4/rig/left/0001.jpg", "rig/left/0001"),
        ("/images/scene/images/a.b.png", "a.b"),
        ("/data/scene/train/r_0.png", "r_0"),
        ("images/left/0.jpg", "left/0"),
        ("0.jpg", "0"),
    ],
)
def test_a_view_is_called_like_its_file_and_the_folders_in_images(image, name):
    assert view_name(Path(image)) == name


def test_cameras_of_a_rig_may_use_the_same_names():
    assert list(unique_names([*RIG, RIG[0]])) == ["left/0", "right/0", "right/1"]
    with pytest.raises(ProtoSagaError, match=r"share the name 'left/0'.*0\.jpg and .*0\.png"):
        unique_names([*RIG, RIG[0].with_suffix(".png")])
    with pytest.raises(ProtoSagaError, match=r"share the name '0'.*sub-folder of images/"):
        unique_names([Path("/data/left/0.jpg"), Path("/data/right/0.jpg")])


@given(st.lists(st.sampled_from(["left/0", "right/0", "right/1", "right/2", "0"]), unique=True))
def test_whole_names_are_matched_in_any_subset(names):
    """Whatever views a split has: a view never gets the label map of another one."""
    files = {f"images/{name}": name for name in names} | {"other/0": "none of theirs"}
    images = [Path(f"/data/images_2/{name}.jpg") for name in names]
    assert match_views(files, images) == names


def test_the_last_part_counts_where_folders_differ():
    assert match_views({"a": 1, "c": 3}, [Path("/d/images/x/a.jpg"), Path("/d/images/y/b.jpg")]) == [1, None]
    assert match_views({"x/a": 1, "y/b": 2}, [Path("/d/images/a.jpg"), Path("/d/images/b.jpg")]) == [1, 2]
    assert match_views({}, RIG) == [None] * 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0": 1}, r"0 fits two images.*left/0\.jpg and .*right/0\.jpg.*right/0"),
        ({"a/1": 1, "b/1": 2}, r"right/1\.jpg has two label maps, a/1 and b/1.*right/1"),
    ],
)
def test_what_fits_twice_is_an_error(files, message):
    with pytest.raises(ProtoSagaError, match=message):
        match_views(files, RIG)


def test_files_are_known_by_their_place(tmp_path):
    files = [tmp_path / "a.b.png", tmp_path / "left" / "0.PNG"]
    assert files_by_name(tmp_path, files) == {"a.b": files[0], "left/0": files[1]}
    with pytest.raises(ProtoSagaError, match="but for the suffix"):
        files_by_name(tmp_path, [*files, tmp_path / "left" / "0.png"])
