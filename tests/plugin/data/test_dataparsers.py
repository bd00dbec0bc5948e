"""The three parsers find, make and check label maps; bad data ends in one clear message."""

import json
import shutil
from dataclasses import dataclass

import numpy as np
import pytest
import tyro
import yaml
from nerfstudio.data.dataparsers import colmap_dataparser
from PIL import Image

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import write_label_map
from proto_saga_ns.labels.images import find_images
from proto_saga_ns.plugin.data.dataparsers import (
    AnnotatedMaskedDataParser,
    MaskedBlenderConfig,
    MaskedColmapConfig,
    MaskedNerfstudioConfig,
)
from tests.plugin.data.formats import write_blender, write_colmap
from tests.scenes import NUM_INSTANCES, write_tiny_scene


@pytest.fixture
def scene(tmp_path):
    return write_tiny_scene(tmp_path / "scene", size=(32, 24))


def parse(config, split="train"):
    """The data parser's outputs of a split, and their label maps."""
    parser = config.setup()
    outputs = parser.get_dataparser_outputs(split=split)
    return outputs, parser.label_maps(outputs, split)


def edit_transforms(scene, change):
    path = scene.folder / "transforms.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_nerfstudio_label_maps_are_parallel_to_the_views(scene):
    outputs, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert outputs.image_filenames == scene.train_paths
    assert [path.name for path in maps.paths] == [path.name for path in scene.train_paths]
    assert all(list(ids) == list(range(1, len(ids) + 1)) for ids in maps.ids)
    assert len(outputs.metadata["points3D_xyz"]) == 500


def test_the_json_file_itself_is_accepted_as_data(scene):
    _, maps = parse(MaskedNerfstudioConfig(data=scene.folder / "transforms.json"))
    assert maps.source == str(scene.folder / "masks")


def test_colmap(tmp_path):
    folder = write_colmap(write_tiny_scene(tmp_path, n_views=6))
    outputs, maps = parse(MaskedColmapConfig(data=folder))
    assert len(outputs.image_filenames) == len(maps.paths) == 5
    assert all(image.stem == mask.stem for image, mask in zip(outputs.image_filenames, maps.paths, strict=True))


def test_blender_masks_lie_under_the_name_of_their_split(scene, tmp_path):
    folder = write_blender(scene, tmp_path / "blender")
    _, maps = parse(MaskedBlenderConfig(data=folder))
    assert all(path.parent == folder / "masks" / "train" for path in maps.paths)
    # Images of other splits have the same names, and must not be given these masks.
    assert parse(MaskedBlenderConfig(data=folder), "val")[1] is None


def test_blender_masks_in_one_folder_belong_to_the_training_views(scene, tmp_path):
    folder = write_blender(scene, tmp_path / "blender")
    (folder / "masks" / "train").rename(folder / "sam_mask")
    shutil.rmtree(folder / "masks")
    assert parse(MaskedBlenderConfig(data=folder))[1].source == str(folder / "sam_mask")
    assert parse(MaskedBlenderConfig(data=folder), "test")[1] is None


def test_mask_dir_goes_before_the_folders(scene):
    for mask_dir in ("instances", scene.folder / "instances"):
        _, maps = parse(MaskedNerfstudioConfig(data=scene.folder, mask_dir=mask_dir))
        assert maps.source == str(scene.folder / "instances")


def test_auto_without_masks_makes_superpixels_and_says_so(tmp_path, capsys):
    scene = write_tiny_scene(tmp_path, masks=None)
    _, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert "superpixel" in maps.source and all(len(ids) > 2 for ids in maps.ids)
    assert "knows no objects" in " ".join(capsys.readouterr().out.split())


def test_superpixel_ignores_given_masks(scene):
    config = MaskedNerfstudioConfig(data=scene.folder, mask_source="superpixel")
    assert ".proto_saga" in parse(config)[1].source
    assert parse(config, "val")[1] is None
    with pytest.raises(ProtoSagaError, match="Give one of the two"):
        parse(MaskedNerfstudioConfig(data=scene.folder, mask_source="superpixel", mask_dir="masks"))


