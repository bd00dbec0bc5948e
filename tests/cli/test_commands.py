"""The proto-saga command on a trained run."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from proto_saga_ns.cli.commands import COMMANDS
from proto_saga_ns.cli.info import Info
from proto_saga_ns.cli.main import entrypoint
from proto_saga_ns.errors import STOPPED_EXIT_CODE
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.plugin.model.image_quality import FIGURES
from proto_saga_ns.scene.state import scene_from_state
from tests.commands import run
from tests.conftest import TrainedRun
from tests.scenes import NUM_INSTANCES


def test_segment_writes_a_consistent_label_map_for_every_view(trained_run: TrainedRun, tmp_path: Path) -> None:
    process = run(
        "proto-saga", "segment", "--load-config", trained_run.config, "--output-dir", tmp_path, "--split", "all"
    )
    assert process.returncode == 0, process.stderr
    stems = {path.stem for path in trained_run.scene.image_paths}
    assert {path.stem for path in tmp_path.glob("*.png")} == stems
    table = json.loads((tmp_path / "instances.json").read_text())
    ids = {instance["id"] for instance in table["instances"]}
    for path in tmp_path.glob("*.png"):
        labels = read_label_map(path)
        assert labels.shape == (48, 64) and set(np.unique(labels)) <= ids | {0}


def test_maps_that_were_not_all_rewritten_have_no_table(trained_run: TrainedRun, tmp_path: Path) -> None:
    """Else those of two segmentations would lie beside the table of one of them."""
    (tmp_path / "instances.json").write_text("{}")
    (tmp_path / f"{trained_run.scene.test_paths[-1].stem}.png").mkdir()  # cannot be replaced by a file
    process = run("proto-saga", "segment", "--load-config", trained_run.config, "--output-dir", tmp_path)
    assert process.returncode == 2 and "Cannot write" in process.stderr
    assert (tmp_path / f"{trained_run.scene.test_paths[0].stem}.png").is_file()
    assert not (tmp_path / "instances.json").exists()


@pytest.mark.parametrize("command", ["segment", "export", "panels"])
def test_an_output_folder_that_is_a_file_is_named(command: str, trained_run: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    process = run("proto-saga", command, "--load-config", trained_run.config, "--output-dir", tmp_path / "taken")
    assert process.returncode == 2 and "taken is a file. Name a folder" in " ".join(process.stderr.split())
    assert (tmp_path / "taken").read_text() == "mine"


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: Info) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Info, "run", interrupted)
    monkeypatch.setattr("sys.argv", ["proto-saga", "info", "--load-config", "config.yml"])
    with pytest.raises(SystemExit) as ended:
        entrypoint()
    assert ended.value.code == STOPPED_EXIT_CODE
    assert capsys.readouterr().err.strip().startswith("proto-saga: stopped")


def test_evaluating_a_run_and_its_label_maps_gives_the_same_figures(trained_run: TrainedRun, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    for path in trained_run.scene.test_paths:
        name = f"{path.stem}.png"
        (truth / name).write_bytes((trained_run.scene.folder / "instances" / name).read_bytes())
    folder = tmp_path / "maps"
    run("proto-saga", "segment", "--load-config", trained_run.config, "--output-dir", folder)
    files = [tmp_path / "run.json", tmp_path / "folder.json"]
    diagram = tmp_path / "reliability.png"
    sources = [("--load-config", trained_run.config, "--reliability", diagram), ("--predictions", folder)]
    for source, file in zip(sources, files, strict=True):
        process = run("proto-saga", "evaluate", *source, "--ground-truth", truth, "--json", file)
        assert process.returncode == 0, process.stderr
    of_run, of_folder = (json.loads(file.read_text()) for file in files)
    quality = {name: of_run.pop(name) for name in FIGURES if name in of_run}  # LPIPS only where its weights are
    error, brier, bins = (of_run.pop(name) for name in ("ECE", "Brier score", "reliability"))
    assert 0 < error < 20 and 0 < brier < 20 and diagram.read_bytes().startswith(b"\x89PNG")
    labelled = sum(int((read_label_map(path) > 0).sum()) for path in folder.glob("*.png"))
    assert sum(row["pixels"] for row in bins) == labelled, "the room has no void"
    assert of_run.pop("level") == "objects" and of_run == of_folder
    assert (
        quality["PSNR"] > 20
        and 0.5 < quality["SSIM"] < 1
        and of_run["mIoU"] > 60
        and of_run["precision"] > 70
        and of_run["recall"] > 70
    )


def test_label_maps_have_no_reliability(tmp_path: Path) -> None:
    options = ("--predictions", tmp_path, "--ground-truth", tmp_path, "--reliability", tmp_path / "a.png")
    process = run("proto-saga", "evaluate", *options)
    assert process.returncode == 2 and "--reliability needs --load-config" in process.stderr


@pytest.mark.parametrize("classifier", ["prototypes", "kmeans", "hdbscan", "trained"])
def test_associate_rewrites_the_checkpoint_and_keeps_the_one_before(copy_of_run: TrainedRun, classifier: str) -> None:
    before = copy_of_run.checkpoint.read_bytes()
    process = run(
        *("proto-saga", "associate", "--load-config", copy_of_run.config, "--criteria", "depth"),
        *("--classifier", classifier, "--trained-steps", "20"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    kept = copy_of_run.folder / "nerfstudio_models_before_change" / copy_of_run.checkpoint.name
    assert kept.read_bytes() == before
    content = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)
    options = json.loads(content["pipeline"]["_model._extra_state"]["scene"]["json"])["options"]
    assert options["association"]["criteria"] == "depth" and options["scene"]["classifier"] == classifier
    assert content["optimizers"].keys() == torch.load(kept, weights_only=True)["optimizers"].keys()
    assert run("proto-saga", "info", "--load-config", copy_of_run.config).returncode == 0


def test_associate_by_consensus_saves_votes_that_segment(copy_of_run: TrainedRun, tmp_path: Path) -> None:
    config = copy_of_run.config
    process = run("proto-saga", "associate", "--load-config", config, "--strategy", "consensus")
    assert process.returncode == 0, process.stdout + process.stderr
    state = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)["pipeline"]
    scene = scene_from_state(state["_model._extra_state"]["scene"])
    assert scene.options["association"]["strategy"] == "consensus"
    assert not any(instance.is_doubtful for instance in scene.instances)
    assert scene.votes is not None and len(scene.votes) == len(state["_model.gauss_params.means"])
    truth, figures = copy_of_run.scene.folder / "instances", tmp_path / "figures.json"
    process = run("proto-saga", "evaluate", "--load-config", config, "--ground-truth", truth, "--json", figures)
    assert process.returncode == 0, process.stderr
    found = json.loads(figures.read_text())
    assert found["mIoU"] > 60 and found["precision"] > 85 and found["recall"] > 85
    assert scene.levels is not None and len(scene.levels.part_of_gaussian) == len(scene.votes)
    written = ("proto-saga", "segment", "--load-config", config, "--granularity")
    for level in ("0", "part"):
        process = run(*written, level, "--output-dir", tmp_path / level)
        assert process.returncode == 0, process.stderr
    for coarse in (tmp_path / "0").glob("*.png"):
        finer, coarser = (read_label_map(file).ravel() for file in (tmp_path / "part" / coarse.name, coarse))
        pairs = {*zip(finer.tolist(), coarser.tolist(), strict=True)}
        assert len({fine for fine, _ in pairs}) == len(pairs)


def test_a_scene_of_the_memory_bank_has_one_level(copy_of_run: TrainedRun, tmp_path: Path) -> None:
    config = copy_of_run.config
    assert run("proto-saga", "associate", "--load-config", config, "--strategy", "memory-bank").returncode == 0
    options = ("--load-config", config, "--output-dir", tmp_path / "maps", "--granularity", "part")
    process = run("proto-saga", "segment", *options)
    assert process.returncode == 2 and "no parts and groups" in " ".join(process.stderr.split())
    assert not (tmp_path / "maps").exists()


def test_consensus_takes_no_ids(copy_of_run: TrainedRun) -> None:
    before = copy_of_run.checkpoint.read_bytes()
    options = ("--load-config", copy_of_run.config, "--strategy", "consensus", "--mask-ids", "trust")
    process = run("proto-saga", "associate", *options)
    assert process.returncode == 2 and "--mask-ids: nothing to --strategy consensus" in " ".join(process.stderr.split())
    assert copy_of_run.checkpoint.read_bytes() == before


def test_trusting_ids_that_each_view_numbers_anew_is_warned_of(copy_of_run: TrainedRun) -> None:
    for mask_ids, warned in (("ignore", False), ("trust", True)):
        process = run("proto-saga", "associate", "--load-config", copy_of_run.config, "--mask-ids", mask_ids)
        assert process.returncode == 0, process.stdout + process.stderr
        assert ("per-view numbering" in " ".join(process.stdout.split())) == warned


def test_association_is_deterministic(copy_of_run: TrainedRun) -> None:
    def saved() -> dict[str, torch.Tensor]:
        content = torch.load(copy_of_run.checkpoint, map_location="cpu", weights_only=True)
        scene = content["pipeline"]["_model._extra_state"]["scene"]
        return {name: value for name, value in scene.items() if isinstance(value, torch.Tensor)}

    before = saved()
    assert run("proto-saga", "associate", "--load-config", copy_of_run.config).returncode == 0
    torch.testing.assert_close(saved(), before, rtol=1e-4, atol=1e-6)
    assert "gaussians.ids" in before


def test_info_lists_every_instance(trained_run: TrainedRun) -> None:
    process = run("proto-saga", "info", "--load-config", trained_run.config)
    assert process.returncode == 0
    assert all(f"instance {number}" in process.stdout for number in range(1, NUM_INSTANCES + 1))
    assert "agreement" in process.stdout and "unknown" not in process.stdout


def test_the_version_is_the_package_s() -> None:
    process = run("proto-saga", "--version")
    assert process.returncode == 0 and process.stdout.strip() == f"proto-saga {version('proto_saga_ns')}"


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_help_reads_well(words: list[str]) -> None:
    process = run("proto-saga", *words, "--help")
    assert process.returncode == 0
    assert "usage: proto-saga" in process.stdout and "Traceback" not in process.stderr
