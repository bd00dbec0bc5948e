"""The main job on a tiny scene: what a finished run holds, resuming it, and starting from a plain splat."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from proto_saga_ns.errors import STOPPED_EXIT_CODE
from proto_saga_ns.labels import read_label_map
from proto_saga_ns.scene.state import scene_from_state
from tests.commands import Started, run
from tests.conftest import STEPS, TrainedRun, train_arguments
from tests.scenes import NUM_INSTANCES, TinyScene, save_png


def load(checkpoint: Path) -> dict[str, Any]:
    return torch.load(checkpoint, map_location="cpu", weights_only=True)


def model_state(checkpoint: Path) -> dict[str, Any]:
    prefix = "_model."
    return {k.removeprefix(prefix): v for k, v in load(checkpoint)["pipeline"].items() if k.startswith(prefix)}


def test_the_checkpoint_holds_the_whole_segmentation(trained_run: TrainedRun) -> None:
    state = model_state(trained_run.checkpoint)
    scene = scene_from_state(state["_extra_state"]["scene"])
    assert abs(len(scene.instances) - NUM_INSTANCES) <= 2
    assert torch.isfinite(scene.prototypes).all()
    assert list(scene.mask_instances) == [path.stem for path in trained_run.scene.train_paths]
    assert state["gauss_params.embeddings"].shape == (len(state["gauss_params.means"]), 16)
    assert len([key for key in state if key.startswith("view_classifiers.")]) == len(trained_run.scene.train_paths)


def test_training_leaves_one_checkpoint_and_no_debris(trained_run: TrainedRun) -> None:
    assert [path.name for path in (trained_run.folder / "nerfstudio_models").iterdir()] == [trained_run.checkpoint.name]
    assert not [path for path in trained_run.folder.iterdir() if path.name.startswith(".")]


def test_a_resume_trains_what_is_left_and_moves_every_parameter(trained_run: TrainedRun, tmp_path: Path) -> None:
    models = trained_run.folder / "nerfstudio_models"
    arguments = train_arguments(trained_run.scene.folder, tmp_path, STEPS + 20)
    process = run("ns-train", *arguments, "--load-dir", models)
    assert process.returncode == 0, process.stdout + process.stderr
    resumed = max(tmp_path.rglob("step-*.ckpt"))
    assert load(resumed)["step"] == STEPS + 19
    before, after = model_state(trained_run.checkpoint), model_state(resumed)
    for name in before:
        # Spherical harmonics stay at zero until their degree is switched on.
        if name.startswith(("gauss_params", "view_classifiers")) and before[name].count_nonzero():
            same = before[name].shape == after[name].shape and torch.equal(before[name], after[name])
            assert not same, f"{name} did not move"


@pytest.mark.parametrize("steps", [STEPS, STEPS // 2])
def test_resuming_a_finished_run_only_associates(trained_run: TrainedRun, tmp_path: Path, steps: int) -> None:
    models = trained_run.folder / "nerfstudio_models"
    arguments = [*train_arguments(trained_run.scene.folder, tmp_path, steps), "--logging.local-writer.enable", "True"]
    process = run("ns-train", *arguments, "--load-dir", models)
    assert process.returncode == 0, process.stdout + process.stderr
    again = max(tmp_path.rglob("step-*.ckpt"))
    assert load(again)["step"] == STEPS - 1
    assert torch.equal(
        model_state(again)["gauss_params.means"], model_state(trained_run.checkpoint)["gauss_params.means"]
    )
    assert model_state(again)["_extra_state"]["scene"] is not None


@pytest.mark.parametrize("mask_ids", ["trust", "seed"])
def test_ids_that_hold_across_views_are_instances_after_training(
    trained_run: TrainedRun, tmp_path: Path, mask_ids: str
) -> None:
    truth, tracked = trained_run.scene.folder / "instances", tmp_path / "tracked"
    for path in truth.glob("*.png"):
        save_png(tracked / path.name, (10 * read_label_map(path)).astype("uint16"))
    arguments = train_arguments(trained_run.scene.folder, tmp_path)
    options = ["--pipeline.association.mask-ids", mask_ids, "--pipeline.association.criteria", "depth"]
    models = trained_run.folder / "nerfstudio_models"
    process = run("ns-train", *arguments, "--load-dir", models, *options, "nerfstudio-data", "--mask-dir", tracked)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "per-view numbering" not in " ".join(process.stdout.split())
    scene = scene_from_state(model_state(max(tmp_path.rglob("step-*.ckpt")))["_extra_state"]["scene"])
    assert scene.options["association"]["mask_ids"] == mask_ids
    of_views = list(scene.mask_instances.values())
    # Every view shows everything: label l of the file is the l-th id.
    assert of_views == [of_views[0]] * len(trained_run.scene.train_paths)
    assert sorted(of_views[0]) == list(range(NUM_INSTANCES + 1))
    assert mask_ids == "seed" or of_views[0] == sorted(of_views[0])


def test_one_classifier_for_all_views_is_the_classifier_of_the_scene(trained_run: TrainedRun, tmp_path: Path) -> None:
    shared = ["--pipeline.model.classifiers", "shared", "--pipeline.model.lambda-neighbours", 2]
    arguments = [*train_arguments(trained_run.scene.folder, tmp_path, 60), *shared]
    refused = run("ns-train", *arguments)
    assert refused.returncode == 2 and "as if each view numbered its own" in " ".join(refused.stderr.split())

    truth, tracked = trained_run.scene.folder / "instances", tmp_path / "tracked"
    for path in truth.glob("*.png"):
        save_png(tracked / path.name, (10 * read_label_map(path)).astype("uint16"))
    process = run("ns-train", *arguments, "nerfstudio-data", "--mask-dir", tracked)
    assert process.returncode == 0, process.stdout + process.stderr
    (checkpoint,) = tmp_path.rglob("step-*.ckpt")
    state = model_state(checkpoint)
    scene = scene_from_state(state["_extra_state"]["scene"])
    rows = torch.nn.functional.normalize(state["view_classifiers.weights.0"].T, dim=1)
    torch.testing.assert_close(scene.prototypes, rows)
    assert state["view_classifiers.ids"].tolist() == [10 * number for number in range(1, NUM_INSTANCES + 1)]
    assert scene.options["association"]["mask_ids"] == "trust"

    config = checkpoint.parent.parent / "config.yml"
    again = run("proto-saga", "associate", "--load-config", config)
    assert again.returncode == 0 and "ids of the masks are the instances" in " ".join(again.stdout.split())
    torch.testing.assert_close(
        scene_from_state(model_state(checkpoint)["_extra_state"]["scene"]).prototypes, scene.prototypes
    )


def plain_splat(trained_run: TrainedRun, folder: Path) -> Path:
    """The run's Gaussians as a checkpoint that splatfacto would have written."""
    content = load(trained_run.checkpoint)
    ours = ("_model.gauss_params.embeddings", "_model.view_classifiers.", "_model._extra_state")
    content["pipeline"] = {k: v for k, v in content["pipeline"].items() if not k.startswith(ours)}
    content["pipeline"]["_model.lpips.net.weight"] = torch.zeros(3)
    content["optimizers"] = {k: v for k, v in content["optimizers"].items() if k in ("means", "scales", "quats")}
    content["schedulers"] = {}
    folder.mkdir()
    torch.save(content, folder / trained_run.checkpoint.name)
    return folder