def test_folder_without_masks_is_an_error_for_training_only(tmp_path):
    scene = write_tiny_scene(tmp_path, masks=None)
    config = MaskedNerfstudioConfig(data=scene.folder, mask_source="folder")
    with pytest.raises(ProtoSagaError, match="none of masks, raw_sam_mask, sam_mask, object_mask"):
        parse(config)
    assert parse(config, "test")[1] is None


def test_test_views_get_their_masks_if_there_are_any(scene):
    assert all(parse(MaskedNerfstudioConfig(data=scene.folder), "test")[1].paths)
    for path in scene.test_paths:
        (scene.folder / "masks" / path.name).unlink()
    assert parse(MaskedNerfstudioConfig(data=scene.folder), "test")[1] is None


def test_views_without_masks_are_reported_once_with_names(scene, capsys):
    for path in scene.train_paths[:2]:
        (scene.folder / "masks" / path.name).unlink()
    _, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert maps.paths[:2] == [None, None] and all(maps.paths[2:])
    assert list(maps.ids[0]) == []
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("2 of 9 training views have no label map") == 1 and "view_000.png, view_001.png" in text


def test_masks_of_moving_things_are_not_taken_for_label_maps(scene):
    def add_mask_paths(content):
        for frame in content["frames"]:
            frame["mask_path"] = frame["file_path"].replace("images", "masks")

    edit_transforms(scene, add_mask_paths)
    shutil.copytree(scene.folder / "instances", scene.folder / "object_mask")
    assert parse(MaskedNerfstudioConfig(data=scene.folder))[1].source == str(scene.folder / "object_mask")


def test_full_size_masks_of_downscaled_images(scene):
    (scene.folder / "images_2").mkdir()
    for path in scene.image_paths:
        Image.open(path).resize((16, 12)).save(scene.folder / "images_2" / path.name)
    outputs, maps = parse(MaskedNerfstudioConfig(data=scene.folder, downscale_factor=2))
    assert outputs.image_filenames[0].parent.name == "images_2"
    assert maps.read(0, 12, 16).shape == (12, 16)


def test_labels_are_compact_and_a_missing_map_is_all_zero(scene):
    for path in scene.train_paths[1:]:
        (scene.folder / "masks" / path.name).unlink()
    labels = np.kron(np.array([[0, 900], [65535, 7]]), np.ones((12, 16), int))
    write_label_map(scene.folder / "masks" / scene.train_paths[0].name, labels)
    _, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert list(maps.ids[0]) == [7, 900, 65535]
    np.testing.assert_array_equal(maps.read(0, 2, 2), [[0, 2], [3, 1]])
    assert maps.read(1, 24, 32).shape == (24, 32) and not maps.read(1, 24, 32).any()


def test_views_whose_image_is_gone_are_dropped_with_a_word(scene, capsys):
    scene.train_paths[0].unlink()
    outputs, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert outputs.image_filenames == scene.train_paths[1:]
    assert len(outputs.cameras) == len(maps.paths) == 8
    assert "view_000.png" in capsys.readouterr().out
    for path in scene.train_paths[1:] + scene.test_paths:
        path.unlink()
    with pytest.raises(ProtoSagaError, match="none of its images exists"):
        parse(MaskedNerfstudioConfig(data=scene.folder))


def missing_pose(content):
    del content["frames"][3]["transform_matrix"]


def nan_pose(content):
    content["frames"][3]["transform_matrix"][0][3] = float("nan")


def flat_pose(content):
    content["frames"][3]["transform_matrix"] = [1.0] * 16


@pytest.mark.parametrize("change", [missing_pose, nan_pose, flat_pose])
def test_a_bad_pose_is_named(scene, change):
    edit_transforms(scene, change)
    with pytest.raises(ProtoSagaError, match=r"pose .*view_003\.png .*transforms\.json"):
        parse(MaskedNerfstudioConfig(data=scene.folder))


