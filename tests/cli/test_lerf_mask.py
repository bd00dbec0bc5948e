"""proto-saga evaluate --protocol lerf-mask on a trained run: given masks, given boxes, and a real text model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.cli.evaluate import Evaluate
from proto_saga_ns.cli.work.evaluate import STANDIN
from proto_saga_ns.evaluation.lerf_mask import boundary_iou, iou
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.masks.phrases.find import covered_instances
from proto_saga_ns.plugin.model import evaluate as evaluation
from proto_saga_ns.plugin.model.views import render_view, segment_view
from proto_saga_ns.plugin.run import load_run
from tests.commands import Finished, run
from tests.conftest import TrainedRun
from tests.masks.phrases.tiny_grounding import save_tiny_grounding_dino
from tests.masks.segmenters.tiny_models import save_tiny_sam
from tests.scenes import BOXES, FLOOR, SPHERES

PHRASES = {"ball": tuple(SPHERES), "box": tuple(BOXES), "the floor": (FLOOR,)}


@pytest.fixture(scope="module")
def truth(trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """test_mask/<number of the test view>/<phrase>.png"""
    folder = tmp_path_factory.mktemp("lerf") / "test_mask"
    for number, path in enumerate(trained_run.scene.test_paths):
        labels = read_label_map(trained_run.scene.folder / "instances" / f"{path.stem}.png")
        for phrase, ids in PHRASES.items():
            file = folder / str(number) / f"{phrase}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.isin(labels, ids).astype(np.uint8) * 255).save(file)
    return folder


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_sam(tmp_path_factory.mktemp("sam") / "tiny.pth")


def evaluate(trained_run: TrainedRun, *arguments: object) -> Finished:
    options = ("--protocol", "lerf-mask", "--load-config", trained_run.config)
    return run("proto-saga", "evaluate", *options, *arguments)


def figures_of(process: Finished, file: Path) -> dict[str, Any]:
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(file.read_text())


def test_given_masks_choose_and_the_rest_is_counting(trained_run: TrainedRun, truth: Path, tmp_path: Path) -> None:
    options = ("--ground-truth", truth, "--text-masks", truth / "0", "--json", tmp_path / "f.json")
    figures = figures_of(evaluate(trained_run, *options), tmp_path / "f.json")
    loaded = load_run(trained_run.config)
    views = [segment_view(loaded.model, loaded.scene, camera).labels for _, camera, _ in loaded.cameras("test")]
    scores: dict[str, list[tuple[float, float]]] = {}
    for phrase in PHRASES:
        masks = [np.asarray(Image.open(truth / str(n) / f"{phrase}.png")) > 0 for n in range(len(views))]
        chosen = covered_instances(views[0], masks[0], 0.7)
        assert figures["chosen"][phrase] == list(chosen) != []
        for mask, labels in zip(masks, views, strict=True):
            own = np.isin(labels, chosen)
            scores.setdefault(phrase, []).append((iou(mask, own), boundary_iou(mask, own)))
    means = 100 * np.mean([np.mean(of_views, axis=0) for of_views in scores.values()], axis=0)
    assert [figures["mIoU by label"], figures["mBIoU by label"]] == pytest.approx(means.tolist(), abs=1e-4)
    assert figures["mIoU by label"] > 60 and figures["mIoU"] > 60
    assert figures["phrases"] == 3 and figures["masks"] == 3 * len(views) and figures["test views without truth"] == 0
    of_phrases = [figures[f"IoU of {phrase}"] for phrase in PHRASES]
    assert figures["mIoU"] == pytest.approx(np.mean(of_phrases))


def test_a_view_without_truth_is_left_out_aloud(trained_run: TrainedRun, truth: Path, tmp_path: Path) -> None:
    """As the scene teatime has one; folders may also be called as the images."""
    stems = [path.stem for path in trained_run.scene.test_paths]
    shutil.copytree(truth / "0", tmp_path / "test_mask" / stems[0])
    options = ("--text-masks", truth / "0", "--json", tmp_path / "f.json")
    process = evaluate(trained_run, "--ground-truth", tmp_path / "test_mask", *options)
    figures = figures_of(process, tmp_path / "f.json")
    assert figures["masks"] == 3 and figures["test views without truth"] == len(stems) - 1
    assert f"No truth for the test views {', '.join(stems[1:])}" in " ".join(process.stdout.split())


def test_a_phrase_that_chooses_nothing_scores_nothing_aloud(
    trained_run: TrainedRun, truth: Path, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(truth / "0" / "ball.png", given)
    options = ("--ground-truth", truth, "--text-masks", given, "--json", tmp_path / "f.json")
    process = evaluate(trained_run, *options)
    figures = figures_of(process, tmp_path / "f.json")
    assert figures["IoU of box"] == figures["IoU of the floor"] == 0 < figures["IoU of ball"]
    assert figures["phrases that chose nothing"] == 2
    assert "chose no instance and score 0: box, the floor" in " ".join(process.stdout.split())


def test_given_boxes_and_the_text_model(trained_run: TrainedRun, truth: Path, sam: Path, tmp_path: Path) -> None:
    """The real classes with small random weights: everything runs, and says nothing about quality."""
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"ball": [[5, 5, 40, 30]], "box": [[30, 10, 60, 40], [0, 0, 9, 9]]}))
    model = save_tiny_grounding_dino(tmp_path / "model")
    text = ("--text.grounding-dino", model, "--text.box-threshold", 0.01)
    for name, options in (("boxes", ("--boxes", boxes)), ("text", text)):
        file = tmp_path / f"{name}.json"
        common = ("--ground-truth", truth, "--text.sam.checkpoint", sam, "--text.min-share", 0.0, "--json", file)
        figures = figures_of(evaluate(trained_run, *common, *options), file)
        assert 0 <= figures["mIoU"] <= 100 and figures["phrases"] == 3
        assert any(figures["chosen"].values())


def test_every_view_is_rendered_once_and_data_that_is_a_stand_in_is_named(
    trained_run: TrainedRun,
    truth: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rendered = []

    def counted(*arguments: Any, **options: Any) -> Any:
        rendered.append(arguments)
        return render_view(*arguments, **options)

    monkeypatch.setattr(evaluation, "render_view", counted)
    data, file = tmp_path / "room", tmp_path / "f.json"
    shutil.copytree(trained_run.scene.folder, data)
    mark = {"options": {"layout": "lerf-mask", "seed": 3}, "segmenter_preset": "default"}
    (data / "standin.json").write_text(json.dumps(mark))
    Evaluate(truth, trained_run.config, None, "lerf-mask", file, data=data, text_masks=truth / "0").run()
    assert len(rendered) == len(trained_run.scene.test_paths)
    (label,) = json.loads(file.read_text())[STANDIN]
    assert "seed 3" in label and label in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text-masks", "{truth}/0", "--boxes", "x.json"), "not both"),
        (("--text-masks", "{truth}"), "holds no mask"),
        (("--boxes", "nowhere.json"), "cannot be read"),
        (("--text-masks", "{truth}/0", "--ground-truth", "{truth}/0"), "holds no mask"),
        (("--text-masks", "{truth}/0", "--ground-truth", "{truth}/.."), "belongs to no test view"),
        (("--text-masks", "{truth}/0", "--ground-truth", "nowhere"), "is no folder"),
        (("--text-masks", "{truth}/0", "--predictions", "x"), "means nothing"),
    ],
)
def test_bad_input_is_named(trained_run: TrainedRun, truth: Path, options: tuple[str, ...], message: str) -> None:
    filled = [word.format(truth=truth) for word in options]
    given = () if "--ground-truth" in options else ("--ground-truth", truth)
    process = evaluate(trained_run, *given, *filled)
    assert process.returncode == 2 and message in " ".join(process.stderr.split()), process.stdout + process.stderr
