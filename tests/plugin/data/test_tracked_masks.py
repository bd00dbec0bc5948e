"""The mask source mastsam: the parser's masks arrive with the ids of their tracks, and are followed once."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from nerfstudio.data.dataparsers.base_dataparser import DataparserOutputs

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.mastsam.geometry import epipolar_distance
from proto_saga_ns.mastsam.image_sequence import read_posed_images
from proto_saga_ns.mastsam.matchers.registry import MatcherOptions
from proto_saga_ns.mastsam.matches import Matches
from proto_saga_ns.mastsam.sequence import SequenceOptions
from proto_saga_ns.mastsam.settings import MastsamSettings
from proto_saga_ns.plugin.data.dataparsers import MaskedNerfstudioConfig
from proto_saga_ns.plugin.data.label_maps import ViewLabelMaps
from proto_saga_ns.plugin.data.tracked_masks import pinhole_cameras
from tests.scenes import TinyScene, write_tiny_scene

WIDTH, HEIGHT = 128, 96
MATCHING = MatcherOptions(sift_min_long_edge=256)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> TinyScene:
    """Views close enough to each other to be matched."""
    folder = tmp_path_factory.mktemp("tracked") / "room"
    return write_tiny_scene(folder, 16, size=(WIDTH, HEIGHT))


def config(scene: TinyScene, tracking: SequenceOptions | None = None) -> MaskedNerfstudioConfig:
    settings = MastsamSettings(matcher="sift", matching=MATCHING, tracking=tracking or SequenceOptions())
    return MaskedNerfstudioConfig(data=scene.folder, mask_source="mastsam", mastsam=settings)


def parse(config: MaskedNerfstudioConfig, split: str = "train") -> tuple[DataparserOutputs, ViewLabelMaps | None]:
    parser = config.setup()
    outputs = parser.get_dataparser_outputs(split=split)
    return outputs, parser.label_maps(outputs, split)


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz")}


def test_labels_have_the_ids_of_the_tracks(scene: TinyScene) -> None:
    outputs, maps = parse(config(scene))
    assert maps is not None
    assert [path and path.stem for path in maps.paths] == [path.stem for path in outputs.image_filenames]
    tracks = json.loads((Path(maps.source) / "tracks.json").read_text())["tracks"]
    for view, ids in enumerate(maps.ids):
        name = outputs.image_filenames[view].stem
        assert set(ids.tolist()) == {one["id"] for one in tracks if name in one["frames"]}
        labels, path = maps.read(view, HEIGHT, WIDTH).numpy(), maps.paths[view]
        assert path is not None
        np.testing.assert_array_equal(np.append(0, ids)[labels], read_label_map(path))
    assert max(len(one["frames"]) for one in tracks) > 3


def test_an_id_means_the_same_instance_in_most_views(scene: TinyScene) -> None:
    """Of the pixels of an instance, summed over views, most have one id; in the given masks ids are shuffled."""
    _, tracked = parse(config(scene))
    assert tracked is not None

    def agreement(label_maps: list[Path | None]) -> float:
        together: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for path in filter(None, label_maps):
            pairs = np.stack([read_label_map(scene.folder / "instances" / path.name), read_label_map(path)], -1)
            for (truth, label), count in zip(*np.unique(pairs.reshape(-1, 2), axis=0, return_counts=True), strict=True):
                together[int(truth)][int(label)] += int(count)
        return float(np.mean([max(found.values()) / sum(found.values()) for found in together.values()]))

    given: list[Path | None] = [scene.folder / "masks" / path.name for path in scene.train_paths]
    assert agreement(tracked.paths) > agreement(given) + 0.2


def test_a_second_parse_computes_nothing(scene: TinyScene) -> None:
    _, first = parse(config(scene))
    assert first is not None
    before, files = times(Path(first.source)), [path.read_bytes() for path in first.paths if path]
    assert before and files
    _, second = parse(config(scene))
    assert second is not None and second.source == first.source
    assert times(Path(first.source)) == before
    assert [path.read_bytes() for path in second.paths if path] == files


def test_other_settings_have_a_folder_of_their_own(scene: TinyScene) -> None:
    first, second = parse(config(scene))[1], parse(config(scene, SequenceOptions("sequence")))[1]
    assert first is not None and second is not None and first.source != second.source


def test_views_for_testing_are_not_tracked(scene: TinyScene) -> None:
    assert parse(config(scene), "val")[1] is None
    assert parse(config(scene), "test")[1] is None


def test_cameras_agree_with_the_pose_file(scene: TinyScene) -> None:
    """Nerfstudio turns, shifts and scales the world: what two cameras allow of a match stays the same."""
    outputs = config(scene).setup().get_dataparser_outputs(split="train")
    cameras = pinhole_cameras(outputs.cameras, outputs.image_filenames)
    assert cameras is not None
    posed = {image.path: image.camera(WIDTH, HEIGHT) for image in read_posed_images(scene.folder)}
    truth = [camera for path in outputs.image_filenames if (camera := posed[path]) is not None]
    assert len(truth) == len(cameras)
    assert not np.allclose(cameras[0].world_to_camera, truth[0].world_to_camera, atol=1e-3), "another world"
    rng = np.random.default_rng(0)
    xy_a, xy_b = rng.uniform((0, 0), (WIDTH, HEIGHT), (2, 200, 2)).astype(np.float32)
    matches = Matches(xy_a, xy_b, np.ones(200, np.float32))
    for a, b in ((0, 1), (0, 5), (3, 7)):
        np.testing.assert_allclose(cameras[a].intrinsics, truth[a].intrinsics, atol=1e-4)
        found = epipolar_distance(matches, cameras[a], cameras[b])
        np.testing.assert_allclose(found, epipolar_distance(matches, truth[a], truth[b]), atol=0.02, rtol=1e-3)


def test_cameras_have_the_size_of_the_files(scene: TinyScene) -> None:
    outputs = config(scene).setup().get_dataparser_outputs(split="train")
    whole = pinhole_cameras(outputs.cameras, outputs.image_filenames)
    outputs.cameras.rescale_output_resolution(0.5)
    half = pinhole_cameras(outputs.cameras, outputs.image_filenames)
    assert whole is not None and half is not None
    np.testing.assert_allclose(half[0].intrinsics, whole[0].intrinsics, rtol=1e-5)


@pytest.mark.parametrize("fisheye", [False, True])
def test_lenses_that_are_no_pinholes_have_no_cameras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fisheye: bool
) -> None:
    scene = write_tiny_scene(tmp_path / "room", 4, distortion=(0.05, 0.0, 0.0, 0.0), fisheye=fisheye)
    outputs, maps = parse(config(scene))
    assert pinhole_cameras(outputs.cameras, outputs.image_filenames) is None
    assert maps is not None and len(maps.paths) == 3
    assert "in the order of their names" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ProtoSagaError, match="order poses needs pinholes"):
        parse(config(scene, SequenceOptions("poses")))
    parse(config(scene, SequenceOptions("matches")))
    assert "in the order of their names" not in " ".join(capsys.readouterr().out.split())