def test_a_plain_splat_is_segmented_with_its_geometry_frozen(trained_run: TrainedRun, tmp_path: Path) -> None:
    models = plain_splat(trained_run, tmp_path / "splat")
    arguments = [*train_arguments(trained_run.scene.folder, tmp_path, 200), "--pipeline.model.freeze-geometry", True]
    process = run("ns-train", *arguments, "--load-dir", models)
    assert process.returncode == 0, process.stdout + process.stderr
    segmented = max((tmp_path / "tiny").rglob("step-*.ckpt"))
    before, after = model_state(trained_run.checkpoint), model_state(segmented)
    for name in ("means", "scales", "quats", "opacities", "features_dc", "features_rest"):
        assert torch.equal(before[f"gauss_params.{name}"], after[f"gauss_params.{name}"])
    scene = scene_from_state(after["_extra_state"]["scene"])
    assert abs(len(scene.instances) - NUM_INSTANCES) <= 2


def test_a_plain_splat_goes_on_training_where_it_had_ended(trained_run: TrainedRun, tmp_path: Path) -> None:
    models = plain_splat(trained_run, tmp_path / "splat")
    process = run("ns-train", *train_arguments(trained_run.scene.folder, tmp_path, 30), "--load-dir", models)
    assert process.returncode == 0, process.stdout + process.stderr
    before, after = model_state(trained_run.checkpoint), model_state(max((tmp_path / "tiny").rglob("step-*.ckpt")))
    assert before["gauss_params.means"].shape == after["gauss_params.means"].shape, "densification is over"
    assert not torch.equal(before["gauss_params.means"], after["gauss_params.means"])


