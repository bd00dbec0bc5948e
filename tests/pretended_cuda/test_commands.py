"""Every command that opens a run does on a GPU what it does on the CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from common.pretended_cuda import Transfers
from common.pretended_gsplat import pretending_gsplat
from PIL import Image

from proto_saga_ns.cli.commands import COMMANDS
from proto_saga_ns.cli.main import parse
from proto_saga_ns.labels import read_label_map
from tests.conftest import TrainedRun
from tests.masks.phrases.tiny_grounding import save_tiny_grounding_dino
from tests.masks.segmenters.tiny_models import save_tiny_sam

WITHOUT_GAUSSIANS = {"masks", "track", "convert-masks", "data", "make-standin", "doctor", "demo"}
"""Commands that open no run; the last one calls ns-train, segment and export."""


def proto_saga(*words: object) -> None:
    parse([str(word) for word in words]).run()


@pytest.fixture
def run(trained_run: TrainedRun, gpu: Transfers) -> tuple[str, Path]:
    return "--load-config", trained_run.config


@pytest.fixture
def truth(trained_run: TrainedRun) -> Path:
    return trained_run.scene.folder / "instances"


def both(write: Callable[[Path], None], tmp_path: Path) -> tuple[Path, Path]:
    """Folders that something was written to on the CPU and on a GPU."""
    folders = tmp_path / "cpu", tmp_path / "gpu"
    write(folders[0])
    with pretending_gsplat():
        write(folders[1])
    here, there = ({file.relative_to(folder) for file in folder.rglob("*")} for folder in folders)
    assert here == there and here
    return folders


def test_label_maps_are_the_same(trained_run: TrainedRun, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        for level in ("object", "group", "part"):
            where = ("--output-dir", folder / level, "--granularity", level)
            proto_saga("segment", "--load-config", trained_run.config, *where)

    here, there = both(write, tmp_path)
    for file in here.rglob("*.png"):
        assert np.array_equal(read_label_map(file), read_label_map(there / file.relative_to(here)))
    for file in here.rglob("*.json"):
        assert json.loads(file.read_text()) == json.loads((there / file.relative_to(here)).read_text())


def test_objects_are_exported_bit_for_bit(trained_run: TrainedRun, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        options = ("--label-maps", "--coco", "--split", "test", "--remove", 3)
        proto_saga("export", "--load-config", trained_run.config, "--output-dir", folder, *options)

    here, there = both(write, tmp_path)
    for file in here.rglob("*.*"):
        if file.suffix != ".ply":  # confidences differ by the order of sums
            assert file.read_bytes() == (there / file.relative_to(here)).read_bytes(), file.name


@pytest.mark.parametrize(
    "options",
    [
        ("--path", "views", "--outputs", "rgb", "segmentation", "embedding", "object"),
        ("--path", "turntable", "--instances", 3, "--background", "transparent", "--seconds", 0.1),
        ("--path", "interpolate", "--seconds", 0.1, "--granularity", "part"),
    ],
    ids=lambda options: options[1],
)
def test_pictures_are_the_same(trained_run: TrainedRun, tmp_path: Path, options: tuple[object, ...]) -> None:
    def write(folder: Path) -> None:
        proto_saga("render", "--load-config", trained_run.config, "--output-path", folder, *options)

    here, there = both(write, tmp_path)
    for file in here.rglob("*.png"):
        pictures = [np.asarray(Image.open(path), np.int16) for path in (file, there / file.relative_to(here))]
        assert np.abs(pictures[0] - pictures[1]).max() <= 1, "rounding; colours of confidence would make more of it"


def test_a_run_is_measured_reported_and_listed(run, truth: Path, tmp_path: Path, capsys) -> None:
    proto_saga("evaluate", *run, "--ground-truth", truth, "--json", tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text())["mIoU"] > 60
    proto_saga("report", *run, "--ground-truth", truth, "--output", tmp_path / "report.html", "--views", 1)
    proto_saga("panels", *run, "--ground-truth", truth, "--output-dir", tmp_path / "panels", "--views", 1)
    proto_saga("info", *run)
    assert "instances in step-" in capsys.readouterr().out
    assert (tmp_path / "report.html").stat().st_size > 10_000 and (tmp_path / "panels" / "overview.png").is_file()


def test_phrases_choose_instances(run, tmp_path: Path) -> None:
    """Networks run on the GPU as well."""
    sam, model = save_tiny_sam(tmp_path / "tiny.pth"), save_tiny_grounding_dino(tmp_path / "model")
    options = ("--sam.checkpoint", sam, "--grounding-dino", model, "--box-threshold", 0.01, "--min-share", 0)
    proto_saga("find", "red chair", *run, *options, "--output-dir", tmp_path / "found")
    assert (tmp_path / "found").is_dir()


@pytest.mark.parametrize(
    "options",
    [("--preset", "paper"), ("--preset", "gaga"), ("--strategy", "memory-bank", "--mask-ids", "seed"), ("--no-votes",)],
    ids=lambda options: options[-1],
)
def test_masks_are_associated_again(gpu: Transfers, copy_of_gpu_run: Path, options: tuple[str, ...]) -> None:
    checkpoint = max(copy_of_gpu_run.parent.glob("nerfstudio_models/*.ckpt"))
    before = checkpoint.read_bytes()
    proto_saga("associate", "--load-config", copy_of_gpu_run, *options)
    assert checkpoint.read_bytes() != before
    saved = torch.load(checkpoint, weights_only=True)
    assert {value.device.type for value in saved["pipeline"].values() if isinstance(value, torch.Tensor)} == {"cpu"}


def test_a_splat_of_any_program_is_segmented_by_votes(run, trained_run: TrainedRun, tmp_path: Path) -> None:
    proto_saga("export", *run, "--output-dir", tmp_path / "out", "--what", "labelled")
    given = ("--ply", tmp_path / "out" / "labelled.ply", "--data", trained_run.scene.folder)
    proto_saga("associate", *given, "--output-dir", tmp_path / "new")
    (config,) = (tmp_path / "new").rglob("config.yml")
    proto_saga("segment", "--load-config", config, "--output-dir", tmp_path / "maps")
    assert any(read_label_map(file).any() for file in (tmp_path / "maps").glob("*.png"))


def test_all_commands_are_tested_here() -> None:
    """A new one is to be run on a GPU too, unless it opens no run."""
    tested = Path(__file__).read_text()
    assert {name for name in COMMANDS if f'proto_saga("{name}"' not in tested} == WITHOUT_GAUSSIANS
