"""``proto-saga report`` on a trained run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from proto_saga_ns.cli.report import Report, command
from proto_saga_ns.cli.work.report import LONGEST_PANEL, SHORTEST_PANEL, longest_panel
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.labels.overview.page import evenly_spread
from proto_saga_ns.plugin.model.image_quality import FIGURES
from tests.commands import run
from tests.conftest import TrainedRun
from tests.evaluation.report.parsing import ParsedPage, parse
from tests.scenes import NUM_INSTANCES, changed_standin


@pytest.fixture(scope="module")
def file(trained_run: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with ground truth."""
    path = tmp_path_factory.mktemp("reports") / "a.html"
    report(trained_run, path, "--ground-truth", truth(trained_run))
    return path


@pytest.fixture(scope="module")
def with_truth(file: Path) -> ParsedPage:
    """The same, read back."""
    return parse(file.read_text())


def truth(trained_run: TrainedRun) -> Path:
    return trained_run.scene.folder / "instances"


def report(trained_run: TrainedRun, output: Path, *options: object) -> ParsedPage:
    process = run("proto-saga", "report", "--load-config", trained_run.config, "--output", output, *options)
    assert process.returncode == 0, process.stdout + process.stderr
    assert str(output) in process.stdout and "Segmenting views" in process.stdout
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    return parse(output.read_text())


def test_figures_are_those_of_evaluate(with_truth: ParsedPage, trained_run: TrainedRun, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    options = ("--load-config", trained_run.config, "--ground-truth", truth(trained_run), "--json", figures)
    assert run("proto-saga", "evaluate", *options).returncode == 0
    wanted = json.loads(figures.read_text())
    for name, value, without_void in with_truth.tables["figures"][1:]:
        assert float(value) == pytest.approx(wanted[name], abs=0.6 * 0.1 ** len(value.partition(".")[2]))
        if name not in FIGURES:
            base, _, what = name.partition(" ")
            key = f"{base} without void {what}".strip()
            assert float(without_void) == pytest.approx(wanted[key], abs=0.006)


def test_every_true_instance_is_accounted_for(with_truth: ParsedPage, trained_run: TrainedRun) -> None:
    rows = with_truth.tables["truth"][1:]
    maps = [read_label_map(truth(trained_run) / f"{path.stem}.png") for path in trained_run.scene.test_paths]
    assert {int(row[0]): int(row[1]) for row in rows} == {
        id: sum(int((labels == id).sum()) for labels in maps) for id in range(1, NUM_INSTANCES + 1)
    }
    ious = [float(row[4]) for row in rows]
    figures = {row[0]: row[2] for row in with_truth.tables["figures"]}
    assert ious == sorted(ious) and sum(ious) / len(ious) == pytest.approx(float(figures["mIoU"]), abs=0.06)
    assert all(row[5].endswith(".") for row in rows)
    matched = {row[1]: row[8] for row in with_truth.tables["instances"][1:] if row[8].isdigit()}
    assert matched == {row[3]: row[0] for row in rows if row[3].isdigit()}


def test_pictures_of_all_kinds(with_truth: ParsedPage) -> None:
    # Three test views, three training views, six crops.
    assert with_truth.count("img") == 3 * 6 + 3 * 3 + 6 * 3
    assert all(source.startswith("data:image/webp;base64,") for source in with_truth.attributes["src"])
    assert "href" not in with_truth.attributes and with_truth.open == []


def test_no_path_of_this_machine_is_in_it(with_truth: ParsedPage, trained_run: TrainedRun, shared_folder: Path) -> None:
    everything = with_truth.text + str(with_truth.attributes)
    assert str(shared_folder) not in everything
    assert ".../run/config.yml" in with_truth.text and trained_run.scene.folder.name in with_truth.text


def test_without_ground_truth(trained_run: TrainedRun, tmp_path: Path) -> None:
    page = report(trained_run, tmp_path / "out" / "b.html", "--views", 2)
    assert page.count("img") == 2 * 4 + 3 * 3
    assert "figures" not in page.tables and "truth" not in page.tables and "worst" not in page.text
    ids = sorted(int(row[1]) for row in page.tables["instances"][1:])
    assert ids[:NUM_INSTANCES] == [*range(1, NUM_INSTANCES + 1)]


def test_twice_the_same(file: Path, trained_run: TrainedRun) -> None:
    before = file.read_bytes()
    file.write_text("old")
    report(trained_run, file, "--ground-truth", truth(trained_run))
    assert file.read_bytes() == before


def test_a_missing_truth_is_named_and_leaves_nothing_behind(trained_run: TrainedRun, tmp_path: Path) -> None:
    some = tmp_path / "truth"
    shutil.copytree(truth(trained_run), some)
    missing = some / f"{trained_run.scene.test_paths[-1].stem}.png"
    missing.unlink()
    output = tmp_path / "out" / "report.html"
    options = ("--load-config", trained_run.config, "--ground-truth", some, "--output", output)
    process = run("proto-saga", "report", *options)
    assert process.returncode == 2 and str(missing) in process.stderr and "Segmenting" not in process.stdout
    assert not output.parent.exists()


def test_a_stand_in_says_so_and_changed_masks_cost_the_training_views_only(
    trained_run: TrainedRun, tmp_path: Path
) -> None:
    data = changed_standin(trained_run.scene, tmp_path / "room")
    page = report(trained_run, tmp_path / "out" / "d.html", "--data", data, "--views", 1)
    head = page.text[: page.text.index("Test views")]
    assert "STAND-IN (rendered, scannet layout, seed 3, segmenter default)" in head
    assert page.count("img") == 4 and "Training views are not shown" in head


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--views", 0), "--views is 0"),
        (("--output", "."), "is a folder"),
        (("--ground-truth", "nowhere"), "nowhere is not a folder"),
    ],
)
def test_bad_options_are_found_before_anything_is_loaded(options: tuple[object, ...], words: str) -> None:
    process = run("proto-saga", "report", "--load-config", "nowhere/config.yml", *options)
    assert process.returncode == 2 and words in process.stderr


def test_the_command_shows_ends_of_absolute_paths_only() -> None:
    told = command(Report(Path("/home/me/runs/run 1/config.yml"), Path("/data/room/truth"), Path("a/b.html"), views=3))
    assert told == (
        "proto-saga report --load-config '.../run 1/config.yml' --ground-truth .../truth --output a/b.html --views 3"
    )


def test_more_views_get_smaller_pictures() -> None:
    sizes = [longest_panel(views) for views in (1, 12, 24, 48, 10_000)]
    assert sizes == [LONGEST_PANEL, LONGEST_PANEL, 339, 240, SHORTEST_PANEL]


@pytest.mark.parametrize(("count", "wanted", "chosen"), [(0, 3, []), (2, 3, [0, 1]), (7, 3, [0, 3, 6]), (5, 1, [0])])
def test_spreading_views(count: int, wanted: int, chosen: list[int]) -> None:
    assert evenly_spread(count, wanted) == chosen
