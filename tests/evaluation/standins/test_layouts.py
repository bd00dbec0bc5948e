"""Every layout is read back by the readers that read the data set itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.evaluation.datasets.videos import find_sequences
from proto_saga_ns.evaluation.folders import evaluate_folders
from proto_saga_ns.evaluation.standins.cameras import RoomPath, View, lens_of, walk
from proto_saga_ns.evaluation.standins.layouts import DAVIS_SEQUENCE, LERF_MIN_PIXELS
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.render import Picture, Renderer
from proto_saga_ns.evaluation.standins.room import NUM_SHELL, make_room
from proto_saga_ns.evaluation.standins.segmenter import segment
from proto_saga_ns.evaluation.standins.world import World
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.mastsam.image_sequence import read_depth
from proto_saga_ns.plugin.data.dataparsers import MaskedColmapConfig, MaskedNerfstudioConfig

OPTIONS = StandinOptions(seed=5, views=6, test_views=2, width=40, height=30, points=200, samples=1)
SEGMENTER = PRESETS["default"]
UNTOUCHED = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False}


@pytest.fixture(scope="module")
def room() -> World:
    return make_room(OPTIONS.seed)


@pytest.fixture(scope="module")
def views(room: World) -> list[View]:
    return walk(RoomPath(OPTIONS.seed, room.size), OPTIONS.views, OPTIONS.test_views)


@pytest.fixture(scope="module")
def pictures(room: World, views: list[View]) -> list[Picture]:
    renderer = Renderer(room, OPTIONS.samples)
    return [renderer.render(lens_of(OPTIONS.width, OPTIONS.height), view.pose) for view in views]


@pytest.fixture(scope="module")
def masks(views: list[View], pictures: list[Picture]) -> list[np.ndarray]:
    pairs = zip(views, pictures, strict=True)
    return [segment(p.instances, p.parts, SEGMENTER, OPTIONS.seed, f"frame {v.frame}").labels for v, p in pairs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A stand-in in the layout that the test names."""
    place = tmp_path_factory.mktemp("standins") / request.param
    options = replace(OPTIONS, layout=request.param, depth=request.param == "nerfstudio")
    assert write_standin(place, options, SEGMENTER, "default")
    return place


def of(layout: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("folder", [layout], indirect=True)


def assert_same(paths: list[Path], expected: list[np.ndarray]) -> None:
    assert len(paths) == len(expected)
    for path, ids in zip(paths, expected, strict=True):
        np.testing.assert_array_equal(read_label_map(path), ids)


def assert_similar(path: Path, picture: Picture) -> None:
    """JPEG loses little; another view would differ much."""
    assert np.abs(np.asarray(Image.open(path)).astype(int) - picture.rgb).mean() < 4


def chosen(views: list[View], values: list, is_test: bool) -> list:
    return [value for view, value in zip(views, values, strict=True) if view.is_test == is_test]


@of("nerfstudio")
@pytest.mark.parametrize("split", ["train", "test"])
def test_nerfstudio_is_read_by_our_data_parser(folder: Path, split: str, views, pictures, masks) -> None:
    parser = MaskedNerfstudioConfig(data=folder, **UNTOUCHED).setup()
    outputs = parser.get_dataparser_outputs(split=split)
    mine = [view for view in views if view.is_test == (split == "test")]
    poses = outputs.cameras.camera_to_worlds.numpy()
    np.testing.assert_allclose(poses, [view.pose[:3] for view in mine], atol=1e-6)
    assert float(outputs.cameras.fx[0]) == pytest.approx(lens_of(OPTIONS.width, OPTIONS.height).focal)
    for path, picture in zip(outputs.image_filenames, chosen(views, pictures, split == "test"), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)), picture.rgb)
    maps = parser.label_maps(outputs, split)
    assert maps is not None
    assert_same([path for path in maps.paths if path], chosen(views, masks, split == "test"))


@of("nerfstudio")
def test_nerfstudio_has_truth_depth_and_points_on_the_surface(folder: Path, views, pictures) -> None:
    assert_same(sorted((folder / "instances").iterdir()), [picture.instances for picture in pictures])
    assert_same(sorted((folder / "parts").iterdir()), [picture.parts for picture in pictures])
    for path, picture in zip(sorted((folder / "depth").iterdir()), pictures, strict=True):
        assert np.abs(read_depth(path, OPTIONS.height, OPTIONS.width) / 1000 - picture.depth).max() <= 0.0006
    outputs = MaskedNerfstudioConfig(data=folder, **UNTOUCHED).setup().get_dataparser_outputs("train")
    points = outputs.metadata["points3D_xyz"].numpy()
    surface = np.concatenate([picture.points.reshape(-1, 3) for picture in chosen(views, pictures, False)])
    distance = np.linalg.norm(points[:, None] - surface[None], axis=-1)
    assert len(points) == OPTIONS.points and distance.min(-1).max() < 1e-5
    colors = np.concatenate([picture.rgb.reshape(-1, 3) for picture in chosen(views, pictures, False)])
    np.testing.assert_array_equal(outputs.metadata["points3D_rgb"].numpy(), colors[distance.argmin(-1)])


