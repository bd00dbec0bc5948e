"""proto-saga find on a trained run: the instances on the mask, whether boxes come from a phrase or from the user."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.masks.phrases.find import TextFinder
from proto_saga_ns.masks.phrases.options import BoxSamOptions, TextOptions
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import load_run
from tests.commands import Finished, run
from tests.conftest import TrainedRun
from tests.masks.phrases.tiny_grounding import save_tiny_grounding_dino
from tests.masks.segmenters.tiny_models import save_tiny_sam

BOX = (5, 5, 40, 30)


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


def find(trained_run: TrainedRun, *arguments: object) -> Finished:
    return run("proto-saga", "find", *arguments, "--load-config", trained_run.config)


def shares_printed(process: Finished) -> dict[int, float]:
    """Id and percentage of each row of the table."""
    assert process.returncode == 0, process.stdout + process.stderr
    return {int(row[1]): float(row[2]) for row in re.finditer(r"^│ +(\d+) │.*│ +([\d.]+)% │$", process.stdout, re.M)}


def test_instances_in_a_box_are_printed_and_drawn(trained_run: TrainedRun, sam: Path, tmp_path: Path) -> None:
    options = ("--sam.checkpoint", sam, "--min-share", 0.1, "--output-dir", tmp_path)
    shares = shares_printed(find(trained_run, "my box", "--boxes", *BOX, *options))
    loaded = load_run(trained_run.config)
    image, camera, _ = next(loaded.cameras("test"))
    view = segment_view(loaded.model, loaded.scene, camera)
    rgb = (view.rgb.numpy() * 255).round().astype(np.uint8)
    finder = TextFinder(TextOptions(sam=BoxSamOptions(checkpoint=sam)))
    mask = finder.find_in_boxes(rgb, np.array([BOX], float)).mask
    expected = {int(number): 100 * mask[view.labels == number].mean() for number in np.unique(view.labels) if number}
    assert shares == pytest.approx({number: share for number, share in expected.items() if share > 10}, abs=0.06)
    assert len(shares) > 0
    with Image.open(tmp_path / f"{image.stem}_my_box.png") as picture:
        assert picture.size == (3 * 64, 48)


def test_a_phrase_is_looked_for_in_the_view_that_is_named(trained_run: TrainedRun, sam: Path, tmp_path: Path) -> None:
    model = save_tiny_grounding_dino(tmp_path / "model")
    stem = sorted(path.stem for path in trained_run.scene.image_paths)[-1]
    options = ("--sam.checkpoint", sam, "--grounding-dino", model, "--box-threshold", 0.01, "--min-share", 0)
    process = find(trained_run, "Red chair", "--view", stem, *options)
    assert len(shares_printed(process)) > 0
    assert f"View {stem}, 64 x 48 pixels" in process.stdout
    rows = re.findall(r"^  (\d+) (\d+) (\d+) (\d+)  0\.\d\d  (.*)$", process.stdout, re.MULTILINE)
    # Which of the words a model of random weights finds in a rendering is chance.
    assert rows and all(row[-1] in ("red", "chair", "red chair") for row in rows)


def test_what_was_found_can_be_selected_in_the_checkpoint(copy_of_run: TrainedRun, sam: Path) -> None:
    process = find(copy_of_run, "--boxes", *BOX, "--sam.checkpoint", sam, "--min-share", 0.1, "--save")
    assert load_run(copy_of_run.config).scene.display.selected == tuple(sorted(shares_printed(process)))


def test_bad_input_is_one_line_that_says_what_to_do(trained_run: TrainedRun, sam: Path, tmp_path: Path) -> None:
    cases = {
        (): 'The phrase "" is empty',
        ("--boxes", *BOX, "--sam.checkpoint", tmp_path / "absent"): "absent does not exist",
        ("--boxes", *BOX, "--sam.checkpoint", sam, "--view", "nowhere"): "The run has no view nowhere",
        ("--boxes", 70, 0, 90, 9, "--sam.checkpoint", sam): "covers nothing of the image, which is 64 pixels wide",
    }
    for arguments, message in cases.items():
        process = find(trained_run, *arguments)
        assert process.returncode == 2 and message in process.stderr, process.stderr
        assert process.stderr.rstrip().splitlines()[-1].startswith("proto-saga: error: ")
