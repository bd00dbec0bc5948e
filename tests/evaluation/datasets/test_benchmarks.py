"""Scenes in the layouts of the benchmarks are split as the benchmarks are."""

from __future__ import annotations

from pathlib import Path

import pytest

from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.datasets.benchmarks import Benchmark, find_benchmark, is_test_image
from proto_saga_ns.evaluation.standins.options import PRESETS, StandinOptions
from proto_saga_ns.evaluation.standins.write import write_standin
from proto_saga_ns.plugin.data.dataparsers import BenchmarkDataConfig

LAYOUTS = ("replica", "scannet", "lerf-mask")


@pytest.fixture(scope="module", params=LAYOUTS)
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path]:
    folder = tmp_path_factory.mktemp("benchmark") / "scene"
    options = StandinOptions(request.param, seed=2, views=6, test_views=3, width=32, height=24, points=80, samples=1)
    write_standin(folder, options, PRESETS["default"], "default")
    return request.param, folder


def test_the_parser_finds_benchmark_split_and_masks(scene: tuple[Benchmark, Path]) -> None:
    benchmark, folder = scene
    parser = BenchmarkDataConfig(data=folder).setup()
    train, test = (parser.get_dataparser_outputs(split=split) for split in ("train", "test"))
    assert [len(split.image_filenames) for split in (train, test)] == [6, 3]
    assert not {*train.image_filenames} & {*test.image_filenames}
    assert find_benchmark(folder, train.image_filenames) == benchmark
    maps = parser.label_maps(train, "train")
    assert maps is not None and [path.stem for path in maps.paths] == [path.stem for path in train.image_filenames]
    validation = parser.get_dataparser_outputs(split="val")
    assert validation.image_filenames == test.image_filenames


def test_the_split_is_that_of_the_stand_in(scene: tuple[Benchmark, Path]) -> None:
    benchmark, folder = scene
    images = sorted((folder / "images").iterdir())
    found = {path.stem for path, test in zip(images, is_test_image(benchmark, folder, images), strict=True) if test}
    truth = {
        "replica": {path.stem for path in images if path.name.startswith("test_rgb_")},
        "scannet": {path.stem for path in (folder / "test" / "test_images").glob("*")},
        "lerf-mask": {path.stem for path in images} - {path.stem for path in (folder / "images_train").glob("*")},
    }
    assert found == truth[benchmark] and len(found) == 3


@pytest.mark.parametrize("count", [1, 8, 9, 20])
def test_every_eighth_of_mip_nerf_360_whatever_the_order(count: int) -> None:
    images = [Path(f"{number:03d}.jpg") for number in reversed(range(count))]
    found = is_test_image("mipnerf360", Path(), images)
    assert {path.stem for path, test in zip(images, found, strict=True) if test} == {
        f"{number:03d}" for number in range(0, count, 8)
    }


def test_images_of_no_split_are_left_out() -> None:
    assert is_test_image("replica", Path(), [Path("train_rgb_1.png"), Path("extra.png")]) == [False, None]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProtoSagaError, match="looks like none of the benchmarks"):
        find_benchmark(tmp_path, [Path("a.png")])
    with pytest.raises(ProtoSagaError, match=r"train_split\.txt"):
        is_test_image("scannet", tmp_path, [Path("a.png")])
    with pytest.raises(ProtoSagaError, match="images_train holds no image"):
        is_test_image("lerf-mask", tmp_path, [Path("a.png")])