def test_no_poses_at_all(scene, tmp_path):
    edit_transforms(scene, lambda content: content["frames"].clear())
    with pytest.raises(ProtoSagaError, match=r"No poses: .* is empty"):
        parse(MaskedNerfstudioConfig(data=scene.folder))
    (scene.folder / "transforms.json").write_text("{")
    with pytest.raises(ProtoSagaError, match=r"No poses: .*transforms\.json"):
        parse(MaskedNerfstudioConfig(data=scene.folder))
    (scene.folder / "transforms.json").unlink()
    with pytest.raises(ProtoSagaError, match=r"No poses: .*does not exist"):
        parse(MaskedNerfstudioConfig(data=scene.folder))
    with pytest.raises(ProtoSagaError, match=r"The data .*nowhere does not exist"):
        parse(MaskedNerfstudioConfig(data=tmp_path / "nowhere"))
    with pytest.raises(ProtoSagaError, match=r"No poses: .* has no colmap/sparse/0 or sparse/0 or sparse"):
        parse(MaskedColmapConfig(data=scene.folder))


def test_nan_intrinsics_and_points_are_errors(scene):
    edit_transforms(scene, lambda content: content.update(k1=float("nan")))
    with pytest.raises(ProtoSagaError, match="in the camera of 9 views"):
        parse(MaskedNerfstudioConfig(data=scene.folder))
    edit_transforms(scene, lambda content: content.update(k1=0.0))
    ply = (scene.folder / "points.ply").read_text().splitlines()
    ply[-1] = "nan 0 0 1 2 3"
    (scene.folder / "points.ply").write_text("\n".join(ply) + "\n")
    with pytest.raises(ProtoSagaError, match="in 1 of the 500 3D points"):
        parse(MaskedNerfstudioConfig(data=scene.folder))


def test_an_image_of_another_size_than_its_camera_is_an_error_before_masks_are_made(scene):
    """As a program exports portraits whose width and height are swapped."""
    edit_transforms(scene, lambda content: content.update(w=24, h=32))
    with pytest.raises(ProtoSagaError, match=r"view_000\.png is 32x24, but its camera says 24x32"):
        MaskedNerfstudioConfig(data=scene.folder).setup().get_dataparser_outputs(split="train")


def test_a_rotation_in_exif_is_told(scene, capsys):
    exif = Image.Exif()
    exif[0x112] = 3
    for path in scene.train_paths[:2]:
        Image.open(path).save(path, exif=exif)
    MaskedNerfstudioConfig(data=scene.folder).setup().get_dataparser_outputs(split="train")
    assert "2 images carry an EXIF orientation (first view_000.png)" in " ".join(capsys.readouterr().out.split())


def frames_of(scene):
    return [
        path.name for path in MaskedNerfstudioConfig(data=scene.folder).setup().get_dataparser_outputs().image_filenames
    ]


def test_pose_files_of_windows_are_read(scene):
    """With a byte order mark, and with backslashes in paths."""
    expected = frames_of(scene)

    def to_windows(content):
        for frame in content["frames"]:
            frame["file_path"] = frame["file_path"].replace("/", "\\")
        for name in ("train_filenames", "val_filenames", "test_filenames"):
            content[name] = [path.replace("/", "\\") for path in content[name]]

    edit_transforms(scene, to_windows)
    path = scene.folder / "transforms.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert frames_of(scene) == expected and len(expected) == 9
    assert [image.name for image in find_images(scene.folder)] == sorted(path.name for path in scene.image_paths)


def test_frames_without_suffix_are_the_images_of_that_name(scene):
    expected = frames_of(scene)

    def cut(content):
        for frame in content["frames"]:
            frame["file_path"] = frame["file_path"].removesuffix(".png")
        for name in ("train_filenames", "val_filenames", "test_filenames"):
            content[name] = [path.removesuffix(".png") for path in content[name]]

    edit_transforms(scene, cut)
    assert frames_of(scene) == expected