def test_the_second_rasterization_keeps_segmentation_out_of_the_geometry(
    trained_run: TrainedRun, tmp_path: Path
) -> None:
    """With it, geometry does not depend on the weight of the cross entropy; without it, it does."""
    means: dict[tuple[bool, float], torch.Tensor] = {}
    for moves in (False, True):
        for weight in (0.05, 5.0):
            output = tmp_path / f"{moves}{weight}"
            options = ["--pipeline.model.segmentation-moves-geometry", moves, "--pipeline.model.lambda-ce", weight]
            process = run("ns-train", *train_arguments(trained_run.scene.folder, output, 5), *options)
            assert process.returncode == 0, process.stdout + process.stderr
            means[moves, weight] = model_state(max(output.rglob("step-*.ckpt")))["gauss_params.means"]
    torch.testing.assert_close(means[False, 0.05], means[False, 5.0], rtol=0, atol=1e-5)
    assert (means[True, 0.05] - means[True, 5.0]).abs().max() > 1e-5


def test_camera_optimizer_and_bilateral_grid_keep_working(trained_run: TrainedRun, tmp_path: Path) -> None:
    options = ["--pipeline.model.camera-optimizer.mode", "SO3xR3", "--pipeline.model.use-bilateral-grid", True]
    process = run("ns-train", *train_arguments(trained_run.scene.folder, tmp_path, 10), *options)
    assert process.returncode == 0, process.stdout + process.stderr
    state = model_state(max(tmp_path.rglob("step-*.ckpt")))
    assert state["camera_optimizer.pose_adjustment"].abs().max() > 0
    assert state["bil_grids.grids"].std() > 0


def with_viewer(scene: TinyScene, output: Path, steps: int) -> Started:
    """Training as it is by default: with the viewer, and a table of the steps on the console."""
    arguments = train_arguments(scene.folder, output, steps)
    arguments[arguments.index("--vis") + 1] = "viewer"
    arguments[arguments.index("--logging.local-writer.enable") + 1] = "True"
    return Started("ns-train", *arguments, "--viewer.websocket-port", 7800 + os.getpid() % 190)


def test_the_viewer_stays_open_after_training_until_ctrl_c(tiny_scene: TinyScene, tmp_path: Path) -> None:
    process = with_viewer(tiny_scene, tmp_path, 3)
    process.wait_until_said("Ctrl-C ends it.")
    process.interrupt()
    finished = process.wait(60)
    assert finished.returncode == 0 and "Traceback" not in finished.stdout + finished.stderr
    (config,) = tmp_path.rglob("config.yml")
    for command in ("ns-viewer", "proto-saga segment", "proto-saga export"):
        assert f"{command} --load-config {config}" in finished.stdout


def test_ctrl_c_while_training_says_how_to_go_on(tiny_scene: TinyScene, tmp_path: Path) -> None:
    process = with_viewer(tiny_scene, tmp_path, 100_000)
    process.wait_until_said("Step (% Done)")
    process.interrupt()
    finished = process.wait(60)
    assert finished.returncode == STOPPED_EXIT_CODE and "Traceback" not in finished.stdout + finished.stderr
    assert "proto-saga: stopped. No checkpoint had been written yet" in finished.stderr


def test_a_run_that_was_moved_is_still_found(copy_of_run: TrainedRun) -> None:
    process = run("proto-saga", "info", "--load-config", copy_of_run.config)
    assert process.returncode == 0, process.stderr
    assert "instance 1" in process.stdout
    shutil.rmtree(copy_of_run.folder)
