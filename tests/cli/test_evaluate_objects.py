"""proto-saga evaluate --protocol reference-mask and removal on a trained run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.cli.evaluate import Evaluate
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run
from tests.conftest import TrainedRun

BALL = 3


@pytest.fixture(scope="module")
def opened(trained_run: TrainedRun) -> Run:
    return load_run(trained_run.config)


@pytest.fixture
def one_run(opened: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Opening it takes seconds, and nothing here changes it."""
    monkeypatch.setattr("proto_saga_ns.cli.work.evaluate_objects.load_run", lambda *_: opened)
    return opened


@pytest.fixture(scope="module")
def masks(trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a ball, in views for training and for testing."""
    folder = tmp_path_factory.mktemp("ball")
    for path in trained_run.scene.image_paths:
        labels = read_label_map(trained_run.scene.folder / "instances" / f"{path.stem}.png")
        Image.fromarray((labels == BALL).astype(np.uint8)).save(folder / f"{path.stem}.png")
    return folder


def evaluated(trained_run: TrainedRun, file: Path, protocol: Any, truth: Path, **options: Any) -> dict[str, Any]:
    Evaluate(truth, trained_run.config, protocol=protocol, json=file, **options).run()
    return json.loads(file.read_text())


def name_with_largest(masks: Path) -> str:
    return max(masks.glob("*.png"), key=lambda file: int(np.asarray(Image.open(file)).sum())).stem


def centre(masks: Path, view: str) -> tuple[float, float]:
    rows, columns = np.nonzero(np.asarray(Image.open(masks / f"{view}.png")))
    return float(np.median(columns)) + 0.5, float(np.median(rows)) + 0.5


def test_a_mask_in_one_view_finds_the_object_in_all_others(
    trained_run: TrainedRun, one_run: Run, masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = name_with_largest(masks)
    figures = evaluated(trained_run, tmp_path / "f.json", "reference-mask", masks, reference=reference)
    names = [path.stem for path in trained_run.scene.image_paths]
    assert [*figures["by view"]] == [name for name in names if name != reference]
    assert figures["IoU"] > 50 and figures["accuracy"] > 95 and len(figures["ids"]) >= 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"Reference view {reference}, which does not count: of the {figures['level']}" in said
    camera = next(camera for path, camera, _ in one_run.cameras("all") if path.stem == names[-1])
    if figures["level"] == "objects":
        own = np.isin(segment_view(one_run.model, one_run.scene, camera).labels, figures["ids"])
        truth = np.asarray(Image.open(masks / f"{names[-1]}.png")) > 0
        assert figures["by view"][names[-1]]["accuracy"] == pytest.approx((own == truth).mean())


def test_a_click_needs_no_mask_of_the_reference_and_takes_no_notice_of_it(
    trained_run: TrainedRun, one_run: Run, masks: Path, tmp_path: Path
) -> None:
    reference = name_with_largest(masks)
    options: dict[str, Any] = {"reference": reference, "clicks": (centre(masks, reference),)}
    figures = evaluated(trained_run, tmp_path / "f.json", "reference-mask", masks, **options)
    assert figures["IoU"] > 50 and "IoU in the reference view" not in figures
    without, wrong = tmp_path / "without", tmp_path / "wrong"
    shutil.copytree(masks, without)
    (without / f"{reference}.png").unlink()
    shutil.copytree(masks, wrong)
    Image.fromarray(np.ones((48, 64), np.uint8)).save(wrong / f"{reference}.png")
    for folder in (without, wrong):
        assert evaluated(trained_run, tmp_path / "g.json", "reference-mask", folder, **options) == figures
    nothing = evaluated(
        trained_run, tmp_path / "h.json", "reference-mask", masks, **options, negative_clicks=options["clicks"]
    )
    assert nothing["ids"] == [] and nothing["IoU"] == nothing["accuracy"] == 0


def test_scribbles_of_nvos_choose(trained_run: TrainedRun, one_run: Run, masks: Path, tmp_path: Path) -> None:
    reference, root = name_with_largest(masks), tmp_path / "llff"
    target = next(file for file in sorted(masks.glob("*.png")) if file.stem != reference)
    for folder in ("masks", "reference_image", "scribbles"):
        (root / folder / "ball").mkdir(parents=True)
    shutil.copy(target, root / "masks" / "ball" / f"{target.stem}_mask.png")
    Image.new("RGB", (64, 48)).save(root / "reference_image" / "ball" / f"{reference}.JPG")
    column, row = (int(place) // 2 for place in centre(masks, reference))
    strokes = np.zeros((2, 24, 32), np.uint8)  # half as large as the images
    strokes[0, row, column - 1 : column + 2] = 255
    strokes[1, :, [0, 31]] = 255
    for name, stroke in zip(("pos_0", "neg_0"), strokes, strict=True):
        Image.fromarray(stroke).save(root / "scribbles" / "ball" / f"{name}_ball.png")
    figures = evaluated(trained_run, tmp_path / "f.json", "reference-mask", root / "masks" / "ball")
    assert figures["reference"] == reference and [*figures["by view"]] == [target.stem]
    clicked = {"reference": reference, "clicks": (centre(masks, reference),)}
    assert figures["ids"] == evaluated(trained_run, tmp_path / "g.json", "reference-mask", masks, **clicked)["ids"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "nowhere"}, "has no view nowhere"),
        ({"clicks": ((64.0, 3.0),)}, "64 3 lies outside"),
        ({"granularity": "part"}, "for clicks and scribbles"),
        ({"negative_clicks": ((1.0, 3.0),)}, "Give these, too"),
        ({"instances": (3,)}, "--instances means nothing to --protocol reference-mask"),
    ],
)
def test_what_makes_no_sense_is_said(
    trained_run: TrainedRun, one_run: Run, masks: Path, options: dict[str, Any], message: str
) -> None:
    options.setdefault("reference", name_with_largest(masks))
    with pytest.raises(ProtoSagaError, match=message):
        Evaluate(masks, trained_run.config, protocol="reference-mask", **options).run()


def test_masks_of_no_view_and_of_the_reference_alone_are_errors(
    trained_run: TrainedRun, one_run: Run, masks: Path, tmp_path: Path
) -> None:
    shutil.copy(masks / f"{name_with_largest(masks)}.png", tmp_path)
    with pytest.raises(ProtoSagaError, match=r"of the reference view .* alone"):
        Evaluate(tmp_path, trained_run.config, protocol="reference-mask").run()
    shutil.copy(next(masks.glob("*.png")), tmp_path / "elsewhere.png")
    with pytest.raises(ProtoSagaError, match="elsewhere that the run does not have"):
        Evaluate(tmp_path, trained_run.config, protocol="reference-mask").run()


@pytest.fixture(scope="module")
def truth_without(trained_run: TrainedRun, masks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos with a grey hole where the ball is."""
    folder = tmp_path_factory.mktemp("without")
    for path in trained_run.scene.test_paths:
        image = np.array(Image.open(path).convert("RGB"))
        image[np.asarray(Image.open(masks / f"{path.stem}.png")) > 0] = 128
        Image.fromarray(image).save(folder / f"{path.stem}.png")
    return folder


def test_removal_by_mask_by_ids_and_by_click(
    trained_run: TrainedRun, one_run: Run, masks: Path, truth_without: Path, tmp_path: Path
) -> None:
    reference = name_with_largest(masks)
    shown = evaluated(trained_run, tmp_path / "f.json", "removal", truth_without, masks=masks, reference=reference)
    assert [*shown["by view"]] == [path.stem for path in trained_run.scene.test_paths]
    assert 0 < shown["Gaussians taken out"] < one_run.model.num_points
    # What surrounds the object stays; where it was, there is something else now, or nothing.
    assert shown["PSNR outside"] == pytest.approx(shown["PSNR outside before"], abs=1)
    assert shown["PSNR inside"] != pytest.approx(shown["PSNR inside before"], abs=0.5)
    assert 0 <= shown["holes"] <= 100
    level = {"objects": "object", "groups": "group", "parts": "part"}[shown["level"].split()[0]]
    by_ids = {"masks": masks, "instances": tuple(shown["ids"]), "granularity": level}
    assert evaluated(trained_run, tmp_path / "g.json", "removal", truth_without, **by_ids) == shown
    clicked = {"reference": reference, "clicks": (centre(masks, reference),)}
    figures = evaluated(trained_run, tmp_path / "h.json", "removal", truth_without, **clicked)
    assert figures["test views with the object"] <= figures["test views"] == len(trained_run.scene.test_paths)


def test_removal_says_what_is_missing(
    trained_run: TrainedRun, one_run: Run, masks: Path, truth_without: Path, tmp_path: Path
) -> None:
    def raises(message: str, truth: Path = truth_without, **options: Any) -> None:
        with pytest.raises(ProtoSagaError, match=message):
            Evaluate(truth, trained_run.config, protocol="removal", **options).run()

    raises("needs to know what is taken out")
    raises("not both", instances=(1,), reference="a")
    raises("no Gaussian belongs to it", instances=(999,))
    name = trained_run.scene.test_paths[0].stem
    part = tmp_path / "part"
    shutil.copytree(truth_without, part)
    Image.new("RGB", (32, 24)).save(part / f"{name}.png")
    raises("are 32x24 and 64x48 pixels", truth=part, masks=masks, reference=name_with_largest(masks))
    (part / f"{name}.png").unlink()
    raises(f"{name} has no image without the object", truth=part, instances=(1,))
    raises(f"{name} has no mask of the object", masks=part, instances=(1,))
