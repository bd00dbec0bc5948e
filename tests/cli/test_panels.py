"""``proto-saga panels`` on a trained run, and on runs that are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from proto_saga_ns.cli.panels import Panels, run_names
from proto_saga_ns.cli.work.panels import Wanted, sheets_of_run, sheets_of_runs
from proto_saga_ns.errors import ProtoSagaError
from proto_saga_ns.evaluation.report.sheets import Sheet
from proto_saga_ns.labels import read_label_map, write_label_map
from proto_saga_ns.labels.colors import colorize
from proto_saga_ns.plugin.model.views import segment_view
from proto_saga_ns.plugin.run import Run, load_run
from tests.commands import run
from tests.conftest import TrainedRun
from tests.scenes import changed_standin

TRAINING = ("photo", "masks of the view", "associated masks", "rendering", "segmentation")
TEST = ("photo", "rendering", "segmentation", "ground truth", "errors")


@pytest.fixture(scope="module")
def loaded(trained_run: TrainedRun) -> Run:
    return load_run(trained_run.config)


@pytest.fixture(scope="module")
def labels(loaded: Run) -> dict[str, np.ndarray]:
    """The segmentation of every test view by stem."""
    views = loaded.cameras("test")
    return {path.stem: segment_view(loaded.model, loaded.scene, camera).labels for path, camera, _ in views}


def wanted(truth: Path | None = None, views: int = 10, stems: tuple[str, ...] = (), longest: int = 500) -> Wanted:
    return Wanted(truth, views, stems, longest)


def truth(trained_run: TrainedRun) -> Path:
    return trained_run.scene.folder / "instances"


def stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def pictures(sheet: Sheet, block: int = 0, row: int = 0) -> dict[str, np.ndarray]:
    chosen = sheet.blocks[block]
    return dict(zip(chosen.columns, chosen.rows[row].pictures, strict=True))


def test_files_of_a_run(trained_run: TrainedRun, tmp_path: Path) -> None:
    options = ("--ground-truth", truth(trained_run), "--views", 2, "--output-dir", tmp_path)
    process = run("proto-saga", "panels", "--load-config", trained_run.config, *options)
    assert process.returncode == 0, process.stdout + process.stderr
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    train, test = stems(trained_run.scene.train_paths), stems(trained_run.scene.test_paths)
    chosen = [f"train/{train[0]}", f"train/{train[-1]}", f"test/{test[0]}", f"test/{test[-1]}", "overview"]
    assert names == sorted(f"{name}.png" for name in chosen)
    assert all(str(tmp_path / name) in process.stdout for name in names)
    sizes = {name: Image.open(tmp_path / name).size for name in names}
    assert all(width >= 5 * 64 and height >= 48 for width, height in sizes.values())
    assert sizes["overview.png"][1] > 4 * 48


def test_stages_of_training_views_and_test_views(
    loaded: Run, labels: dict[str, np.ndarray], trained_run: TrainedRun
) -> None:
    sheets = sheets_of_run(loaded, wanted(truth(trained_run)))
    train, test = sheets["overview"].blocks
    assert (tuple(train.columns), tuple(test.columns)) == (TRAINING, TEST)
    assert [row.name for row in train.rows] == stems(trained_run.scene.train_paths)
    assert [row.name for row in test.rows] == stems(trained_run.scene.test_paths) == [*labels]
    for index, (stem, own) in enumerate(labels.items()):
        of_view = pictures(sheets["overview"], 1, index)
        np.testing.assert_array_equal(of_view["segmentation"], colorize(own))
        photo = np.asarray(Image.open(trained_run.scene.test_paths[index]).convert("RGB"))
        np.testing.assert_array_equal(of_view["photo"], photo)
        alone = pictures(sheets[f"test/{stem}"])
        assert all(np.array_equal(alone[name], of_view[name]) for name in TEST)
    # A mask has the colour that its instance has where the trained scene shows it.
    of_view = pictures(sheets["overview"])
    same = (of_view["associated masks"] == of_view["segmentation"]).all(-1)
    assert same.mean() > 0.7 and not (of_view["masks of the view"] == of_view["segmentation"]).all(-1).mean() > 0.7


def test_chosen_views_in_their_order_and_small(loaded: Run, trained_run: TrainedRun) -> None:
    first, last = trained_run.scene.test_paths[0].stem, trained_run.scene.test_paths[-1].stem
    sheets = sheets_of_run(loaded, wanted(stems=(last, first), longest=32))
    assert [*sheets] == [f"test/{last}", f"test/{first}", "overview"]
    (block,) = sheets["overview"].blocks
    assert [row.name for row in block.rows] == [last, first] and tuple(block.columns) == TEST[:3]
    assert {picture.shape for row in block.rows for picture in row.pictures} == {(24, 32, 3)}


def test_a_run_compared_with_itself_shows_its_own_colours_twice(loaded: Run, labels: dict[str, np.ndarray]) -> None:
    sheets = sheets_of_runs(["one", "two"], [loaded, loaded], wanted())
    assert [*sheets] == [*(f"compared/{stem}" for stem in labels), "compared"]
    for index, own in enumerate(labels.values()):
        shown = pictures(sheets["compared"], 0, index)
        assert [*shown] == ["photo", "one", "two"]
        np.testing.assert_array_equal(shown["one"], colorize(own))
        np.testing.assert_array_equal(shown["two"], colorize(own))


def test_instances_get_the_colours_of_the_truth_that_they_are_matched_with(
    loaded: Run, labels: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """With its own segmentation under other numbers for the truth, a run looks like the truth."""
    most = max(int(own.max()) for own in labels.values())
    numbers = np.concatenate([[0], np.random.default_rng(0).permutation(most) + 1])
    for stem, own in labels.items():
        write_label_map(tmp_path / f"{stem}.png", numbers[own])
    sheets = sheets_of_runs(["run"], [loaded], wanted(tmp_path))
    for index in range(len(labels)):
        shown = pictures(sheets["compared"], 0, index)
        np.testing.assert_array_equal(shown["run"], shown["ground truth"])
    first = next(iter(labels))
    np.testing.assert_array_equal(shown_truth(sheets, first), colorize(read_label_map(tmp_path / f"{first}.png")))


def shown_truth(sheets: dict[str, Sheet], stem: str) -> np.ndarray:
    return pictures(sheets[f"compared/{stem}"])["ground truth"]


def test_a_stand_in_is_marked_and_changed_masks_cost_the_training_views_only(
    trained_run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = changed_standin(trained_run.scene, tmp_path / "room")
    loaded = load_run(trained_run.config, data)
    for sheets in (sheets_of_run(loaded, wanted(views=1)), sheets_of_runs(["a", "b"], [loaded, loaded], wanted())):
        assert all(len(sheet.marks) == 1 and "seed 3" in sheet.marks[0] for sheet in sheets.values())
        assert all(len(sheet.blocks) == 1 for sheet in sheets.values())
    assert "No training views are shown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--views", 0), "--views is 0"),
        (("--longest", 3), "--longest is 3"),
        (("--ground-truth", "nowhere"), "nowhere is not a folder"),
        (("--names", "one"), "Leave it out"),
        (("--load-config", "elsewhere/config.yml", "--names", "one"), "1 names for 2 runs"),
        (("--load-config", "nowhere/config.yml"), "2 of the runs are called nowhere"),
    ],
)
def test_bad_options_are_found_before_anything_is_loaded(options: tuple[object, ...], words: str) -> None:
    process = run("proto-saga", "panels", "--load-config", "nowhere/config.yml", "--output-dir", "out", *options)
    assert process.returncode == 2 and words in " ".join(process.stderr.split())
    assert not Path("out").exists()


def test_unknown_views_and_missing_truths_are_named(loaded: Run, trained_run: TrainedRun, tmp_path: Path) -> None:
    only = trained_run.scene.train_paths[0].stem
    with pytest.raises(ProtoSagaError, match="--stems nothing"):
        sheets_of_run(loaded, wanted(stems=("nothing", only)))
    with pytest.raises(ProtoSagaError, match="compared on their test views"):
        sheets_of_runs(["a", "b"], [loaded, loaded], wanted(stems=(only,)))
    with pytest.raises(ProtoSagaError, match="no ground truth"):
        sheets_of_run(loaded, wanted(tmp_path))


def test_names_are_those_of_the_folders_unless_given(tmp_path: Path) -> None:
    configs = (tmp_path / "a" / "config.yml", tmp_path / "b" / "config.yml")
    assert run_names(configs, ()) == ["a", "b"] and run_names(configs, ("x", "y")) == ["x", "y"]
    with pytest.raises(ProtoSagaError, match="called x"):
        run_names(configs, ("x", "x"))
    with pytest.raises(ProtoSagaError, match="Give --load-config"):
        Panels((), tmp_path).run()