@of("replica")
def test_replica_has_gagas_names(folder: Path, views, pictures, masks) -> None:
    numbers = {"train": [0, 5, 10, 15, 20, 25], "test": [7, 22]}
    for split, frames in numbers.items():
        names = [f"{split}_rgb_{frame:04d}.png" for frame in frames]
        truth = [folder / "semantic_instance" / name.replace("rgb", "semantic_instance") for name in names]
        assert_same(truth, [picture.instances for picture in chosen(views, pictures, split == "test")])
        assert_same([folder / "raw_sam_mask" / name for name in names], chosen(views, masks, split == "test"))
    assert len(list((folder / "images").iterdir())) == len(views)


@pytest.mark.parametrize("folder", ["replica", "scannet", "lerf-mask"], indirect=True)
def test_the_colmap_model_is_read_by_our_data_parser(folder: Path, views, pictures) -> None:
    config = MaskedColmapConfig(
        data=folder,
        colmap_path=Path("sparse/0"),
        eval_mode="all",
        assume_colmap_world_coordinate_convention=False,
        **UNTOUCHED,
    )
    parser = config.setup()
    outputs = parser.get_dataparser_outputs("train")
    named = {name: index for index, name in enumerate(image_names(folder))}
    for path, pose in zip(outputs.image_filenames, outputs.cameras.camera_to_worlds.numpy(), strict=True):
        index = named.pop(path.name)
        np.testing.assert_allclose(pose, views[index].pose[:3], atol=1e-6)
        assert_similar(path, pictures[index])
    assert not named
    maps = parser.label_maps(outputs, "train")
    assert maps is not None and maps.source == str(folder / "raw_sam_mask") and all(maps.paths)
    assert len(outputs.metadata["points3D_xyz"]) == OPTIONS.points
    assert float(outputs.cameras.fx[0]) == pytest.approx(lens_of(OPTIONS.width, OPTIONS.height).focal)


def image_names(folder: Path) -> list[str]:
    """In the order of the walk."""
    return [Path(view["image"]).name for view in json.loads((folder / "standin.json").read_text())["views"]]


@of("scannet")
def test_scannet_has_gagas_folders_and_lists(folder: Path, views, pictures) -> None:
    for split in ("train", "test"):
        mine = chosen(views, pictures, split == "test")
        numbers = (folder / f"{split}_split.txt").read_text().split()
        assert numbers == [str(view.frame) for view in views if view.is_test == (split == "test")]
        assert_same([folder / split / f"{split}_ins_full" / f"{n}.png" for n in numbers], [p.instances for p in mine])
        for number, picture in zip(numbers, mine, strict=True):
            assert_similar(folder / split / f"{split}_images" / f"{number}.jpg", picture)


@of("lerf-mask")
def test_lerf_mask_trains_on_images_train_and_tests_by_phrases(folder: Path, room, views, pictures) -> None:
    every, training = ({path.name for path in (folder / name).iterdir()} for name in ("images", "images_train"))
    held_out = sorted(every - training)
    assert training < every and len(held_out) == OPTIONS.test_views
    instances = chosen(views, [picture.instances for picture in pictures], True)
    for index, truth in enumerate(instances):
        assert_same([folder / "instances" / f"{Path(held_out[index]).stem}.png"], [truth])
        found = {path.stem: read_label_map(path) for path in (folder / "test_mask" / str(index)).iterdir()}
        assert found == {} or {tuple(np.unique(mask)) for mask in found.values()} == {(0, 255)}
        for i, placed in enumerate(room.objects[NUM_SHELL:], start=NUM_SHELL + 1):
            if (truth == i).sum() >= LERF_MIN_PIXELS:
                assert (found[placed.thing.category][truth == i] == 255).all()
        for phrase, mask in found.items():
            assert {room.names[i].split(" #")[0] for i in np.unique(truth[mask > 0])} == {phrase}


@of("davis")
def test_davis_is_read_as_a_sequence(folder: Path, pictures, masks) -> None:
    (sequence,) = find_sequences(folder, "2017/val")
    assert sequence.name == DAVIS_SEQUENCE
    assert [path.name for path in sequence.frames] == [f"{index:05d}.jpg" for index in range(len(pictures))]
    for path, picture in zip(sequence.frames, pictures, strict=True):
        assert_similar(path, picture)
    with Image.open(sequence.annotations[0]) as annotation:
        assert annotation.mode == "P"
    assert_same(list(sequence.annotations), [np.maximum(picture.instances - NUM_SHELL, 0) for picture in pictures])
    assert_same(sorted((folder / "Masks" / "480p" / DAVIS_SEQUENCE).iterdir()), masks)


@of("nerfstudio")
def test_perfect_predictions_score_100_and_the_simulated_masks_do_not(folder: Path) -> None:
    assert evaluate_folders(folder / "instances", folder / "instances").figures()["mIoU"] == pytest.approx(100)
    assert evaluate_folders(folder / "masks", folder / "instances").figures()["mIoU"] < 60