def test_a_camera_model_that_nerfstudio_does_not_know_is_named_with_those_that_it_does(scene):
    edit_transforms(scene, lambda content: content.update(camera_model="PERSPECTIVE"))
    with pytest.raises(ProtoSagaError, match=r"camera_model of .*transforms\.json is 'PERSPECTIVE'.*PINHOLE"):
        frames_of(scene)


def without_lists(content):
    for name in ("train_filenames", "val_filenames", "test_filenames"):
        del content[name]


def test_one_view_is_too_few_and_few_views_are_tested_on_themselves(scene, capsys):
    edit_transforms(scene, lambda content: (without_lists(content), content.update(frames=content["frames"][:3])))
    parser = MaskedNerfstudioConfig(data=scene.folder).setup()
    train, test = (parser.get_dataparser_outputs(split=split).image_filenames for split in ("train", "val"))
    assert train == test and len(train) == 3
    assert "training views stand in" in " ".join(capsys.readouterr().out.split())
    edit_transforms(scene, lambda content: content.update(frames=content["frames"][:1]))
    with pytest.raises(ProtoSagaError, match="has a single view"):
        frames_of(scene)


@pytest.mark.parametrize("place", [0, 7.3, 123.4])
def test_cameras_in_one_place_are_an_error_whatever_rounding_leaves_of_their_distance(scene, place):
    def turn_on_the_spot(content):
        for frame in content["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] = place

    edit_transforms(scene, turn_on_the_spot)
    with pytest.raises(ProtoSagaError, match="all of its cameras stand in one place"):
        frames_of(scene)


def test_questions_that_nobody_can_answer_are_errors_with_the_option(scene, monkeypatch):
    """Nerfstudio asks whether to write a point cloud, and whether to downscale large images."""
    write_colmap(write_tiny_scene(scene.folder / "other", n_views=6, size=(64, 48)))
    edit_transforms(scene, lambda content: content.pop("ply_file_path"))
    shutil.copytree(scene.folder / "other" / "colmap", scene.folder / "colmap")
    with pytest.raises(ProtoSagaError, match=r"nerfstudio asks: .*No terminal is here.*--load-3D-points False"):
        frames_of(scene)
    monkeypatch.setattr(colmap_dataparser, "MAX_AUTO_RESOLUTION", 40)
    with pytest.raises(ProtoSagaError, match=r"nerfstudio asks: .*--downscale-factor 1"):
        parse(MaskedColmapConfig(data=scene.folder / "other"))


def test_command_line_offers_the_parsers_under_nerfstudios_names(tmp_path):
    @dataclass
    class Command:
        dataparser: AnnotatedMaskedDataParser

    for name, config in {
        "nerfstudio-data": MaskedNerfstudioConfig,
        "colmap": MaskedColmapConfig,
        "blender-data": MaskedBlenderConfig,
    }.items():
        arguments = [name, "--mask-source", "folder", "--mask-dir", "m", "--superpixel.max-regions", "9"]
        parser = tyro.cli(Command, args=arguments).dataparser
        assert isinstance(parser, config)
        assert (parser.mask_source, str(parser.mask_dir), parser.superpixel.max_regions) == ("folder", "m", 9)
        # Nerfstudio keeps configurations as YAML beside the checkpoints.
        assert yaml.load(yaml.dump(parser), Loader=yaml.Loader) == parser


def test_shuffled_masks_cover_the_instances(scene):
    _, maps = parse(MaskedNerfstudioConfig(data=scene.folder))
    assert max(len(ids) for ids in maps.ids) == NUM_INSTANCES


def test_brackets_in_a_path_are_no_markup(tmp_path, capsys):
    scene = write_tiny_scene(tmp_path / "[bold]")
    parse(MaskedNerfstudioConfig(data=scene.folder))
    assert "[bold]" in capsys.readouterr().out
